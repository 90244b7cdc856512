"""Pictures of the engine panel and the token lens; see `test_snapshots` for how they are compared and written anew."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from scene import ask, replies, scene, screen_text, wait_until, window
from test_snapshots import compare

from qwen3_chat.app.chat.trace import TokenTrace, Told
from qwen3_chat.app.tui.app import ChatApp

ANSWER = """Because a 2-D rotation is the smallest real linear map that encodes a phase.

- pairs of dimensions turn together
- there are no parameters"""


async def talked(pilot: Any) -> None:
    """Two turns, and figures that are the same every time."""
    app: ChatApp = pilot.app
    await ask(pilot, "Why does RoPE use pairs?")
    await ask(pilot, "And with YaRN?")
    app.chat._meters._speeds.clear()
    app.chat._meters._history.extend([(90e3, 180e3, 240e3, 350e3, 420e3), (70e3, 140e3, 250e3, 300e3, 400e3)])
    app.chat._meters._speeds.extend([31, 38, 40, 41, 39, 42, 44, 41])
    message = replies(app)[-1].message
    message.trace = TokenTrace()
    for at, id in enumerate(message.token_ids):
        surprise = (0.02, 0.3, 0.05, 1.1, 0.01, 2.9, 0.2, 5.5, 0.1)[at * at % 9]
        likely = ((101 + 16, -0.4), (115 + 16, -1.9), (116 + 16, -3.1), (97 + 16, -4.7), (10 + 16, -6.2))
        told = ((id, -surprise), *((other, logprob) for other, logprob in likely if other != id))
        message.trace.add(
            Told(-surprise, 24_000_000 + at * 10_000, tuple(sorted(told, key=lambda pair: -pair[1]))), at=at
        )
        assert math.isfinite(surprise)


@pytest.mark.parametrize("size", [(50, 20), (80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", ["colour", "no_color"])
@pytest.mark.parametrize("panel", ["engine", "lens"])
async def test_a_panel(
    panel: str, size: tuple[int, int], look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if look == "no_color":
        monkeypatch.setenv("NO_COLOR", "1")
    app = window(scene("A rotation needs a plane.", ANSWER, chunk=400))
    async with app.run_test(size=size) as pilot:
        await talked(pilot)
        await pilot.press(
            *(["f3"] if panel == "engine" or size[0] >= 160 else []), *(["f4"] if panel == "lens" else [])
        )
        await wait_until(pilot, lambda: ("KV CACHE" if panel == "engine" else "surprise") in screen_text(app))
        await compare(pilot, f"{panel}-{size[0]}x{size[1]}-{look}", tmp_path)
