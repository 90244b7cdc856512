"""The summary that takes the place of older messages."""

from __future__ import annotations

from scene import (
    WAITS,
    ask,
    ask_without_waiting,
    conversation,
    idle,
    press_text,
    scene,
    screen_text,
    send,
    texts,
    wait_until,
    window,
)

from qwen3_chat.app.chat.summary import REQUEST
from qwen3_chat.app.tui.screens.over_budget import OverBudget
from qwen3_chat.app.tui.widgets.summary_message import SummaryMessage


async def test_compact_sends_the_summary_in_the_older_messages_stead() -> None:
    made = scene("Nice to meet you, Ada.", "It is.", "Notes: the person is Ada.", "You are Ada.", "Again: Ada.")
    app = window(made)
    async with app.run_test(size=(100, 40)) as pilot:
        await ask(pilot, "I am Ada")
        await ask(pilot, "Nice weather")
        await send(pilot, "/compact")
        await wait_until(pilot, lambda: idle(app) and len(texts(app)) == 5)
        asked = made.tokenizer.decode(made.engine.requests[2][0])
        assert "I am Ada" in asked
        assert "weather" not in asked  # the newest turn stays as it is
        assert REQUEST in asked
        await wait_until(pilot, lambda: "Σ Summary of the older messages" in screen_text(app))
        assert screen_text(app).count("summed up below") == 2
        assert "I am Ada" in screen_text(app)
        await ask(pilot, "Who am I?")
        prompt = made.tokenizer.decode(made.engine.requests[3][0])
        assert "Notes: the person is Ada." in prompt
        assert "I am Ada" not in prompt
        assert "Nice weather" in prompt
        await send(pilot, "/uncompact")
        await wait_until(pilot, lambda: "Summary, taken back" in screen_text(app))
        assert "summed up below" not in screen_text(app)
        await ask(pilot, "Who?")
        prompt = made.tokenizer.decode(made.engine.requests[4][0])
        assert "I am Ada" in prompt
        assert "Notes:" not in prompt


async def test_the_summary_is_taken_back_and_used_again_on_the_message_cursor() -> None:
    app = window(scene("One.", "A summary."))
    async with app.run_test(size=(100, 40)) as pilot:
        await ask(pilot, "First")
        await send(pilot, "/compact")
        await wait_until(pilot, lambda: idle(app) and "Summary of the older" in screen_text(app))
        assert [message["role"] for message in conversation(app).render_messages()] == ["system"]
        await pilot.press("alt+up", "d")
        await wait_until(pilot, lambda: "Summary, taken back" in screen_text(app))
        assert [message["role"] for message in conversation(app).render_messages()] == ["user", "assistant"]
        await pilot.press("d")
        await wait_until(pilot, lambda: "sent in their stead" in screen_text(app))
        await pilot.press("r")
        await wait_until(pilot, lambda: "then /compact makes a new one" in screen_text(app))


async def test_a_summary_that_is_stopped_changes_nothing() -> None:
    app = window(scene("One.", WAITS))
    async with app.run_test(size=(100, 40)) as pilot:
        await ask(pilot, "First")
        await send(pilot, "/compact")
        await wait_until(pilot, lambda: app.session.busy)
        await pilot.press("escape")
        await wait_until(pilot, lambda: idle(app))
        await wait_until(pilot, lambda: "The summary was not finished" in screen_text(app))
        assert [message["content"] for message in conversation(app).render_messages()] == ["First", "One."]


async def test_there_must_be_something_to_sum_up() -> None:
    app = window(scene("One."))
    async with app.run_test(size=(100, 40)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        for command, said in (("/compact", "nothing yet to sum up"), ("/uncompact", "no summary to take back")):
            await send(pilot, command)
            await wait_until(pilot, lambda said=said: said in screen_text(app))


async def test_the_summary_waits_for_the_reply() -> None:
    app = window(scene("One.", WAITS, "A summary."))
    async with app.run_test(size=(100, 40)) as pilot:
        await ask(pilot, "First")
        await ask_without_waiting(pilot, "Go")
        await send(pilot, "/compact")
        await wait_until(pilot, lambda: "first comes the reply" in screen_text(app))
        app.session.turn.stop()  # type: ignore[union-attr]
        await wait_until(pilot, lambda: idle(app) and texts(app)[-1] == "A summary.")


async def test_compact_is_offered_where_a_message_does_not_fit() -> None:
    made = scene("One.", "Two.", "Short.", "Three.", context=1000)
    app = window(made)
    async with app.run_test(size=(100, 40)) as pilot:
        await ask(pilot, "a" * 150)
        await ask(pilot, "b" * 150)
        await send(pilot, "c" * 400)
        await wait_until(pilot, lambda: isinstance(app.screen, OverBudget))
        await pilot.press("c")
        await wait_until(pilot, lambda: idle(app) and texts(app)[-1] == "Three.")
        prompt = made.tokenizer.decode(made.engine.requests[3][0])
        assert "Short." in prompt
        assert "aaa" not in prompt
        assert "ccc" in prompt


async def test_a_summary_is_edited_like_any_message() -> None:
    app = window(scene("One.", "A summary."))
    async with app.run_test(size=(100, 40)) as pilot:
        await ask(pilot, "First")
        await send(pilot, "/compact")
        await wait_until(pilot, lambda: idle(app) and "Summary of the older" in screen_text(app))
        await pilot.press("alt+up", "e")
        await wait_until(pilot, lambda: "editing the summary" in screen_text(app))
        await press_text(pilot, " Mine.")
        await pilot.press("enter")
        await wait_until(pilot, lambda: texts(app)[-1] == "A summary. Mine.")
        assert conversation(app).render_messages()[0]["content"].endswith("A summary. Mine.")
        assert len(app.chat.query(SummaryMessage)) == 1
