"""What NVML tells of the GPUs, by a module that answers as nvidia-ml-py does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from qwen3_chat.app.chat.gpus import Gpu, free_bytes, visible_gpus
from qwen3_chat.app.chat.memory import free_memory, plan
from qwen3_chat.app.chat.model import with_devices
from qwen3_chat.app.chat.options import EngineOptions
from qwen3_chat.engine import OutOfMemory
from qwen3_chat.models.checkpoint import WeightCounts
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.experts import Experts

GIB = 1 << 30
MODEL = Qwen3Config(  # Qwen3-0.6B
    vocab_size=151936, hidden_size=1024, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8,
    head_dim=128, intermediate_size=3072, max_position_embeddings=40960, rms_norm_eps=1e-6, rope_theta=1e6,
    tie_word_embeddings=True, dtype="bfloat16", eos_token_ids=(151645, 151643),
)  # fmt: skip


def nvml(free: Sequence[int], driver: bool = True) -> Any:
    """A stand-in: as many GPUs as numbers, each with so many free bytes of 80 GiB."""
    module: Any = ModuleType("pynvml")
    module.NVMLError = type("NVMLError", (Exception,), {})

    def init() -> None:
        if not driver:
            raise module.NVMLError("Driver Not Loaded")

    module.nvmlInit = init
    module.nvmlShutdown = lambda: None
    module.nvmlDeviceGetCount = lambda: len(free)
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetName = lambda index: f"GPU {index}"
    module.nvmlDeviceGetUUID = lambda index: f"GPU-{index}{index}-{index}"
    module.nvmlSystemGetDriverVersion = lambda: "580.65.06"
    module.nvmlDeviceGetMemoryInfo = lambda index: SimpleNamespace(free=free[index], total=80 * GIB)
    return module


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml([70 * GIB, 60 * GIB]))
    assert visible_gpus() == [
        Gpu("GPU 0", "580.65.06", 70 * GIB, 80 * GIB),
        Gpu("GPU 1", "580.65.06", 60 * GIB, 80 * GIB),
    ]
    assert free_bytes(2) == 120 * GIB  # shares are even


@pytest.mark.parametrize(
    ("named", "seen"), [("1", ["GPU 1"]), ("GPU-00", ["GPU 0"]), ("2, 0", ["GPU 0", "GPU 2"]), ("", []), ("-1", [])]
)
def test_only_those_that_cuda_sees(named: str, seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml([GIB] * 3))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert [gpu.name for gpu in visible_gpus()] == seen
    assert (free_bytes(1) is None) == (not seen)


@pytest.mark.parametrize("module", [None, nvml([]), nvml([GIB], driver=False)], ids=["no NVML", "no GPU", "no driver"])
def test_nobody_can_tell(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", module)  # None: as if it were not installed
    assert visible_gpus() == []
    assert free_bytes(1) is None


def test_what_gpus_hold_is_what_a_model_on_them_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml([70 * GIB, 60 * GIB]))
    monkeypatch.setattr("qwen3_chat.app.chat.memory.available_bytes", lambda: GIB)
    assert free_memory("cuda:0,cuda:1") == 120 * GIB
    assert free_memory("cpu:0,cpu:1") == GIB


def test_auto_takes_gpus_only_for_what_they_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def devices(heads: int, threads: int | None, *, gpus: bool) -> tuple[str, ...]:
        return ("cuda:0", "cuda:1") if gpus else ("cpu:0",)

    monkeypatch.setattr("qwen3_chat.engine.default_devices", devices)
    chosen = with_devices(EngineOptions(), MODEL)
    assert (chosen.devices, chosen.weights) == ("cuda:0,cuda:1", "bf16")
    assert with_devices(EngineOptions(weights="int8"), MODEL).devices == "cpu:0"
    experts = replace(MODEL, experts=Experts(8, 2, 768))
    assert with_devices(EngineOptions(), experts).devices == "cpu:0"


def test_a_model_that_does_not_fit_on_a_gpu() -> None:
    options = EngineOptions(devices="cuda:0", weights="bf16")
    counts = WeightCounts(596_049_920, "bf16")
    assert plan(MODEL, counts, options, 8 * GIB).context == 40960
    assert plan(MODEL, counts, options, None).kv_budget is None
    with pytest.raises(OutOfMemory, match=r"1\.0 GiB are free; try --devices cpu:0$"):
        plan(MODEL, counts, options, GIB)
