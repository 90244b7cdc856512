"""GGUF files: what the gguf package and transformers make of them, the engine makes, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import make_checkpoint
from dummy_models import append, random_ids, relative_error, rms_error
from gguf import GGMLQuantizationType as Type
from gguf_files import Array, write_gguf
from rounded import RoundedReference
from trained import cost, widened_demo

from qwen3_chat.engine import Engine
from qwen3_chat.models import demo
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.reference import Reference

Kind = Callable[[str, Array], Type]

SHAPE: dict[str, Any] = {
    "hidden": 256, "heads": 4, "kv_heads": 2, "head_dim": 64, "intermediate": 512, "vocab": 200, "layers": 2,
}  # fmt: skip


def all_of(kind: Type) -> Kind:
    return lambda name, tensor: kind


def medium(name: str, tensor: Array) -> Type:
    """As Q4_K_M has it: Q6_K where it matters, Q4_K elsewhere."""
    return Type.Q6_K if any(part in name for part in ("embed", "v_proj", "down_proj", "lm_head")) else Type.Q4_K


KINDS: dict[str, tuple[Kind, str]] = {
    "F32": (all_of(Type.F32), "f32"),
    "F16": (all_of(Type.F16), "f16"),
    "BF16": (all_of(Type.BF16), "bf16"),
    "Q8_0": (all_of(Type.Q8_0), "int8"),
    "Q4_0": (all_of(Type.Q4_0), "int4"),
    "Q4_K": (all_of(Type.Q4_K), "int4"),
    "Q5_K": (all_of(Type.Q5_K), "int8"),
    "Q6_K": (all_of(Type.Q6_K), "int8"),
    "Q4_K and Q6_K": (medium, "int4"),
}


def written(folder: Path, kind: Kind, *, splits: int = 1, coarse: bool = False, **shape: Any) -> tuple[Path, Reference]:
    """A file of this kind, and the reference on the weights that the gguf package reads in it."""
    make_checkpoint(folder, **{**SHAPE, "tied": False, **shape})
    meaning = write_gguf(folder / "model.gguf", folder, kind, splits=splits, coarse=coarse)
    path = folder / ("model.gguf" if splits == 1 else f"model-00001-of-{splits:05}.gguf")
    with Checkpoint.open(path) as checkpoint:
        config = checkpoint.config
    return path, Reference(config, {name: torch.from_numpy(array) for name, array in meaning.items()})


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1,cpu:2"])
@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS.values()], ids=KINDS)
def test_what_the_file_means(tmp_path: Path, kind: Kind, devices: str) -> None:
    path, reference = written(tmp_path, kind)
    ids = random_ids(40, SHAPE["vocab"])
    with Engine.load(path, devices, weights="f32", kv="f32", threads=3) as engine:
        assert relative_error(engine.forward(ids), reference.forward(ids.tolist()).numpy()) <= 2e-5


@pytest.mark.parametrize(("kind", "kept"), KINDS.values(), ids=KINDS)
def test_automatic_weights(tmp_path: Path, kind: Kind, kept: str) -> None:
    path, reference = written(tmp_path, kind)
    ids = random_ids(90, SHAPE["vocab"])
    with Engine.load(path, kv="f32", threads=1) as engine:
        assert engine.weights == kept
        logits = engine.forward(ids)
        assert np.array_equal(append(engine, engine.new_cache(), ids, [64, 1, 1, 20, 4]), logits)
    with Engine.load(path, kv="f32", threads=3) as engine:
        assert np.array_equal(engine.forward(ids), logits)
    exact = reference.forward(ids.tolist()).numpy()
    if kept.startswith("int"):
        rounded = RoundedReference(reference.config, reference.weights, kept).forward(ids.tolist()).numpy()
        assert rms_error(logits, exact) <= 1.2 * rms_error(rounded, exact)
    else:
        assert relative_error(logits, exact) <= 2e-2


def test_each_matrix_in_its_own_integers(tmp_path: Path) -> None:
    """Of Q4_K and Q6_K, only the former become int4."""
    path, _ = written(tmp_path, medium)
    hidden, kv, inner = 256, 128, 512
    eight = 2 * 200 * hidden * 208 // 200 + 2 * (kv * hidden + hidden * inner)  # the vocabulary in whole panels
    four = 2 * (2 * hidden * hidden + kv * hidden + 2 * hidden * inner)
    with Engine.load(path) as engine:
        assert engine.memory().weights == eight * 17 // 16 + four * 9 // 16


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0], ids=["Q8_0", "Q4_0"])
def test_blocks_of_32_are_kept(tmp_path: Path, kind: Type) -> None:
    """With scales of no more digits than the engine's own, nothing is rounded: the embedding and the head, too."""
    path, reference = written(tmp_path, all_of(kind), layers=1, coarse=True)
    keeping = RoundedReference(reference.config, reference.weights, "int8")  # for its activations
    keeping.weights = reference.weights
    errors = []
    with Engine.load(path, kv="f32", threads=1) as engine:
        for token in random_ids(60, SHAPE["vocab"]):
            one = [int(token)]
            errors.append(rms_error(engine.forward(one), keeping.forward(one).numpy()))
    assert np.median(errors) <= 1e-5


