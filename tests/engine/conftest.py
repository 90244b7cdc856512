"""What the engine's tests share. The helpers are in `dummy_models`, beside this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# --import-mode=importlib adds no folder to the path.
sys.path.insert(0, str(Path(__file__).parent))

from dummy_models import DummyModel, dummy_model

from qwen3_chat.engine import Engine


@pytest.fixture(scope="session")
def model() -> DummyModel:
    """The model of every test that does not care: two small layers, end tokens 3 and 5."""
    return dummy_model(eos=(3, 5))


WEIGHTS = ("f32", "bf16", "int8", "int4")


@pytest.fixture(scope="session", params=WEIGHTS)
def shared_engine(model: DummyModel, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One engine on it for every type of weights, for tests that leave no trace in it."""
    with model.engine(weights_dtype=request.param) as engine:
        yield engine


@pytest.fixture(params=WEIGHTS)
def engine(model: DummyModel, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of one's own for every type of weights."""
    with model.engine(weights_dtype=request.param) as engine:
        yield engine
