"""Another model for the same chat: chosen, loaded, and what happens when it does not come."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hub_server import Repository, serve
from scene import ask, idle, notes, prompt_text, scene, screen_text, send, texts, wait_until, window
from scripted import Scripted

from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.recent import RecentModels
from qwen3_chat.app.tui.screens.models import ModelsScreen
from qwen3_chat.engine import Cancelled, OutOfMemory
from qwen3_chat.models import source
from qwen3_chat.models.errors import CheckpointError

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


async def test_what_does_not_fit_even_alone_leaves_the_old_model_there(
    monkeypatch: pytest.MonkeyPatch, other: Path
) -> None:
    app, first, loads = await started(monkeypatch, 1 << 20)
    held = first.model.engine.memory()
    held.weights = 3 << 20
    monkeypatch.setattr(first.model.engine, "memory", lambda: held)
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, "hi")
        await send(pilot, f"/model {other}")
        await wait_until(pilot, lambda: notes(app))
        assert notes(app)[0].what == "Qwen3-Other could not be loaded"
        assert "needs 0.3 GiB" in notes(app)[0].why
        assert notes(app)[0].what_next == "scripted is still there"
        assert (loads.closed_before, first.engine.closed) == ([], False)
        await ask(pilot, "still there?")
        assert texts(app)[-1] == "Again."
        assert app.session.failure is None


async def test_a_model_that_gave_way_is_loaded_again_if_the_other_one_fails(
    monkeypatch: pytest.MonkeyPatch, other: Path
) -> None:
    again = scene("Here again.")
    failing = CheckpointError("model.safetensors: is damaged")
    app, _, loads = await started(monkeypatch, None, Qwen3_Other=failing, scripted=again)
    monkeypatch.setattr("qwen3_chat.app.chat.replacement.preflight", lambda path: None)
    monkeypatch.setattr("qwen3_chat.models.source.open_model", anything(other))
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, "hi")
        loads.gate.clear()
        await send(pilot, f"/model {other}")
        await wait_until(pilot, lambda: loads.closed_before == [True])
        await send(pilot, "for the other one")
        await wait_until(pilot, lambda: app.session.waiting == ["for the other one"])
        loads.gate.set()
        await wait_until(pilot, lambda: app.session.model is again.model)
        assert notes(app)[0].why == "model.safetensors: is damaged"
        assert notes(app)[0].what_next == "scripted is loaded again"
        assert prompt_text(app) == "for the other one"  # the person decides whether the old one gets it
        await pilot.press("enter")
        await wait_until(pilot, lambda: idle(app) and texts(app)[-1] == "Here again.")


def anything(path: Path) -> Any:
    """In the place of `open_model`, for the model that a test has only by name."""
    open_model = source.open_model
    return lambda _: open_model(path)


async def test_a_cancelled_change_keeps_the_old_model(monkeypatch: pytest.MonkeyPatch, other: Path) -> None:
    app, first, loads = await started(monkeypatch, 64 * GIB, Qwen3_Other=Cancelled("loading was cancelled"))
    monkeypatch.setattr(type(first.engine), "memory", roomy(first.engine.memory))
    loads.gate.clear()
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, f"/model {other}")
        await wait_until(pilot, lambda: loads.closed_before)
        await wait_until(pilot, lambda: "◆ Qwen3-Other  loading" in screen_text(app))
        await send(pilot, f"/model {other}")  # one at a time
        await wait_until(pilot, lambda: "Qwen3-Other is still being loaded; esc cancels" in screen_text(app))
        await pilot.press("escape")
        loads.gate.set()
        await wait_until(pilot, lambda: app.session.model is first.model)
        await wait_until(pilot, lambda: notes(app))
        assert notes(app)[0].what == "Loading Qwen3-Other was cancelled"
        assert "◆ scripted" in screen_text(app)


async def test_a_failed_first_load_can_be_made_good(monkeypatch: pytest.MonkeyPatch, other: Path) -> None:
    second = scene("Here I am.")
    loads = Loads(monkeypatch, None, Qwen3_Other=second)
    loads.watched = scene()

    def fail(progress: Any) -> Any:
        raise OutOfMemory("needs 8.0 GiB, 1.2 free")

    app = window(scene(), load=fail)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: notes(app))
        await send(pilot, "hi")
        await wait_until(pilot, lambda: "there is no model to answer; ^L chooses one" in screen_text(app))
        await wait_until(pilot, lambda: prompt_text(app) == "hi")
        app.chat.prompt.area.text = ""
        await send(pilot, f"/model {other}")
        await wait_until(pilot, lambda: app.session.model is second.model)
        await ask(pilot, "hi")
        assert texts(app) == ["hi", "Here I am."]
        assert app.session.failure is None


async def test_a_path_without_a_model_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app, first, _ = await started(monkeypatch, None)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await send(pilot, f"/model {tmp_path / 'nowhere'}")
        await wait_until(pilot, lambda: notes(app))
        assert "no such folder" in notes(app)[0].why
        assert app.session.model is first.model


async def test_the_list_narrows_with_every_letter(monkeypatch: pytest.MonkeyPatch, other: Path, homes: Path) -> None:
    (homes / "config/qwen3-chat").mkdir(parents=True)
    (homes / "config/qwen3-chat/config.toml").write_text(f'[models]\nmine = "{other}"\n')
    app, _, _ = await started(monkeypatch, 64 * GIB, Qwen3_Other=scene("Me too."))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("ctrl+l")
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await wait_until(pilot, lambda: "demo model" in screen_text(app) and "your list" in screen_text(app))
        await pilot.press("m", "i", "n", "e")
        await wait_until(pilot, lambda: "demo model" not in screen_text(app))
        await pilot.press("x")
        await wait_until(pilot, lambda: "no known model is called so" in screen_text(app))
        with TemporaryDirectory() as folder:  # of a short name
            await pilot.press("escape", *folder)
            await wait_until(pilot, lambda: screen_text(app).count(folder) == 2)  # typed, and offered
        await pilot.press("escape", "m", "i", "n", "e", "enter")
        await wait_until(pilot, lambda: app.session.model is not None and app.session.model.name == "Qwen3-Other")


async def test_a_model_of_the_hub_is_downloaded_and_that_can_be_cancelled(
    monkeypatch: pytest.MonkeyPatch, chat_checkpoint: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    app = window(scene("Hello.", "Again."))
    with serve({"someone/Tiny": Repository.of(chat_checkpoint)}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.hold.clear()
        async with app.run_test(size=(100, 30)) as pilot:
            await ask(pilot, "hi")
            await pilot.press("ctrl+l")
            await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
            await pilot.press(*"someone/Tiny")
            await wait_until(pilot, lambda: "someone/Tiny  download it from the hub" in screen_text(app))
            await pilot.press("enter")
            await wait_until(pilot, lambda: re.search(r"● ready downloading \d+% of \d+ KiB", screen_text(app)))
            await ask(pilot, "and meanwhile?")
            await send(pilot, "/model someone/Tiny")
            await wait_until(pilot, lambda: "another model is still being downloaded" in screen_text(app))
            await pilot.press("escape")
            hub.hold.set()
            await wait_until(pilot, lambda: notes(app))
            assert notes(app)[0].what == "someone/Tiny: the download was cancelled"
            assert app.session.model is not None and app.session.model.name == "scripted"
            await send(pilot, "/model someone/nothing")
            await wait_until(pilot, lambda: len(notes(app)) == 2)
            assert "has no such model" in notes(app)[1].why
            await send(pilot, "/model someone/Tiny")
            await wait_until(pilot, lambda: app.session.model is not None and app.session.model.name == "Tiny")
            assert texts(app) == ["hi", "Hello.", "and meanwhile?", "Again."]
