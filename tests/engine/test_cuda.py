"""The CUDA backend on emulated GPUs: its own kernels and host code, over a runtime that is the host's memory.

QWEN3_TEST_DEVICES names real ones instead, as `make gpu-check` does; what only an emulation can do is then left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ExpertShape, make_checkpoint
from dummy_models import (
    Array,
    DummyModel,
    append,
    assert_same_choice,
    dummy_model,
    needs_emulated_gpu,
    random_ids,
    relative_error,
    rms_error,
)
from gguf import GGMLQuantizationType as Type
from gguf_files import write_gguf
from rounded_bf16 import decode_logits, gpu_logits, prefill_logits

from qwen3_chat.engine import (
    ConfigError,
    DeviceError,
    Engine,
    OutOfMemory,
    Qwen3Meta,
    Qwen3Weights,
    SamplingParams,
    StepRequest,
    default_devices,
    gpu_obstacle,
    why_no_gpu,
)

DEVICES = os.environ.get("QWEN3_TEST_DEVICES", "cudaemu:0,cudaemu:1")
GPU, GPUS = DEVICES.split(",")[0], DEVICES
REAL = DEVICES.startswith("cuda:")
pytestmark = [] if REAL else [needs_emulated_gpu]
emulated = pytest.mark.skipif(REAL, reason="needs an emulated GPU")

BF16 = 5e-3

SHAPES: dict[str, dict[str, Any]] = {
    "two layers": {},
    "8 heads on 1 KV head": {"heads": 8, "kv_heads": 1, "head_dim": 8},
    "5 heads, odd sizes": {"heads": 5, "kv_heads": 5, "intermediate": 101, "vocab": 97, "hidden": 50},
    "less than a granule for every device": {"intermediate": 33, "vocab": 17},
    "head dimension 128, tied": {"head_dim": 128, "heads": 2, "kv_heads": 1, "layers": 1, "tied": True},
}
FAST = ("two layers", "less than a granule for every device")


def assert_agree(logits: Array, expected: Array) -> None:
    """Over all of them; a single one may be further out, where the last bit before a rounding made a step after it."""
    assert rms_error(logits, expected) <= BF16
    assert relative_error(logits, expected) <= 2 * BF16


def tiers(shapes: dict[str, dict[str, Any]]) -> list[Any]:
    return [
        pytest.param(shape, id=name, marks=() if name in FAST else pytest.mark.full) for name, shape in shapes.items()
    ]


@pytest.mark.parametrize("devices", [GPU, GPUS])
@pytest.mark.parametrize("shape", tiers(SHAPES))
def test_it_computes_what_the_reference_does(shape: dict[str, Any], devices: str) -> None:
    """A long prompt, short chunks, single tokens: all three ways through the kernels."""
    model = dummy_model(**shape)
    ids = random_ids(80, model.config.vocab_size)
    with model.engine(devices, threads=2) as engine:
        assert (engine.devices, engine.weights, engine.kv) == (tuple(devices.split(",")), "bf16", "bf16")
        assert engine.isa.startswith("sm_")
        whole = engine.forward(ids)
        chunks = append(engine, engine.new_cache(), ids, [7] * 10 + [5] * 2)
        decoded = append(engine, engine.new_cache(), ids[:20], [1] * 20)
    assert_agree(whole, prefill_logits(model, ids))
    assert_agree(chunks, gpu_logits(model, ids, projections=False, attention=True))
    assert relative_error(decoded, decode_logits(model, ids[:20])) <= BF16
    assert_same_choice(whole, model.logits(ids), 2 * BF16)


def test_a_ragged_batch(model: DummyModel) -> None:
    """Single tokens, short and long chunks side by side; one of them on pages that another shares."""
    prompts = [random_ids(count, seed=count) for count in (70, 9, 3, 1)]
    with model.engine(GPU) as engine:
        caches = [engine.new_cache() for _ in prompts]
        append(engine, caches[0], prompts[0], [70])
        fork = caches[0].fork(67)
        tails = [random_ids(count, seed=40 + count) for count in (1, 5)]
        requests = [
            StepRequest(tails[0], caches[0], "all"),
            *(StepRequest(prompt, cache, "all") for prompt, cache in zip(prompts[1:], caches[1:], strict=True)),
            StepRequest(tails[1], fork, "all"),
        ]
        rows = engine.step(requests)
        contexts = [
            [*prompts[0], *tails[0]],
            *prompts[1:],
            [*prompts[0][:67], *tails[1]],
        ]
    for context, request, logits in zip(contexts, requests, rows, strict=True):
        assert logits is not None
        expected = prefill_logits(model, np.asarray(context, np.int32))[-len(request.tokens) :]
        assert_agree(logits, expected)


@pytest.mark.parametrize("devices", [GPU, GPUS])
def test_decode_steps_replay_a_graph(model: DummyModel, devices: str) -> None:
    """One capture a bucket, then replays with other positions and pages: the same logits as launch by launch."""
    ids = random_ids(80)
    with model.engine(devices, threads=2) as engine:
        engine.profile(reset=True)
        logits = append(engine, engine.new_cache(), ids, [1] * 80)
        profile = engine.profile()
        assert (profile.steps, profile.replayed_steps) == (80, 80 - 3)  # one of 32 is timed, and launched for that
        assert relative_error(logits, decode_logits(model, ids)) <= BF16


@pytest.mark.parametrize("companions", [2, 3, pytest.param(9, marks=pytest.mark.full)])
def test_a_graph_serves_fewer_rows_than_its_bucket(model: DummyModel, companions: int) -> None:
    prompts = [random_ids(20, seed=seed) for seed in range(companions)]
    with model.engine(GPU) as engine:
        caches = [engine.new_cache() for _ in prompts]
        rows = [
            engine.step([StepRequest(ids[at : at + 1], cache) for ids, cache in zip(prompts, caches, strict=True)])
            for at in range(20)
        ]
    for request, ids in enumerate(prompts):
        logits = np.stack([row for step in rows if (row := step[request]) is not None])
        assert_agree(logits, gpu_logits(model, ids, projections=companions > 8, attention=False))


@emulated
@pytest.mark.parametrize("devices", [GPU, GPUS])
@pytest.mark.parametrize("kind", [Type.F16, Type.Q8_0], ids=["F16", "Q8_0"])
def test_what_is_no_bf16_is_rounded_on_its_way(kind: Type, devices: str, tmp_path: Path) -> None:
    """Slices of rows and of columns, decoded or converted; compared with the weights that the file means."""
    shape: dict[str, Any] = {"hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 96, "vocab": 101}
    make_checkpoint(tmp_path, **shape, layers=2)
    meaning = write_gguf(tmp_path / "model.gguf", tmp_path, lambda name, tensor: kind)
    ids = random_ids(30)
    with Engine.load(tmp_path / "model.gguf", devices, threads=2, context=64) as engine:
        config = engine.config
        logits = append(engine, engine.new_cache(), ids, [20] + [1] * 10)
    assert config is not None
    model = DummyModel(config, meaning)
    assert relative_error(logits, gpu_logits(model, ids, projections=False, attention=False)) <= 4 * BF16


@emulated
def test_without_graphs_steps_are_launched(model: DummyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_CUDAEMU_WITHOUT", "graphs")
    ids = random_ids(12)
    with model.engine(GPU) as engine:
        assert engine.isa == "sm_90 without graphs (cudaGraphInstantiate: operation not supported)"
        logits = append(engine, engine.new_cache(), ids, [1] * 12)
        assert engine.profile().replayed_steps == 0
    assert relative_error(logits, decode_logits(model, ids)) <= BF16


def test_times(model: DummyModel) -> None:
    with model.engine(GPUS, threads=2) as engine:
        engine.profile(reset=True)
        append(engine, engine.new_cache(), random_ids(30), [20] + [1] * 10)
        for profile in (engine.profile(), engine.profile(kind="prefill")):
            assert profile.layer_ns.shape == (GPUS.count(",") + 1, 2, 7)
            assert (profile.layer_ns[:, :, :-1] > 0).all()
            measured = profile.layer_ns.sum(axis=(1, 2)) + profile.device_ns.sum(axis=1)
            assert (measured <= profile.step_ns).all()
        assert 0 <= engine.profile().probe_share < 1


# ---- what a step costs -----------------------------------------------------------------------------------------------

PUBLISHED = {
    "0.6B": {"nlayer": 28, "d": 1024, "nh": 16, "nkvh": 8, "di": 3072, "tie_embd": True},
    "8B": {"nlayer": 36, "d": 4096, "nh": 32, "nkvh": 8, "di": 12288, "tie_embd": False},
}


def zeros(meta: Qwen3Meta) -> Qwen3Weights:
    """Every layer the same pages of zeros, bfloat16: nothing is computed with them."""
    import torch

    def tensor(*shape: int) -> Any:
        return torch.zeros(shape, dtype=torch.bfloat16)

    d, q, kv = meta.d, meta.nh * meta.dh, meta.nkvh * meta.dh
    layers = {
        "attn_norm": tensor(d),
        "attn_q_norm": tensor(meta.dh),
        "attn_k_norm": tensor(meta.dh),
        "attn_q_proj": tensor(q, d),
        "attn_k_proj": tensor(kv, d),
        "attn_v_proj": tensor(kv, d),
        "attn_o_proj": tensor(d, q),
        "ffn_norm": tensor(d),
        "mlp_gate_proj": tensor(meta.di, d),
        "mlp_up_proj": tensor(meta.di, d),
        "mlp_down_proj": tensor(d, meta.di),
    }
    return Qwen3Weights(
        input_embd=tensor(meta.dvoc, d),
        output_norm=tensor(d),
        output_embd=None if meta.tie_embd else tensor(meta.dvoc, d),
        **{name: [array] * meta.nlayer for name, array in layers.items()},
    )


@emulated
@pytest.mark.parametrize("name", ["0.6B", pytest.param("8B", marks=pytest.mark.full)])
def test_a_token_costs_few_launches_and_little_more_than_its_weights(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by the engine itself over the published shape, its kernels not run, after a prompt of 4000 tokens."""
    monkeypatch.setenv("QWEN3_CUDAEMU_DRY", "1")
    meta = Qwen3Meta(dh=128, dctx=40960, dvoc=151936, epsilon=1e-6, theta=1e6, end_tokens=(), **PUBLISHED[name])
    prompt = 4000
    with Engine.from_weights(meta, zeros(meta), GPU, threads=2, context=8192) as engine:
        cache = engine.new_cache()
        ids = np.zeros(prompt, np.int32)
        append_quietly(engine, ids, cache)
        for _ in range(33):  # one of them is timed, and so its counts are shown
            engine.step([StepRequest(ids[:1], cache)])
        (counts,) = engine.profile().counts
        memory = engine.memory()
    assert counts.launches <= 7 * meta.nlayer + 2
    assert counts.collectives == 0
    needed = memory.weights_per_step + prompt * memory.kv_bytes_per_token
    print(f"{name}: {counts.launches} launches, {counts.bytes / needed:.3f} of weights and KV a token")
    assert needed < counts.bytes <= 1.1 * needed


