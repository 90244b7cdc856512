"""The window as a whole: what it imports before it is drawn, how it grows, how it takes keys, and the real engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from scene import replies, scene, screen_text, type_text, wait_until, window
from scripted import Line
from textual import events

from qwen3_chat.app import tui
from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.settings.resolve import Settings
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.render.palette import DARK, LIGHT, Palette
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.engine_panel import EngineFigures
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.status_line import StatusLine
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.models.errors import ConfigError

LATER = (
    "torch",
    "transformers",
    "huggingface_hub",
    "tokenizers",
    "numpy",
    "jinja2",
    "markdown_it",
    "pygments",
    "qwen3_chat.engine",
)
FIRST_WINDOW = f"""
import sys
from pathlib import Path
from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.tui.app import ChatApp

app = ChatApp(ChatOptions(model=Path("anything")))
app.session.loader.start = lambda: None  # what the loader's thread imports is its own affair

async def leave(pilot):
    await pilot.pause()
    assert "Ask something" in "".join(strip.text for strip in app.screen._compositor.render_strips())
    app.exit()

app.run(headless=True, auto_pilot=leave)
print(*(name for name in {LATER} if name in sys.modules))
"""


def test_the_first_window_needs_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_WINDOW], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_the_reason_of_a_failed_load_outlives_the_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The window has shown it; the command turns what is raised into its exit code."""

    def run(app: ChatApp) -> None:
        app.session.loader.start()
        app.session.loader.join()

    monkeypatch.setattr(ChatApp, "run", run)
    with pytest.raises(ConfigError, match=r"config\.json"):
        tui.run(ChatOptions(model=tmp_path), Settings())


async def test_150_messages_are_150_widgets() -> None:
    app = window(scene(Line("- a list\n- that **streams**\n\nand", "wait"), context=1 << 14))
    history = Conversation()
    entries: list[Entry] = []
    for turn in range(75):
        entries.append(UserMessage(history.add_user(f"question {turn}")))
        reply = history.begin_reply()
        reply.content, reply.state = f"# Answer {turn}\n\n- one\n- two\n\n```py\nx = 1\n```\n", "complete"
        entries.append(AssistantMessage(reply))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        app.session.conversation = history
        await app.chat.query_one(Transcript).add(*entries)
        await type_text(pilot, "go on")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "and▌" in screen_text(app))
        assert len(app.chat.query_one(Transcript).entries) >= 152
        assert len(list(app.screen.walk_children())) < 400


async def test_a_burst_of_keys_keeps_its_order() -> None:
    app = window(scene("Yes.", "No."))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        for key in ("h", "i", "enter", "x", "y"):
            app.post_message(events.Key(key, key if len(key) == 1 else "\r"))
        await wait_until(pilot, lambda: replies(app) and app.session.ready)
        assert [message.content for message in app.session.conversation.path()] == ["hi", "Yes."]
        assert app.chat.prompt.area.text == "xy"


async def test_folded_thinking_and_what_is_out_of_view_are_not_rendered() -> None:
    app = window(scene("a\n\n" * 60, Line("tail", "wait"), chunk=80))
    async with app.run_test(size=(80, 20)) as pilot:
        for text in ("one", "two"):
            await type_text(pilot, text)
            await pilot.press("enter")
            await wait_until(pilot, lambda: replies(app)[-1].message.content)
            if text == "one":
                await wait_until(pilot, lambda: app.session.ready)
        await wait_until(pilot, lambda: "tail▌" in screen_text(app))
        await pilot.press(*["pageup"] * 6)
        transcript, reply = app.chat.query_one(Transcript), replies(app)[-1]
        await wait_until(pilot, lambda: not transcript.shows(reply))
        stream = app.chat.following.stream
        assert stream is not None
        flushes = stream.flushes
        stream._answer.append("more")  # as a poll would
        for _ in range(5):
            stream.poll()
        assert stream.flushes == flushes
        await pilot.press("ctrl+end")
        await wait_until(pilot, lambda: "tailmore▌" in screen_text(app))


async def test_a_theme_repaints_what_is_there() -> None:
    app = window(scene("Hello `code`."))
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "hi")
        await pilot.press("enter")
        await wait_until(pilot, lambda: replies(app) and app.session.ready)
        for theme in (LIGHT, DARK):
            app.theme = theme.name
            expected = Palette.from_theme(theme)
            await wait_until(pilot, lambda expected=expected: colours(app) == {expected.foreground.lower()})


def colours(app: ChatApp) -> set[str]:
    """The colours in which the reply's first word is painted."""
    strip = replies(app)[0].render_line(0)
    words = [segment.style for segment in strip if segment.text.startswith("Hello")]
    return {style.color.name.lower() for style in words if style is not None and style.color is not None}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 12), (20, 8)])
async def test_no_line_leaves_the_screen(size: tuple[int, int]) -> None:
    app = window(scene("# 标题\n\ntext " + "word " * 40 + "\n\n| a | b |\n|-|-|\n| 1 | 2 |\n"))
    async with app.run_test(size=size) as pilot:
        await type_text(pilot, "很长的问题" * 10)
        await pilot.press("enter", "f3")
        await wait_until(pilot, lambda: replies(app) and app.session.ready)
        for panel in (True, False):
            await pilot.pause()
            assert all(cell_len(line) <= size[0] for line in screen_text(app).split("\n")), panel
            await pilot.press("f3")


# The bundled checkpoint on the real engine


@pytest.fixture
def demo() -> Path:
    from qwen3_chat.models.demo import path

    return path()


async def test_the_demo_model_recalls_the_first_turn(demo: Path) -> None:
    options = ChatOptions(model=demo, sampling=SamplingOptions(temperature=0.0, seed=1), thinking=False, is_demo=True)
    app = ChatApp(options, Session(options))
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await wait_until(pilot, lambda: app.session.ready)
            model: ChatModel | None = app.session.model
            assert model is not None
            for text in ("My name is Ada.", "What is my name?"):
                count = len(replies(app))
                await type_text(pilot, text)
                await pilot.press("enter")
                await wait_until(pilot, lambda count=count: len(replies(app)) == count + 1 and app.session.ready)
            first, second = (reply.message for reply in replies(app))
            assert first.content
            assert "Ada" in second.content
            assert second.stats is not None
            assert second.stats.reused_tokens > 0
            await pilot.press("f3")
            await wait_until(pilot, lambda: "LAYERS" in screen_text(app))
            figures = app.chat.query_one(EngineFigures)
            assert figures.view is not None
            assert len(figures.view.layers) == model.config.num_hidden_layers
            assert all(sum(layer) > 0 for layer in figures.view.layers)
            line: Any = app.chat.query_one(StatusLine)
            await wait_until(pilot, lambda: line.status.kv_used == model.engine.memory().kv_used > 0)
            assert (line.status.kv_budget, line.status.context) == (model.engine.memory().kv_budget, model.context)
    finally:
        app.session.close()
