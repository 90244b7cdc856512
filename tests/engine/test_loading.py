"""Loading: progress, cancelling, options, and what the facade is made of."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dummy_models import dummy_model, random_ids

import qwen3_chat.engine
from qwen3_chat.engine import Cancelled, CheckpointError, ConfigError, Engine, Progress, Qwen3Error, _core

MakeCheckpoint = Callable[..., Path]


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1"])
def test_progress(checkpoint: MakeCheckpoint, devices: str) -> None:
    seen: list[Progress] = []
    with Engine.load(checkpoint(), devices, progress=seen.append, threads=2) as engine:
        assert engine.load_seconds > 0
        assert engine.config is not None
        assert engine.meta.nlayer == engine.config.num_hidden_layers == 2
    assert {step.stage for step in seen} <= {"map", "repack", "warm-up"}
    repack = [step for step in seen if step.stage == "repack"]
    assert len(repack) > 2
    assert len({step.total for step in repack}) == 1
    assert [step.done for step in repack] == sorted(step.done for step in repack)
    assert repack[-1].done == repack[-1].total > 0


def test_progress_cancels(checkpoint: MakeCheckpoint) -> None:
    seen: list[Progress] = []

    def stop_at_the_third(step: Progress) -> bool:
        seen.append(step)
        return len(seen) < 3

    with pytest.raises(Cancelled):
        Engine.load(checkpoint(), progress=stop_at_the_third)
    assert len(seen) == 3


def test_none_from_progress_goes_on(checkpoint: MakeCheckpoint) -> None:
    with Engine.load(checkpoint(), progress=lambda step: None) as engine:
        assert engine.forward([1]).shape == (1, 384)


def test_an_exception_in_progress_arrives(checkpoint: MakeCheckpoint) -> None:
    class Mine(Exception):  # noqa: N818
        pass

    def fail(step: Progress) -> bool:
        raise Mine(step.stage)

    with pytest.raises(Mine):
        Engine.load(checkpoint(), devices="cpu:0,cpu:1", threads=2, progress=fail)


def test_control_c_ends_a_load(checkpoint: MakeCheckpoint) -> None:
    def press(step: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Engine.load(checkpoint(), progress=press)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_other_threads_run_during_a_load(checkpoint: MakeCheckpoint) -> None:
    """The callback waits for another Python thread, which therefore ran."""
    ticks = threading.Semaphore(0)
    ended = threading.Event()

    def tick() -> None:
        while not ended.is_set():
            ticks.release()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        Engine.load(checkpoint(), progress=lambda step: ticks.acquire(timeout=30)).close()
    finally:
        ended.set()
        thread.join()


def test_other_threads_run_during_a_forward_pass() -> None:
    """Python counts while the engine computes: the interpreter is not held."""
    ticks = [0]
    ended = threading.Event()

    def count() -> None:
        while not ended.wait(0.0002):
            ticks[0] += 1

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    with dummy_model(max_positions=4096, layers=3).engine() as engine:
        try:
            thread.start()
            sys.setswitchinterval(60)  # threads change where one lets go by itself, and only there
            before = ticks[0]
            engine.forward(random_ids(3000))
            after = ticks[0]
        finally:
            sys.setswitchinterval(interval)
            ended.set()
            thread.join()
    assert after > before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"weights": "int3"}, r"weights.*int3.*bf16"),
        ({"kv": "f8"}, r"kv.*f8"),
        ({"kv": "f16"}, r"kv.*f16"),
        ({"context": 0}, "context"),
        ({"context": 10**6}, r"context.*1000000.*2048"),
        ({"context": 1.5}, "context"),
        ({"threads": 0}, "threads"),
        ({"threads": -1}, "threads"),
        ({"kv_budget": 0}, "kv_budget"),
    ],
    ids=str,
)
def test_an_impossible_option_is_named(checkpoint: MakeCheckpoint, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Engine.load(checkpoint(), **options)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        Engine.load(tmp_path / "nowhere")
    with pytest.raises(Qwen3Error):
        Engine.load(tmp_path)


def test_the_files_may_change_afterwards(tmp_path: Path) -> None:
    """Nothing of the file is needed once it is loaded."""
    from checkpoints import make_checkpoint

    folder = make_checkpoint(tmp_path / "model")
    engine = Engine.load(folder)
    expected = engine.forward([1, 2, 3])
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    assert (engine.forward([1, 2, 3]) == expected).all()
    engine.close()


def test_with_closes(checkpoint: MakeCheckpoint) -> None:
    from qwen3_chat.engine import DeviceError

    with Engine.load(checkpoint()) as engine:
        pass
    with pytest.raises(DeviceError):
        engine.forward([1])


def test_threads(checkpoint: MakeCheckpoint) -> None:
    with Engine.load(checkpoint(), threads=3) as engine:
        assert engine.threads == 3
    with Engine.load(checkpoint()) as engine:
        assert 1 <= engine.threads <= len(os.sched_getaffinity(0))


def test_importing_the_engine_imports_nothing_heavy() -> None:
    code = "import sys, qwen3_chat.engine; print(*sorted(sys.modules), sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "textual", "safetensors"} & set(loaded)


def test_engines_that_live_until_the_end_say_nothing() -> None:
    """A process that ends with an engine, a cache and a running reply ends quietly."""
    tests = Path(__file__).parents[1]
    code = (
        f"import sys; sys.path[:0] = [{str(tests)!r}, {str(tests / 'engine')!r}]\n"
        "from dummy_models import dummy_model\n"
        "engine = dummy_model().engine(threads=2)\n"
        "generation = engine.generate([1, 2, 3])\n"
        "cache = engine.new_cache()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_stub_names_what_the_module_has() -> None:
    stub = Path(qwen3_chat.engine.__file__).with_name("_core.pyi")
    tree = ast.parse(stub.read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert hasattr(_core, node.target.id)
        if isinstance(node, ast.ClassDef):
            stubbed = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            actual = {name for name in vars(getattr(_core, node.name)) if not name.startswith("_")}
            assert {name for name in stubbed if not name.startswith("_")} == actual or node.name == "LogitsRows"
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert classes == {name for name, value in vars(_core).items() if isinstance(value, type)}