def append_quietly(engine: Engine, ids: Any, cache: Any) -> None:
    for begin in range(0, len(ids), 256):
        engine.step([StepRequest(ids[begin : begin + 256], cache, "none")])


# ---- what may be missing ---------------------------------------------------------------------------------------------

LOAD = """
import os
from qwen3_chat.engine import DeviceError, Engine
from qwen3_chat.models import demo

def load(devices, without):
    os.environ["QWEN3_CUDAEMU_WITHOUT"] = without
    try:
        with Engine.load(demo.path(), devices, context=64) as engine:
            print(*engine.devices)
    except DeviceError as error:
        print(error)

load("cudaemu:0", "driver")
load("cudaemu:0", "gpu")
load("cudaemu:0", "cublas")
load("cudaemu:0,cudaemu:1", "nccl")
load("cudaemu:0", "nccl")
load("cpu:0", "driver")
"""


@emulated
def test_what_is_missing_is_named() -> None:
    """Each alone. In a process of its own, as a library that was found stays; and the CPU goes on working there."""
    result = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, timeout=120)
    assert result.stderr == ""
    said = result.stdout.splitlines()
    expected = [
        r"device 'cudaemu:0': no NVIDIA driver.*install driver.*cpu:0",
        r"device 'cudaemu:0': no GPU is visible.*nvidia-smi.*cpu:0",
        r"libcublasLt.so.13.*pip install 'qwen3-chat\[cuda\]'.*cpu:0",
        r"libnccl.so.2.*pip install 'qwen3-chat\[cuda\]'.*cpu:0",
        "^cudaemu:0$",
        "^cpu:0$",
    ]
    assert len(said) == len(expected)
    for line, pattern in zip(said, expected, strict=True):
        assert re.search(pattern, line), line


