"""Does it fit? Worked out with numbers that a person can check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.memory import available_bytes, plan
from qwen3_chat.app.chat.options import EngineOptions
from qwen3_chat.engine import OutOfMemory
from qwen3_chat.models.checkpoint import WeightCounts
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.experts import Experts

GIB = 1 << 30
KIB = 1 << 10
SMALL = Qwen3Config(  # Qwen3-0.6B
    vocab_size=151936, hidden_size=1024, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8,
    head_dim=128, intermediate_size=3072, max_position_embeddings=40960, rms_norm_eps=1e-6, rope_theta=1e6,
    tie_word_embeddings=True, dtype="bfloat16", eos_token_ids=(151645, 151643),
)  # fmt: skip
WEIGHTS = 596_049_920
STORED = WeightCounts(WEIGHTS, "bf16")


def test_the_published_size_of_a_token() -> None:
    assert plan(SMALL, STORED, EngineOptions(), 64 * GIB).kv_per_token == 112 * KIB
    assert plan(SMALL, STORED, EngineOptions(kv="f32"), 64 * GIB).kv_per_token == 224 * KIB
    assert plan(SMALL, STORED, EngineOptions(weights="f32"), 64 * GIB).kv_per_token == 224 * KIB
    assert plan(SMALL, replace(STORED, kept="f16"), EngineOptions(), 64 * GIB).kv_per_token == 112 * KIB


def test_integer_weights_with_their_scales_and_an_int8_vocabulary() -> None:
    vocabulary, body = 151936 * 1024, 596_049_920 - 151936 * 1024
    assert plan(SMALL, STORED, EngineOptions(weights="int8"), 64 * GIB).weights == (vocabulary + body) * 17 // 16
    assert (
        plan(SMALL, STORED, EngineOptions(weights="int4"), 64 * GIB).weights == vocabulary * 17 // 16 + body * 9 // 16
    )
    assert plan(SMALL, STORED, EngineOptions(weights="int4"), 64 * GIB).kv_per_token == 112 * KIB


def test_quantized_files_take_what_each_of_their_matrices_comes_closest_to() -> None:
    vocabulary, body = 151936 * 1024, WEIGHTS - 151936 * 1024
    four = 300_000_000
    mixed = WeightCounts(WEIGHTS, "int4", quantized=True, four_bit=four)
    found = plan(SMALL, mixed, EngineOptions(), 64 * GIB)
    assert found.weights == (vocabulary + body - four) * 17 // 16 + four * 9 // 16
    assert found.kv_per_token == 112 * KIB
    asked = plan(SMALL, mixed, EngineOptions(weights="int8"), 64 * GIB)
    assert asked.weights == WEIGHTS * 17 // 16
    with pytest.raises(OutOfMemory, match=r"^needs 0\.\d GiB .*smaller model"):
        plan(SMALL, mixed, EngineOptions(), GIB // 2)


LARGE = replace(  # Qwen3-30B-A3B
    SMALL, hidden_size=2048, num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=4,
    intermediate_size=6144, tie_word_embeddings=False, experts=Experts(128, 8, 768),
)  # fmt: skip


def test_all_experts_are_held_and_their_routers_stay_as_they_are() -> None:
    vocabulary, routers, all_weights = 2 * 151936 * 2048, 48 * 128 * 2048, 30_532_122_624
    found = plan(LARGE, WeightCounts(all_weights, "bf16"), EngineOptions(weights="int4"), 64 * GIB)
    body = all_weights - vocabulary - routers
    assert found.weights == vocabulary * 17 // 16 + body * 9 // 16 + 2 * routers
    assert found.kv_per_token == 96 * KIB
    float32 = replace(LARGE, dtype="float32")  # as GGUF files have routers and norms
    quantized = WeightCounts(all_weights, "int4", quantized=True, four_bit=body)
    norms = body * 9 // 16 + vocabulary * 17 // 16 + 4 * routers
    assert plan(float32, quantized, EngineOptions(), 64 * GIB).weights == norms


def test_where_there_is_room_the_context_is_the_model_s_own() -> None:
    found = plan(SMALL, STORED, EngineOptions(), 64 * GIB)
    assert (found.context, found.weights) == (40960, 2 * WEIGHTS)
    assert found.kv_budget == 4 * 40960 * 112 * KIB


def test_where_there_is_less_the_context_shrinks_to_what_fits() -> None:
    available = 4 * GIB
    found = plan(SMALL, STORED, EngineOptions(), available)
    room = available - 2 * WEIGHTS - (300 << 20)
    assert found.context == room // (112 * KIB) // 64 * 64
    assert found.kv_budget == found.context * 112 * KIB <= room


def test_a_context_that_was_asked_for_is_kept() -> None:
    found = plan(SMALL, STORED, EngineOptions(context=1000), 4 * GIB)
    assert found.context == 1000
    assert found.kv_budget == 4 * 1024 * 112 * KIB  # whole pages


def test_a_context_that_was_asked_for_and_does_not_fit_is_refused_with_one_that_does() -> None:
    with pytest.raises(
        OutOfMemory, match=r"^needs 1\.4 GiB .* 4\.4 GiB for a context of 40960 .* 4\.0 GiB are free"
    ) as caught:
        plan(SMALL, STORED, EngineOptions(context=40960), 4 * GIB)
    advice = str(caught.value).split("--context ")[1].split()[0]
    assert plan(SMALL, STORED, EngineOptions(context=int(advice)), 4 * GIB).context == int(advice)


def test_weights_that_do_not_fit_at_all() -> None:
    with pytest.raises(OutOfMemory, match="smaller model"):
        plan(SMALL, STORED, EngineOptions(weights="int4"), GIB // 2)
    for weights, remedy in (("f32", "bf16"), ("bf16", "int8"), ("auto", "int8"), ("int8", "int4")):
        with pytest.raises(OutOfMemory, match=f"try --weights {remedy}"):
            plan(SMALL, STORED, EngineOptions(weights=weights), GIB // 2)
    with pytest.raises(OutOfMemory, match=r"try --context \d+ or --kv bf16"):
        plan(SMALL, STORED, EngineOptions(kv="f32", context=30000), 4 * GIB)


def test_more_than_the_model_was_made_for_is_a_wrong_flag() -> None:
    assert plan(SMALL, STORED, EngineOptions(context=131072), 64 * GIB).context == 131072  # with YaRN
    words = "--context 131073 is more than the 40960 tokens that this model was made for, or 131072 with YaRN"
    with pytest.raises(OptionError, match=words):
        plan(SMALL, STORED, EngineOptions(context=131073), 64 * GIB)
    devices = ",".join(f"cpu:{number}" for number in range(17))
    with pytest.raises(OptionError, match="--devices names 17 devices, and the model has 16 query heads"):
        plan(SMALL, STORED, EngineOptions(devices=devices), 64 * GIB)


def test_unknown_memory_refuses_nothing() -> None:
    assert plan(SMALL, STORED, EngineOptions(), None).context == 40960


def test_devices_that_share_a_head_hold_it_twice() -> None:
    assert plan(SMALL, STORED, EngineOptions(devices="cpu:0,cpu:1,cpu:2"), 64 * GIB).kv_per_token == 112 * KIB * 10 // 8


def write(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root / "proc", root / "cgroup"


MEMINFO = {"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 4 * GIB),
        ({**MEMINFO, "cgroup/memory.max": "max\n", "cgroup/memory.current": "1\n"}, 4 * GIB),
        ({**MEMINFO, "cgroup/memory.max": f"{2 * GIB}\n", "cgroup/memory.current": f"{GIB}\n"}, GIB),
        (
            {**MEMINFO, "cgroup/memory.max": f"{2 * GIB}\n", "cgroup/memory.current": f"{2 * GIB}\n",
             "cgroup/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n"},
            GIB // 2,
        ),
        (
            {**MEMINFO, "proc/self/cgroup": "0::/user/app\n", "cgroup/user/app/memory.max": "max\n",
             "cgroup/user/app/memory.current": "5\n", "cgroup/user/memory.max": f"{GIB}\n",
             "cgroup/user/memory.current": f"{GIB // 4}\n"},
            3 * GIB // 4,
        ),
        (
            {**MEMINFO, "cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
             "cgroup/memory/memory.usage_in_bytes": f"{3 * GIB}\n"},
            0,
        ),
    ],
)  # fmt: skip
def test_free_memory_is_the_tightest_of_all_limits(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    proc, cgroup = write(tmp_path, files)
    assert available_bytes(proc, cgroup) == expected


def test_this_machine_knows_its_memory() -> None:
    assert (available_bytes() or 0) > 0
