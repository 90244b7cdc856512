"""What the engine's tests share. The helpers are in `dummy_models`, beside this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# --import-mode=importlib adds no folder to the path.
sys.path.insert(0, str(Path(__file__).parent))

from dummy_models import DummyModel, dummy_model, needs_emulated_gpu

from qwen3_chat.engine import Engine


@pytest.fixture(scope="session")
def model() -> DummyModel:
    """The model of every test that does not care: two small layers, end tokens 3 and 5."""
    return dummy_model(eos=(3, 5))


ON_CPU = [pytest.param(("cpu:0", weights), id=weights) for weights in ("f32", "bf16", "int8", "int4")]
ON_GPU = [
    pytest.param(("cudaemu:0", "bf16"), id="cudaemu:0", marks=[needs_emulated_gpu, pytest.mark.full]),
]


def engine_of(model: DummyModel, kind: tuple[str, str]) -> Engine:
    device, weights = kind
    return model.engine(device, weights_dtype=weights)


@pytest.fixture(scope="session", params=ON_CPU + ON_GPU)
def shared_engine(model: DummyModel, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One engine on it for every type of weights and kind of device, for tests that leave no trace in it."""
    with engine_of(model, request.param) as engine:
        yield engine


@pytest.fixture(params=ON_CPU + ON_GPU)
def engine(model: DummyModel, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of one's own for every type of weights and kind of device."""
    with engine_of(model, request.param) as engine:
        yield engine


@pytest.fixture(scope="session", params=ON_CPU)
def exact_engine(model: DummyModel, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A shared one whose logits depend on the context alone; a GPU's last bits depend on how many rows a step has."""
    with engine_of(model, request.param) as engine:
        yield engine
