"""The window while the model loads, and when it cannot."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from scene import (
    notes,
    prompt_text,
    replies,
    scene,
    screen_text,
    type_text,
    wait_until,
    window,
)

from qwen3_chat.engine import OutOfMemory


async def test_typing_while_the_model_loads() -> None:
    made, gate = scene("Hello."), threading.Event()

    def load(progress: Any) -> Any:
        progress(SimpleNamespace(stage="repack", done=25 << 20, total=100 << 20))
        gate.wait()
        return made.model

    app = window(made, load=load)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "hi")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "25%  25.0 MiB of 100 MiB" in screen_text(app))
        await wait_until(pilot, lambda: "next: hi" in screen_text(app))
        assert replies(app) == []
        gate.set()
        await wait_until(pilot, lambda: replies(app) and app.session.ready)
        assert replies(app)[0].message.content == "Hello."


async def test_loading_can_be_cancelled() -> None:
    made, cancelled = scene("Hello."), threading.Event()

    def load(progress: Any) -> Any:
        while progress(SimpleNamespace(stage="map", done=1, total=2)):
            pass
        cancelled.set()
        raise RuntimeError("cancelled")

    app = window(made, load=load)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.loader.stage)
        await pilot.press("escape")
        await wait_until(pilot, lambda: notes(app))
        assert cancelled.is_set()
        assert notes(app)[0].what == "Loading was cancelled"
        assert app.session.failure is None


async def test_a_failed_load_is_a_note_that_stays() -> None:
    def load(progress: Any) -> Any:
        raise OutOfMemory("needs 8.0 GiB, 1.2 free; try --context 8192 [/bold] [red]")

    app = window(scene(), load=load)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "hi")
        await pilot.press("enter")
        await wait_until(pilot, lambda: notes(app))
        await wait_until(pilot, lambda: prompt_text(app) == "hi")
        await wait_until(pilot, lambda: "✗ The model could not be loaded" in screen_text(app))
        assert "try --context 8192 [/bold] [red]" in screen_text(app)
        await pilot.press("enter")
        assert prompt_text(app) == "hi"
    assert isinstance(app.session.failure, OutOfMemory)
