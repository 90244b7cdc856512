"""Writing: keys, lines, earlier prompts and the search in them, large pastes, the editor."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from scene import (
    ask,
    idle,
    press_text,
    prompt_text,
    replies,
    scene,
    screen_text,
    texts,
    type_text,
    wait_until,
    window,
)
from textual import events

from qwen3_chat.app.chat.pastes import MOST_LINES
from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.widgets.prompt import Prompt


async def test_keys_of_the_prompt() -> None:
    app = window(scene("One.", "Two."))
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "first\nline")
        assert prompt_text(app) == "first\nline"
        assert app.chat.query_one(Prompt).area.size.height == 2
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.session.ready and len(replies(app)) == 1)
        await ask(pilot, "second")
        await type_text(pilot, "draft")
        await pilot.press("up")
        assert prompt_text(app) == "second"
        await pilot.press("up")
        assert prompt_text(app) == "first\nline"
        await pilot.press("down")  # the cursor is on the last line already
        assert prompt_text(app) == "second"
        await pilot.press("down")
        assert prompt_text(app) == "draft"


async def test_the_prompt_grows_to_a_limit() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "a\n" * 20)
        await wait_until(pilot, lambda: app.chat.prompt.area.size.height == 8)
        assert prompt_text(app) == "a\n" * 20


async def test_up_and_down_move_inside_a_text_of_several_lines() -> None:
    history = PromptHistory(None)
    history.add("before")
    app = window(scene(), history=history)
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "one\ntwo")
        await pilot.press("up")
        assert (prompt_text(app), app.chat.prompt.area.cursor_location[0]) == ("one\ntwo", 0)
        await pilot.press("up")
        assert prompt_text(app) == "before"
        await pilot.press("down")
        assert prompt_text(app) == "one\ntwo"


async def test_enter_and_newline_can_be_swapped(tmp_path: Path) -> None:
    keys = {"prompt.send": ("ctrl+j",), "prompt.newline": ("enter",)}
    app = window(scene("Hi."), keymap=Keymap.from_config(Config(tmp_path, keys=keys)))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("a", "enter", "b")
        assert prompt_text(app) == "a\nb"
        await pilot.press("ctrl+j")
        await wait_until(pilot, lambda: texts(app) == ["a\nb", "Hi."])


async def test_prompts_outlive_the_window(tmp_path: Path) -> None:
    file = tmp_path / "state" / "prompts.jsonl"
    app = window(scene("Hi."), history=PromptHistory(file))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "remember\nme")
    app = window(scene("Hi."), history=PromptHistory(file))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("up")
        assert prompt_text(app) == "remember\nme"


def searched() -> PromptHistory:
    history = PromptHistory(None)
    for prompt in ("why is RoPE cheap", "a haiku", "what is RoPE"):
        history.add(prompt)
    return history


async def test_the_search_finds_older_and_newer_prompts() -> None:
    app = window(scene(), history=searched())
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "draft")
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "search:" in screen_text(app))
        await press_text(pilot, "rope")
        assert prompt_text(app) == "what is RoPE"
        await wait_until(pilot, lambda: "search: rope" in screen_text(app))
        await pilot.press("ctrl+r")
        assert prompt_text(app) == "why is RoPE cheap"
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "nothing older" in screen_text(app))
        await pilot.press("down")
        assert prompt_text(app) == "what is RoPE"
        await pilot.press("up", "enter")
        assert prompt_text(app) == "why is RoPE cheap"
        assert not app.session.busy  # the first enter takes it, to be read before it is sent
        await wait_until(pilot, lambda: "search:" not in screen_text(app))


async def test_the_search_widens_and_gives_the_draft_back() -> None:
    app = window(scene(), history=searched())
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "draft")
        await pilot.press("ctrl+r", "h", "a", "i")
        assert prompt_text(app) == "a haiku"
        await pilot.press("backspace", "backspace", "backspace", "w")
        assert prompt_text(app) == "what is RoPE"
        await pilot.press("escape")
        assert prompt_text(app) == "draft"
        await wait_until(pilot, lambda: "search:" not in screen_text(app))


async def paste(pilot: Any, text: str) -> None:
    pilot.app.chat.prompt.area.post_message(events.Paste(text))
    await pilot.pause()


async def test_a_large_paste_is_a_chip_that_is_sent_in_full() -> None:
    made = scene("Read.")
    app = window(made)
    long = "\n".join(f"line {number}" for number in range(MOST_LINES + 1))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await press_text(pilot, "see ")
        await paste(pilot, long)
        await paste(pilot, f"{long}x")
        chip = f"[pasted {MOST_LINES + 1} lines]"
        assert prompt_text(app) == f"see {chip}{chip[:-1]} #2]"
        budget = app.session.measure(f"see {long}{long}x")
        assert budget is not None
        await wait_until(pilot, lambda: f"{budget.draft_tokens} tok · fits" in screen_text(app))
        await pilot.press("enter")
        await wait_until(pilot, lambda: idle(app) and replies(app))
        assert texts(app)[0] == f"see {long}{long}x"
        await pilot.press("up")
        assert prompt_text(app) == f"see {long}{long}x"  # as it was sent


async def test_a_small_paste_is_text() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "ab")
        await pilot.press("left")
        await paste(pilot, "1\r\n2")
        await pilot.press("x")
        assert prompt_text(app) == "a1\n2xb"


def editor(tmp_path: Path, script: str) -> str:
    file = tmp_path / "editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


async def test_the_editor_changes_the_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{editor(tmp_path, 'echo more >> $2')} --wait")
    app = window(scene())
    monkeypatch.setattr(app, "suspend", nullcontext)
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, "draft\n")
        await pilot.press("ctrl+g")
        await wait_until(pilot, lambda: prompt_text(app) == "draft\nmore")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 3", "ended with status 3"),
        (None, "set $EDITOR to an editor that is installed"),
        ('"', "correct its quotes"),
    ],
)
async def test_an_editor_that_fails_leaves_the_draft(
    command: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "no-such-editor"
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv(
        "EDITOR", missing if command is None else command if command == '"' else editor(tmp_path, command)
    )
    app = window(scene())
    monkeypatch.setattr(app, "suspend", nullcontext)
    async with app.run_test(size=(160, 24)) as pilot:
        await press_text(pilot, "draft")
        await pilot.press("ctrl+g")
        await wait_until(pilot, lambda: said in screen_text(app))
        assert prompt_text(app) == "draft"


async def test_a_terminal_that_cannot_be_lent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    app = window(scene())  # a headless one cannot
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+g")
        await wait_until(pilot, lambda: "cannot be lent" in screen_text(app))


async def test_a_history_that_cannot_be_kept_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    app = window(scene("One.", "Two."), history=PromptHistory(tmp_path / "file" / "prompts.jsonl"))
    async with app.run_test(size=(160, 24)) as pilot:
        await ask(pilot, "hi")
        await wait_until(pilot, lambda: "prompts are not kept for the next time" in screen_text(app))
        app.chat.say("")
        await ask(pilot, "again")
        assert "prompts are not kept" not in screen_text(app)
        await pilot.press("up")
        assert prompt_text(app) == "again"
