"""Calls of tools in the transcript: folded, to be unfolded, found and copied."""

from __future__ import annotations

from scene import ask, ask_without_waiting, replies, scene, screen_text, wait_until, window
from scripted import Line

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich", "days": [1, 2]}}\n</tool_call>'


async def test_a_call_is_a_folded_block() -> None:
    app = window(scene(f"Let me look.\n{CALL}\n{CALL.replace('Zürich', 'Bern')}"))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Weather?")
        await wait_until(pilot, lambda: '▸ calls weather  {"city": "Zürich", "days": [1, 2]}' in screen_text(app))
        assert "tool_call" not in screen_text(app)
        await pilot.press("alt+up", "t")
        await wait_until(pilot, lambda: '"city": "Bern",' in screen_text(app))
        assert "▾ calls weather" in screen_text(app)
        await pilot.press("t", "y")
        await wait_until(pilot, lambda: "▸ calls weather" in screen_text(app))
        assert app.clipboard == "Let me look."


async def test_a_reply_of_calls_alone_is_no_empty_reply() -> None:
    app = window(scene(CALL))
    async with app.run_test(size=(60, 24)) as pilot:
        await ask(pilot, "Weather?")
        await wait_until(pilot, lambda: "▸ calls weather" in screen_text(app))
        assert "without an answer" not in screen_text(app)
        await pilot.press("alt+up", "y")
        assert app.clipboard == 'weather {"city": "Zürich", "days": [1, 2]}'
        await pilot.press("escape", "ctrl+f", *"bern")
        await pilot.press("backspace", "backspace", "backspace", "backspace", *"days")
        await wait_until(pilot, lambda: "1/1" in screen_text(app) or "1 of 1" in screen_text(app))


async def test_a_call_in_the_making_is_said() -> None:
    app = window(scene(Line("<tool_call>\n", "wait")))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Weather?")
        await wait_until(pilot, lambda: "writing a call" in screen_text(app) and "calling" in screen_text(app))
        await pilot.press("escape")
        await wait_until(pilot, lambda: not app.session.busy)
        await wait_until(pilot, lambda: "<tool_call>" in screen_text(app))  # half a call is the text it is
        assert replies(app)[0].message.tool_calls == ()
