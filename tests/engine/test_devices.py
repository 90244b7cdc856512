"""One model over several devices: the same logits up to float32 rounding, whatever the split."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from dummy_models import append, assert_same_choice, dummy_model, eventually, random_ids, relative_error

from qwen3_chat.engine import ConfigError, DeviceError, Engine, SamplingParams, default_devices

F32 = 1e-5

SHAPES: dict[str, dict[str, Any]] = {
    "even": {"heads": 4, "kv_heads": 4, "intermediate": 128, "vocab": 128},
    "8 heads on 1 KV head": {"heads": 8, "kv_heads": 1, "head_dim": 8},
    "8 heads on 2 KV heads": {"heads": 8, "kv_heads": 2, "head_dim": 8, "tied": True},
    "8 heads on 8 KV heads": {"heads": 8, "kv_heads": 8, "head_dim": 8},
    "5 heads on 5 KV heads, odd sizes": {"heads": 5, "kv_heads": 5, "intermediate": 101, "vocab": 97, "hidden": 50},
    "less than a granule for every device": {"intermediate": 33, "vocab": 17},
}


def names(count: int) -> str:
    return ",".join(f"cpu:{index}" for index in range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_any_split_computes_the_same(shape: dict[str, Any], count: int) -> None:
    model = dummy_model(**shape)
    ids = random_ids(80, model.config.vocab_size)
    with model.engine(names(count), threads=count) as engine:
        assert engine.devices == tuple(names(count).split(","))
        whole = engine.forward(ids)
        stepwise = append(engine, engine.new_cache(), ids, [70] + [1] * 10)
    expected = model.logits(ids)
    assert relative_error(whole, expected) <= F32
    assert relative_error(stepwise, expected) <= F32
    assert_same_choice(whole, expected, F32)


def test_greedy_replies_agree_until_the_margin_is_too_small() -> None:
    model = dummy_model(heads=8, kv_heads=2, head_dim=8)
    prompt = random_ids(20)
    greedy = SamplingParams(temperature=0, max_new_tokens=40, stop_ids=[])
    replies = []
    for count in (1, 3):
        with model.engine(names(count), threads=count) as engine:
            replies.append([token.id for token in engine.generate(prompt, sampling=greedy)])
    one, three = replies
    for position, (a, b) in enumerate(zip(one, three, strict=True)):
        if a != b:
            row = model.logits([*prompt.tolist(), *one[:position]])[-1]
            assert abs(row[a] - row[b]) <= 2 * F32 * abs(row).max()
            break


def test_devices_hold_a_share_each() -> None:
    model = dummy_model(heads=8, kv_heads=8, head_dim=8, hidden=64, intermediate=256, vocab=512)
    with model.engine() as one, model.engine(names(4), threads=4) as four:
        assert one.memory().weights <= four.memory().weights <= 1.1 * one.memory().weights
        assert one.memory().kv_bytes_per_token == four.memory().kv_bytes_per_token
        assert four.profile().kind == "decode"


def test_shared_kv_heads_are_held_by_every_device_that_uses_them() -> None:
    model = dummy_model(heads=8, kv_heads=1, head_dim=8)
    with model.engine() as one, model.engine(names(2), threads=2) as two:
        assert two.memory().kv_bytes_per_token == 2 * one.memory().kv_bytes_per_token


def test_more_devices_than_query_heads() -> None:
    with pytest.raises(ConfigError, match="5 devices for 4 query heads"):
        dummy_model().engine(names(5), threads=5)


@pytest.mark.parametrize("devices", ["gpu:0", "cpu", "cpu:", "cpu:-1", "cpu:x", "", "cpu:0,", "cuda:0", "cpu:0 cpu:1"])
def test_unknown_devices_are_named(devices: str) -> None:
    with pytest.raises(DeviceError, match=r"cpu:") as caught:
        dummy_model().engine(devices)
    assert "\n" not in str(caught.value)


def test_a_device_may_appear_once() -> None:
    with pytest.raises(DeviceError, match="cpu:0"):
        dummy_model().engine("cpu:0,cpu:0")


@pytest.mark.parametrize("devices", ["cpu:0", ["cpu:0"], " cpu:0 "])
def test_ways_to_name_one_device(devices: Any) -> None:
    with dummy_model().engine(devices) as engine:
        assert engine.devices == ("cpu:0",)


@pytest.mark.parametrize("devices", ["auto", ["auto"], " auto "])
def test_nobody_has_to_name_devices(devices: Any) -> None:
    with dummy_model().engine(devices) as engine:
        assert engine.devices == default_devices(query_heads=4)
    assert default_devices(query_heads=1) == default_devices(query_heads=16, threads=1) == ("cpu:0",)


def test_auto_is_no_device_among_others() -> None:
    with pytest.raises(DeviceError, match="'auto' is not known"):
        dummy_model().engine("auto,cpu:0")


def test_a_load_leaves_the_caller_s_processors_alone() -> None:
    before = os.sched_getaffinity(0)
    with dummy_model().engine(names(2), threads=2):
        assert os.sched_getaffinity(0) == before


def test_an_idle_engine_s_threads_sleep() -> None:
    def states() -> set[str]:
        tasks = Path("/proc/self/task").iterdir()
        others = (task for task in tasks if task.name != str(threading.get_native_id()))
        return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in others}

    with dummy_model().engine(names(2), threads=4) as engine:
        list(engine.generate([1, 2, 3], sampling=SamplingParams(max_new_tokens=3, stop_ids=[])))
        eventually(lambda: states() == {"S"})


def test_an_engine_that_is_dropped_ends_its_threads() -> None:
    def thread_count() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = thread_count()
    engine: Engine | None = dummy_model().engine(names(2), threads=4)
    assert thread_count() > before
    del engine
    eventually(lambda: thread_count() <= before)