def test_auto_falls_back_to_the_cpu_and_says_why() -> None:
    reason = why_no_gpu()
    if reason is None:
        assert all(name.startswith("cuda:") for name in default_devices(16))
    else:
        assert "cpu:0" in reason
        assert all(name.startswith("cpu:") for name in default_devices(16))


@pytest.mark.parametrize(
    ("shape", "weights", "named"),
    [
        ({}, "auto", None),
        ({}, "bf16", None),
        ({}, "int8", "int8.*--weights auto or bf16"),
        ({"head_dim": 258, "heads": 1, "kv_heads": 1}, "auto", "head_dim is 258.*at most 256.*cpu:0"),
        ({"experts": ExpertShape(4, 2, 32)}, "auto", "mixture of experts.*cpu:0"),
    ],
)
def test_what_keeps_a_model_from_gpus(shape: dict[str, Any], weights: Any, named: str | None) -> None:
    obstacle = gpu_obstacle(dummy_model(**shape).meta, weights)
    assert obstacle is None if named is None else re.search(named, obstacle or "")


@emulated
@pytest.mark.parametrize(
    ("devices", "options", "error", "named"),
    [
        ("cudaemu:0,cudaemu:00", {}, DeviceError, r"'cudaemu:00' is named twice"),
        ("cudaemu:0,cpu:0", {}, DeviceError, r"'cudaemu:0' and 'cpu:0' cannot share"),
        ("cudaemu:8", {}, DeviceError, r"'cudaemu:8' does not exist: 8 found"),
        (GPU, {"weights_dtype": "int8"}, ConfigError, r"int8.*--weights auto or bf16"),
        (GPU, {"weights_dtype": "f32"}, ConfigError, r"f32.*--weights auto or bf16"),
    ],
)
def test_what_cannot_be(devices: str, options: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        dummy_model().engine(devices, threads=2, **options)


def test_heads_that_are_too_wide() -> None:
    with pytest.raises(ConfigError, match=r"head_dim is 258.*at most 256.*cpu:0"):
        dummy_model(head_dim=258, heads=1, kv_heads=1, layers=1).engine(GPU)


# ---- what may go wrong -----------------------------------------------------------------------------------------------


@emulated
@pytest.mark.parametrize("devices", [GPU, GPUS])
def test_weights_that_do_not_fit(model: DummyModel, devices: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_CUDAEMU_MEMORY", str(33 << 20))
    with pytest.raises(OutOfMemory, match=r"no room for .* of .*: .* are free; lower --context"):
        dummy_model(vocab=30000, layers=1).engine(devices, threads=2)


@emulated
@pytest.mark.parametrize("devices", [GPU, GPUS])
def test_a_step_that_does_not_fit_loses_nothing(
    model: DummyModel, devices: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = random_ids(200)
    with model.engine(devices, threads=2) as engine:
        cache = engine.new_cache()
        append(engine, cache, ids[:9], [9])
        monkeypatch.setenv("QWEN3_CUDAEMU_MEMORY", "1")
        with pytest.raises(OutOfMemory, match="no room for"):
            engine.step([StepRequest(ids[9:], cache)])
        assert cache.tokens == ids[:9].tolist()
        monkeypatch.delenv("QWEN3_CUDAEMU_MEMORY")
        (logits,) = engine.step([StepRequest(ids[9:], cache)])
    assert logits is not None
    assert_agree(logits, prefill_logits(model, ids)[-1])


@emulated
def test_a_gpu_that_fails_ends_the_group(model: DummyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others do not wait for it for ever, its failure is what is told, and the engine says that it is dead."""
    with model.engine(GPUS, threads=2) as engine:
        monkeypatch.setenv("QWEN3_CUDAEMU_FAILING", "1")
        with pytest.raises(DeviceError, match="illegal memory access"):
            engine.forward(random_ids(20))
        monkeypatch.delenv("QWEN3_CUDAEMU_FAILING")
        with pytest.raises(DeviceError, match=r"broke up|illegal memory access"):
            engine.forward(random_ids(20))


def test_a_reply_of_its_own(model: DummyModel) -> None:
    with model.engine(GPUS, threads=2) as engine:
        prompt = random_ids(20)
        greedy = SamplingParams(temperature=0, max_new_tokens=20, stop_ids=[])
        reply = [token.id for token in engine.generate(prompt, sampling=greedy)]
        again = [token.id for token in engine.generate(prompt, sampling=greedy)]
    assert reply == again
    ids = np.asarray([*prompt, *reply[:-1]], np.int32)
    logits = decode_logits(model, ids)[len(prompt) - 1 :]
    for row, token in zip(logits, reply, strict=True):
        assert row.max() - row[token] <= 4 * BF16 * np.abs(logits).max()
