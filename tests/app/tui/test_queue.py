"""Messages that are sent while a reply runs."""

from __future__ import annotations

from scene import (
    WAITS,
    ask_without_waiting,
    idle,
    prompt_text,
    replies,
    scene,
    screen_text,
    send,
    texts,
    type_text,
    wait_until,
    window,
)

from qwen3_chat.app.tui.widgets.queue_list import QueueList


async def test_escape_takes_back_what_waits() -> None:
    app = window(scene(WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "Go")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.session.busy)
        await type_text(pilot, "next")
        await pilot.press("enter", "escape")
        await wait_until(pilot, lambda: app.session.ready)
        assert prompt_text(app) == "next"
        assert len(replies(app)) == 1


async def test_several_messages_wait_and_are_sent_in_order() -> None:
    made = scene(WAITS, "Second.", "Third.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await send(pilot, "two")
        await send(pilot, "three")
        await wait_until(pilot, lambda: "next: two" in screen_text(app) and "then: three" in screen_text(app))
        app.session.turn.stop()  # type: ignore[union-attr]
        await wait_until(pilot, lambda: len(replies(app)) == 3 and idle(app))
        assert texts(app) == ["Go", "A partial answer", "two", "Second.", "three", "Third."]
        await wait_until(pilot, lambda: "next:" not in screen_text(app))


async def test_the_newest_that_waits_is_edited_with_up() -> None:
    app = window(scene(WAITS, "Second.", "Third."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await send(pilot, "two")
        await send(pilot, "three")
        await pilot.press("up")
        assert prompt_text(app) == "three"
        assert app.session.waiting == ["two"]
        await pilot.press("x", "enter")
        await wait_until(pilot, lambda: app.session.waiting == ["two", "threex"])


async def test_a_click_takes_one_back_to_edit_or_remove_it() -> None:
    app = window(scene(WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        for text in ("two", "three", "four"):
            await send(pilot, text)
        await wait_until(pilot, lambda: "then: four" in screen_text(app))
        await pilot.click(QueueList, offset=(8, 1))
        await wait_until(pilot, lambda: prompt_text(app) == "three")
        assert app.session.waiting == ["two", "four"]


async def test_escape_takes_all_back_in_their_order() -> None:
    app = window(scene(WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await send(pilot, "two")
        await send(pilot, "three")
        await type_text(pilot, "draft")
        await pilot.press("escape")
        await wait_until(pilot, lambda: idle(app))
        assert prompt_text(app) == "two\n\nthree\n\ndraft"