COSTS: dict[str, tuple[Kind, float]] = {  # in nats, to the weights that the file means
    "F16": (all_of(Type.F16), 1e-5),
    "Q8_0": (all_of(Type.Q8_0), 1e-3),
    "Q6_K": (all_of(Type.Q6_K), 1e-3),
    "Q5_K": (all_of(Type.Q5_K), 1e-3),
    "Q4_0": (all_of(Type.Q4_0), 1e-3),
    "Q4_K": (all_of(Type.Q4_K), 5e-2),
    "Q4_K and Q6_K": (medium, 5e-2),
}


def test_the_widened_model_is_the_same(tmp_path: Path) -> None:
    ids = random_ids(60, 2000)
    with Engine.load(demo.path(), weights="f32", kv="f32") as engine:
        expected = engine.forward(ids)
    with Engine.load(widened_demo(tmp_path), weights="f32", kv="f32") as engine:
        assert relative_error(engine.forward(ids), expected) <= 1e-5


@pytest.mark.parametrize(("kind", "bound"), COSTS.values(), ids=COSTS)
def test_what_it_costs_a_trained_model(
    tmp_path: Path, kind: Kind, bound: float, record_property: Callable[[str, object], None]
) -> None:
    folder = widened_demo(tmp_path)
    write_gguf(folder / "model.gguf", folder, kind)
    nats = cost(folder / "model.gguf", "auto")
    record_property("nats", nats)
    assert nats <= bound


@pytest.mark.parametrize("tied", [True, False])
def test_splits(tmp_path: Path, tied: bool) -> None:
    """Any of them names the model."""
    path, reference = written(tmp_path, all_of(Type.Q8_0), splits=3, tied=tied)
    ids = random_ids(30, SHAPE["vocab"])
    expected = reference.forward(ids.tolist()).numpy()
    for name in (path.name, "model-00003-of-00003.gguf"):
        with Engine.load(tmp_path / name, weights="f32", kv="f32") as engine:
            assert relative_error(engine.forward(ids), expected) <= 2e-5


def test_transformers_agrees(tmp_path: Path) -> None:
    """Its reader of GGUF, its model: names, shapes, RoPE and the order of rows in Q and K are theirs."""
    from transformers import AutoModelForCausalLM

    path, _ = written(tmp_path, all_of(Type.Q8_0), heads=4, head_dim=128, vocab=384, tokenizer=True)
    (tmp_path / "config.json").unlink()
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    ids = random_ids(40, 384)
    with torch.no_grad():
        expected = model(torch.from_numpy(ids).long()[None]).logits[0].numpy()
    with Engine.load(path, weights="f32", kv="f32") as engine:
        assert relative_error(engine.forward(ids), expected) <= 2e-5
