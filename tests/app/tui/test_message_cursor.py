"""Moving among messages, and what is copied from them."""

from __future__ import annotations

from scene import (
    ask,
    idle,
    press_text,
    prompt_text,
    replies,
    scene,
    screen_text,
    wait_until,
    window,
)

from qwen3_chat.app.tui.widgets.prompt import Prompt


async def test_thinking_unfolds_by_key_and_by_mouse() -> None:
    app = window(scene("<think>\nLet me see.\n</think>\n\nYes."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Well?")
        await pilot.press("alt+up", "t")
        await wait_until(pilot, lambda: "Let me see." in screen_text(app))
        await pilot.press("t")
        await wait_until(pilot, lambda: "Let me see." not in screen_text(app))
        await pilot.click(replies(app)[0], offset=(5, 0))
        await wait_until(pilot, lambda: "Let me see." in screen_text(app))
        await pilot.press("escape")
        await press_text(pilot, "t")
        assert prompt_text(app) == "t"


async def test_a_long_message_is_folded_and_words_are_found_in_what_is_not_shown() -> None:
    app = window(scene("Yes."))
    async with app.run_test(size=(80, 40)) as pilot:
        app.chat.prompt.area.load_text("\n".join(f"line {number}" for number in range(40)))
        await pilot.press("enter")
        await wait_until(pilot, lambda: idle(app) and bool(replies(app)))
        screen = screen_text(app)
        assert "line 11" in screen and "line 12" not in screen and "28 more lines" in screen
        await pilot.press("alt+up", "k", "t")
        await wait_until(pilot, lambda: "line 39" in screen_text(app))
        await pilot.press("t")
        await wait_until(pilot, lambda: "line 39" not in screen_text(app))
        assert app.chat.transcript.entries[0].copy_text.endswith("line 39")
        await pilot.press("escape", "ctrl+f")
        await press_text(pilot, "line 30")
        await pilot.press("enter")
        await wait_until(pilot, lambda: screen_text(app).count("line 30") == 2)  # typed, and found


async def test_the_message_cursor_copies_the_source() -> None:
    app = window(scene("It is **bold**."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "hi")
        await pilot.press("alt+up", "y")
        assert app.clipboard == "It is **bold**."
        await pilot.press("k", "y")
        assert app.clipboard == "hi"
        await pilot.press("j", "j")
        assert app.focused is app.chat.query_one(Prompt).area


async def test_the_cursor_goes_to_either_end() -> None:
    app = window(scene("One.", "Two."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "First")
        await ask(pilot, "Second")
        entries = app.chat.transcript.entries
        await pilot.press("alt+up")
        assert app.focused is entries[-1]
        await pilot.press("g")
        assert app.focused is entries[0]
        await pilot.press("k")
        assert app.focused is entries[0]
        await pilot.press("j")
        assert app.focused is entries[1]
        await pilot.press("G")
        assert app.focused is entries[-1]
        await pilot.press("alt+up", "alt+down", "alt+down")
        assert app.focused is app.chat.prompt.area
        await wait_until(pilot, lambda: "messages" in screen_text(app).split("\n")[-1])


async def test_code_blocks_are_copied_one_after_the_other() -> None:
    app = window(scene("Try\n\n```py\nx = 1\n```\n\nor\n\n~~~\ny = 2\nz = 3\n~~~\n", "None."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Code")
        await pilot.press("alt+up", "c")
        assert app.clipboard == "x = 1"
        await wait_until(pilot, lambda: "copied code block 1 of 2 (py)" in screen_text(app))
        await pilot.press("c")
        assert app.clipboard == "y = 2\nz = 3"
        await pilot.press("c")
        assert app.clipboard == "x = 1"
        await pilot.press("escape")
        await ask(pilot, "And?")
        await pilot.press("alt+up", "c")
        await wait_until(pilot, lambda: "there is no code block in it" in screen_text(app))
