"""reference.py against transformers: relative errors are max |a - b| / max |b| over all logits (tests/agreement.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from agreement import relative_error
from checkpoints import ExpertShape, make_checkpoint
from torch import Tensor
from transformers import AutoModelForCausalLM

from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.reference import KVCache, Reference, rotary_tables, rotate

TOLERANCE = 1e-5

torch.set_num_threads(1)  # the matrices are too small to be shared out

SHAPES: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tied": False},
    "repeated head": {"lm_head": "repeat"},
    "wide heads": {"hidden": 48, "heads": 4, "head_dim": 32},  # head_dim != hidden / heads
    "narrow heads": {"hidden": 96, "heads": 6, "kv_heads": 3, "head_dim": 8, "tied": False},
    "1 KV head": {"kv_heads": 1},
    "8 KV heads of 8": {"heads": 8, "kv_heads": 8},
    "8 KV heads of 16": {"heads": 16, "kv_heads": 8, "head_dim": 8},
    "odd vocabulary": {"vocab": 331, "tied": False},
    "odd sizes": {"hidden": 37, "intermediate": 53, "heads": 3, "kv_heads": 1, "head_dim": 10, "vocab": 101},
    "3 files": {"shards": 3, "tied": False},
    "transformers 5": {"spelling": "transformers5", "rope_theta": 5e6, "eps": 1e-5},
    "small theta": {"rope_theta": 1e4, "layers": 4},
    "bfloat16": {"dtype": "bfloat16", "shards": 2},
    "float16": {"dtype": "float16", "tied": False},
    "one layer": {"layers": 1},
    "experts": {"experts": ExpertShape()},
    "experts, not normalised": {"experts": ExpertShape(normalised=False), "tied": False},
    "experts, one for a token": {"experts": ExpertShape(5, 1, 24)},
    "experts, all for a token": {"experts": ExpertShape(4, 4, 33), "dtype": "bfloat16"},
    "experts beside dense layers": {"experts": ExpertShape(dense_layers=(0, 2)), "layers": 4},
    "experts, transformers 5": {"experts": ExpertShape(16, 2, 10), "spelling": "transformers5", "shards": 3},
}


def ids_for(config: Any, count: int = 70, seed: int = 1) -> list[int]:
    return torch.randint(config.vocab_size, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def transformers_logits(path: Path, ids: list[int]) -> Tensor:
    """Logits [n, V]; the weights are widened to float32 first, as transformers rounds inside a bfloat16 model."""
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}  # its kernels want even sizes
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **plain)
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def reference(checkpoint: Callable[..., Path]) -> Reference:
    return Reference.from_checkpoint(checkpoint())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_agrees_with_transformers(checkpoint: Callable[..., Path], shape: dict[str, Any]) -> None:
    path = checkpoint(**shape)
    model = Reference.from_checkpoint(path)
    ids = ids_for(model.config)
    expected = transformers_logits(path, ids)
    actual = model.forward(ids)
    assert actual.dtype == torch.float32 and actual.shape == (len(ids), model.config.vocab_size)
    assert relative_error(actual, expected) <= TOLERANCE
    assert 1 < expected.std() < 4 and expected.std(dim=0).min() > 0.1  # logits with structure, else this shows nothing


@pytest.mark.parametrize(
    "yarn",
    [
        {"factor": 4.0, "original_max_position_embeddings": 64},
        {"factor": 1.5, "original_max_position_embeddings": 40, "attention_factor": 0.9},
        {"factor": 3.0, "original_max_position_embeddings": 128, "beta_fast": 8, "beta_slow": 2},
    ],
    ids=["defaults", "own magnitude", "own ramp"],
)
def test_yarn_agrees_with_transformers(checkpoint: Callable[..., Path], yarn: dict[str, Any]) -> None:
    scaled = {"rope_scaling": {"rope_type": "yarn", **yarn}}
    path = checkpoint(head_dim=64, rope_theta=1e4, config_overrides=scaled)
    model = Reference.from_checkpoint(path)
    ids = ids_for(model.config, count=200)
    expected = model.forward(ids)
    assert relative_error(expected, transformers_logits(path, ids)) <= TOLERANCE
    plain = Reference(dataclasses.replace(model.config, rope_scaling=None), model.weights)
    assert relative_error(plain.forward(ids), expected) > 1e-2


def test_reads_experts_as_transformers_writes_them(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    """It keeps all experts of a layer in one tensor, but not in files."""
    path = checkpoint(experts=ExpertShape(dense_layers=(1,)))
    AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).save_pretrained(tmp_path)
    ours, theirs = Reference.from_checkpoint(path), Reference.from_checkpoint(tmp_path)
    assert theirs.config.experts == ours.config.experts
    assert all(torch.equal(theirs.weights[name], weight) for name, weight in ours.weights.items())


def test_far_positions(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint(max_positions=4096, layers=1)
    model = Reference.from_checkpoint(path)
    ids = ids_for(model.config, count=1500)
    assert relative_error(model.forward(ids), transformers_logits(path, ids)) <= TOLERANCE


def test_one_token(checkpoint: Callable[..., Path], reference: Reference) -> None:
    assert relative_error(reference.forward([5]), transformers_logits(checkpoint(), [5])) <= TOLERANCE


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_cache_in_any_chunks(reference: Reference, chunk: int) -> None:
    ids = ids_for(reference.config)
    cache = KVCache(reference.config)
    parts = [reference.forward(ids[start : start + chunk], cache) for start in range(0, len(ids), chunk)]
    assert len(cache) == len(ids)
    assert relative_error(torch.cat(parts), reference.forward(ids)) <= TOLERANCE


def test_truncate_and_fork(reference: Reference) -> None:
    ids = ids_for(reference.config)
    cache = KVCache(reference.config)
    reference.forward(ids[:40], cache)
    fork = cache.fork()
    reference.forward(ids[40:], fork)
    assert (len(cache), len(fork)) == (40, 70)
    fork.truncate(40)
    expected = reference.forward(ids[:50])[40:]
    for each in (cache, fork):
        assert relative_error(reference.forward(ids[40:50], each), expected) <= TOLERANCE


def test_causal(reference: Reference) -> None:
    ids = ids_for(reference.config)
    changed = [*ids[:30], *(reversed(ids[30:]))]
    a, b = reference.forward(ids), reference.forward(changed)
    assert torch.equal(a[:30], b[:30]) and not torch.allclose(a[31:], b[31:])


def test_rotation_keeps_lengths_and_sees_distances_only() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 16)
    positions = torch.tensor([0, 3, 100, 103])
    cos, sin = rotary_tables(positions, 16, 1e4)
    turned_q, turned_k = rotate(q.expand(4, 1, 16), cos, sin), rotate(k.expand(4, 1, 16), cos, sin)
    torch.testing.assert_close(turned_q[0], q)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1).expand(4, 1))
    products = [(turned_q[a] * turned_k[b]).sum().item() for a, b in ((1, 0), (3, 2))]
    assert products[0] == pytest.approx(products[1], rel=1e-4)
    # Element i turns with element i + 8, by one radian a position for i = 0.
    unit = torch.zeros(1, 1, 16)
    unit[..., 0] = 1
    cos, sin = rotary_tables(torch.tensor([1]), 16, 1e4)
    expected = torch.zeros(1, 1, 16)
    expected[..., 0], expected[..., 8] = torch.tensor(1.0).cos(), torch.tensor(1.0).sin()
    torch.testing.assert_close(rotate(unit, cos, sin), expected)


def test_every_weight_counts(checkpoint: Callable[..., Path]) -> None:
    model = Reference.from_checkpoint(checkpoint(tied=False))
    ids = ids_for(model.config, count=12)
    before = model.forward(ids)
    for name in model.weights:
        weights = dict(model.weights)
        weights[name] = weights[name] + 0.1 * torch.randn(
            weights[name].shape, generator=torch.Generator().manual_seed(0)
        )
        assert relative_error(Reference(model.config, weights).forward(ids), before) > 1e-3, name


def test_every_setting_counts(reference: Reference) -> None:
    ids = ids_for(reference.config, count=30)
    before = reference.forward(ids)
    for change in ({"rope_theta": 100.0}, {"rms_norm_eps": 0.1}):
        config = dataclasses.replace(reference.config, **change)
        assert relative_error(Reference(config, reference.weights).forward(ids), before) > 1e-3, change


def test_from_an_open_checkpoint(checkpoint: Callable[..., Path], reference: Reference) -> None:
    with Checkpoint.open(checkpoint()) as opened:
        model = Reference.from_checkpoint(opened)
    ids = ids_for(model.config)
    assert torch.equal(model.forward(ids), reference.forward(ids))


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="truncated"):
        Reference.from_checkpoint(folder)
