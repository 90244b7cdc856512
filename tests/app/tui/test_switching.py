"""Another model for the same chat: chosen, loaded, and what happens when it does not come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from scene import ask, notes, scene, screen_text, send, texts, wait_until, window
from scripted import Scripted

from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.recent import RecentModels

GIB = 1 << 30


@pytest.fixture
def other(chat_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint with a name of its own."""
    link = tmp_path / "Qwen3-Other"
    link.symlink_to(chat_checkpoint)
    return link


class Loads:
    """In the place of `ChatModel.load`: gives scripted models by path, or raises, and tells who was there meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int | None, **made: Scripted | Exception) -> None:
        self.made = made
        self.closed_before: list[bool] = []  # of each load: the first model's memory had been given back
        self.watched: Scripted | None = None
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr(ChatModel, "load", self._load)
        monkeypatch.setattr("qwen3_chat.app.chat.replacement.free_memory", lambda devices: free)

    def _load(self, path: Path, options: Any, progress: Any) -> ChatModel:
        assert self.watched is not None
        self.closed_before.append(self.watched.engine.closed)
        self.gate.wait()
        made = self.made[path.name.replace("-", "_")]
        if isinstance(made, Exception):
            raise made
        model = made.model
        model.path, model.name = path, path.name
        return model


async def started(monkeypatch: pytest.MonkeyPatch, free: int | None, **made: Any) -> tuple[Any, Scripted, Loads]:
    first = scene("Hello.", "Again.")
    loads = Loads(monkeypatch, free, **made)
    loads.watched = first
    return window(first), first, loads


@pytest.mark.parametrize(("free", "first_goes"), [(64 * GIB, False), (1 << 20, True), (None, True)])
async def test_the_chat_goes_on_with_the_other_model(
    free: int | None, first_goes: bool, monkeypatch: pytest.MonkeyPatch, other: Path
) -> None:
    """Where memory is short, the first model is gone before the other one comes."""
    second = scene("Me too.")
    app, first, loads = await started(monkeypatch, free, Qwen3_Other=second)
    monkeypatch.setattr(type(first.engine), "memory", roomy(first.engine.memory))
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, "hi")
        await send(pilot, f"/model {other}")
        await wait_until(pilot, lambda: app.session.model is second.model)
        assert loads.closed_before == [first_goes]
        await wait_until(pilot, lambda: first.engine.closed)
        await wait_until(pilot, lambda: notes(app))
        assert notes(app)[0].what.startswith("Qwen3-Other goes on: f32")
        await ask(pilot, "and you?")
        assert texts(app) == ["hi", "Hello.", "and you?", "Me too."]
        assert "Qwen3-Other" in screen_text(app).split("\n")[0]
    assert RecentModels().paths() == [other]


def roomy(memory: Any) -> Any:
    """An engine whose memory, once given back, is enough for any of the tests' checkpoints."""

    def held(self: Any) -> Any:
        found = memory()
        found.weights = 64 * GIB
        return found

    return held


async def test_a_reply_that_runs_is_let_finish(monkeypatch: pytest.MonkeyPatch, other: Path) -> None:
    app, first, _ = await started(monkeypatch, 64 * GIB, Qwen3_Other=scene("Me too."))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, "hi")
        await send(pilot, f"/model {other}")
        await wait_until(pilot, lambda: app.session.model is not None and app.session.model is not first.model)
        assert texts(app) == ["hi", "Hello."]
