"""Fixtures every test folder shares: random checkpoints of any Qwen3 shape, made once a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# --import-mode=importlib adds no folder to the path, and `checkpoints` is for every test folder.
sys.path.insert(0, str(Path(__file__).parent))

from checkpoints import make_checkpoint

# No deadline, as a busy machine is no bug; no folder of examples beside the sources.
settings.register_profile("tests", deadline=None, database=None)
settings.load_profile("tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `full`, unless the full tier is asked for."""
    if os.environ.get("QWEN3_TEST_FULL"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker, where tests are spread over processes, tells the one that prints."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every worker collects, and leaves out, the same."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{count} tests of the full tier were left out: make test-full runs them, too")


LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`checkpoint(hidden=..., tied=..., ...) -> Path`: one folder a session per set of arguments, for reading only.

    A test that changes files calls `make_checkpoint(tmp_path, ...)` from `checkpoints` for a folder of its own.
    """
    made: dict[str, Path] = {}

    def cached(**shape: Any) -> Path:
        key = repr(sorted(shape.items()))
        if key not in made:
            made[key] = make_checkpoint(tmp_path_factory.mktemp("checkpoint"), **shape)
        return made[key]

    return cached


@pytest.fixture(scope="session")
def chat_checkpoint(checkpoint: Callable[..., Path]) -> Path:
    """The checkpoint most tests need: two small layers, a tokenizer and a chat template that can think."""
    return checkpoint(tokenizer=True)
