"""What is done to a message: again, on, edited, other versions, branches, left out."""

from __future__ import annotations

from pathlib import Path

from scene import (
    WAITS,
    ask,
    ask_without_waiting,
    conversation,
    idle,
    notes,
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
from scripted import Line

from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.tui.screens.over_budget import OverBudget
from qwen3_chat.app.tui.widgets.header import HeaderLine
from qwen3_chat.app.tui.widgets.user_message import UserMessage


async def test_regenerate_adds_a_version_beside_the_reply() -> None:
    made = scene("One.", "Two.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Pick")
        await pilot.press("alt+up", "r")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Pick", "Two."])
        assert made.engine.requests[0][0] == made.engine.requests[1][0]
        await wait_until(pilot, lambda: "version 2/2" in screen_text(app))
        assert "One." not in screen_text(app)
        assert app.focused is replies(app)[0]  # the cursor went along


async def test_regenerate_on_a_question_answers_it_anew() -> None:
    app = window(scene("One.", "Two.", "Three."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "First")
        await ask(pilot, "Second")
        await pilot.press("alt+up", "g", "r")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["First", "Three."])
        assert [message.content for message in conversation(app).siblings(replies(app)[0].message.id)] == [
            "One.",
            "Three.",
        ]


async def test_regenerate_stops_the_reply_that_runs() -> None:
    made = scene(WAITS, "Better.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await wait_until(pilot, lambda: replies(app)[0].message.content)
        await pilot.press("alt+up", "r")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Go", "Better."])
        first = conversation(app).siblings(replies(app)[0].message.id)[0]
        assert (first.state, first.content) == ("stopped", "A partial answer")


async def test_continue_goes_on_from_the_very_tokens() -> None:
    made = scene(WAITS, " goes on.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await wait_until(pilot, lambda: replies(app)[0].message.content == "A partial answer")
        await pilot.press("escape")
        await wait_until(pilot, lambda: idle(app))
        tokens = list(replies(app)[0].message.token_ids)
        await pilot.press("alt+up", ".")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Go", "A partial answer goes on."])
        assert made.engine.requests[1][0] == made.engine.requests[0][0] + tokens
        assert "Hm." in replies(app)[0].message.thinking
        await wait_until(pilot, lambda: "A partial answer goes on." in screen_text(app))
        assert len(replies(app)) == 1


async def test_continue_says_what_it_cannot() -> None:
    app = window(scene("One.", WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Hi")
        await pilot.press("alt+up", "k", ".")
        await wait_until(pilot, lambda: "only a reply can go on" in screen_text(app))
        await pilot.press("escape")
        await ask_without_waiting(pilot, "Go")
        await pilot.press("alt+up", ".")
        await wait_until(pilot, lambda: "still being written" in screen_text(app))
        assert app.session.busy


async def test_a_question_is_edited_in_the_prompt_as_a_branch() -> None:
    made = scene("Four.", "Six.")
    app = window(made)
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "2 + 2?")
        await type_text(pilot, "a draft")
        await pilot.press("alt+up", "k", "e")
        assert prompt_text(app) == "2 + 2?"
        await wait_until(pilot, lambda: "editing your message" in screen_text(app))
        await pilot.press(*["backspace"] * 6)
        await press_text(pilot, "3 + 3?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["3 + 3?", "Six."])
        assert prompt_text(app) == "a draft"
        assert "2 + 2" not in made.tokenizer.decode(made.engine.requests[1][0])
        await wait_until(pilot, lambda: "editing" not in screen_text(app) and "version 2/2" in screen_text(app))


async def test_escape_leaves_an_edit_without_loss() -> None:
    app = window(scene("Four."))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "2 + 2?")
        await type_text(pilot, "a draft")
        await pilot.press("alt+up", "k", "e", "x", "escape")
        assert prompt_text(app) == "a draft"
        assert texts(app) == ["2 + 2?", "Four."]
        await pilot.press("up")
        assert prompt_text(app) == "2 + 2?x"


async def test_an_edit_is_measured_where_it_would_stand() -> None:
    app = window(scene("a" * 200, "b" * 200, "Fine."), ChatOptions(model=Path("scripted")))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "one")
        await ask(pilot, "two")
        await pilot.press("alt+up", "g", "e", "!")
        budget = app.session.measure("one!", conversation(app).path()[0].id)
        assert budget is not None
        await wait_until(pilot, lambda: f"4 tok · fits, {budget.left / 1000:.1f}k tok left" in screen_text(app))
        assert budget.prompt_tokens < 60


async def test_an_edit_that_does_not_fit_can_be_edited_further() -> None:
    app = window(scene("ok", context=400))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "one")
        await pilot.press("alt+up", "g", "e")
        await type_text(pilot, "x" * 300)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, OverBudget))
        await pilot.press("escape")
        await wait_until(pilot, lambda: "editing your message" in screen_text(app))
        assert prompt_text(app) == "one" + "x" * 300
        assert texts(app) == ["one", "ok"]


async def test_an_answer_is_edited_and_continued_from() -> None:
    made = scene("Five.", " That is it.")
    app = window(made)
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "2 + 2?")
        await pilot.press("alt+up", "e")
        await wait_until(pilot, lambda: "editing the answer" in screen_text(app))
        await pilot.press(*["backspace"] * 5)
        await press_text(pilot, "Four.")
        await pilot.press("enter")
        await wait_until(pilot, lambda: texts(app) == ["2 + 2?", "Four."])
        assert len(made.engine.requests) == 1  # it stands as it is until the person asks for more
        await wait_until(pilot, lambda: "lets the model go on from it" in screen_text(app))
        assert app.focused is replies(app)[0]
        await pilot.press(".")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["2 + 2?", "Four. That is it."])
        assert made.tokenizer.decode(made.engine.requests[1][0]).endswith("Four.")


async def test_an_edit_while_a_reply_runs_stops_it() -> None:
    app = window(scene("One.", WAITS, "Anew."))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "First")
        await ask_without_waiting(pilot, "Go")
        await pilot.press("alt+up", "e")
        await wait_until(pilot, lambda: "still being written" in screen_text(app))
        await pilot.press("g", "e", "!", "enter")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["First!", "Anew."])


async def test_an_edit_that_changes_nothing_is_none() -> None:
    app = window(scene("One."))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "First")
        await pilot.press("alt+up", "g", "e", "enter")
        await wait_until(pilot, lambda: "nothing was changed" in screen_text(app))
        assert len(conversation(app).siblings(conversation(app).path()[0].id)) == 1


async def test_versions_are_walked_through_and_counted() -> None:
    app = window(scene("One.", "Two.", "More."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Pick")
        await pilot.press("alt+up", "[")
        await wait_until(pilot, lambda: "there is only this version" in screen_text(app))
        await pilot.press("r")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Pick", "Two."])
        await pilot.press("escape")
        await ask(pilot, "And then?")
        await pilot.press("alt+up", "k", "k", "[")
        await wait_until(pilot, lambda: texts(app) == ["Pick", "One."])
        await wait_until(pilot, lambda: "version 1/2" in screen_text(app))
        header = app.chat.query_one(HeaderLine)
        assert header.place == "1/2"
        assert app.focused is replies(app)[0]
        await pilot.press("]")
        await wait_until(pilot, lambda: texts(app) == ["Pick", "Two.", "And then?", "More."])
        assert header.place == "2/2"
        await wait_until(pilot, lambda: "More." in screen_text(app))
        await pilot.press("escape")
        assert header.place == ""


async def test_the_path_stays_while_a_reply_is_written() -> None:
    app = window(scene("One.", "Two.", WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Pick")
        await pilot.press("alt+up", "r")
        await wait_until(pilot, lambda: idle(app) and texts(app) == ["Pick", "Two."])
        await pilot.press("escape")
        await ask_without_waiting(pilot, "Go")
        await pilot.press("alt+up", "g", "j")
        for key in ("[", "b"):
            await pilot.press(key)
            await wait_until(pilot, lambda: "stop it first" in screen_text(app))
            app.chat.say("")
        assert texts(app)[:2] == ["Pick", "Two."]


async def test_branch_goes_on_from_a_reply() -> None:
    app = window(scene("One.", "Two.", "Three."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "First")
        await ask(pilot, "Second")
        await pilot.press("alt+up", "g", "j", "b")
        await wait_until(pilot, lambda: texts(app) == ["First", "One."])
        assert app.focused is app.chat.prompt.area
        assert "Second" not in screen_text(app)
        await ask(pilot, "Other")
        assert texts(app) == ["First", "One.", "Other", "Three."]
        await wait_until(pilot, lambda: "version 2/2" in screen_text(app))


async def test_branch_on_the_first_question_begins_anew() -> None:
    app = window(scene("One.", "Two."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "First")
        await pilot.press("alt+up", "g", "b")
        await wait_until(pilot, lambda: texts(app) == [] and "tokens of context" in screen_text(app))
        await ask(pilot, "Other")
        await pilot.press("alt+up", "g", "[")
        await wait_until(pilot, lambda: texts(app) == ["First", "One."])


async def test_a_dropped_turn_is_dimmed_not_sent_and_comes_back() -> None:
    made = scene("One.", "Two.", "Three.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "secret")
        await pilot.press("alt+up", "g", "d")
        await wait_until(pilot, lambda: screen_text(app).count("left out of what is sent") == 2)
        line = app.chat.query(UserMessage).first().render_line(0)
        assert all(segment.style is not None and segment.style.dim for segment in line if "secret" in segment.text)
        await pilot.press("escape")
        await ask(pilot, "next")
        assert "secret" not in made.tokenizer.decode(made.engine.requests[1][0])
        await pilot.press("alt+up", "g", "d")
        await wait_until(pilot, lambda: "left out" not in screen_text(app))
        await pilot.press("escape")
        await ask(pilot, "last")
        assert "secret" in made.tokenizer.decode(made.engine.requests[2][0])


async def test_a_reply_can_be_dropped_without_its_question() -> None:
    app = window(scene("One."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "First")
        await pilot.press("alt+up", "d")
        assert conversation(app).render_messages() == [{"role": "user", "content": "First"}]


async def test_the_keys_of_messages_need_a_message() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        for action in (
            "turn.regenerate",
            "turn.continue",
            "message.edit",
            "message.branch",
            "message.newer",
            "message.drop",
            "message.code",
            "message.copy",
        ):
            app.chat.say("")
            await app.chat.do(action)
            await wait_until(pilot, lambda: "there is no message yet" in screen_text(app))


async def test_a_reply_that_loops_is_noted_once() -> None:
    made = scene(Line("ha " * 40, "wait"))
    app = window(made, ChatOptions(model=made.model.path, sampling=SamplingOptions(temperature=0.0)))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask_without_waiting(pilot, "Laugh")
        await wait_until(pilot, lambda: notes(app))
        assert "presence penalty" in notes(app)[0].what_next
        await wait_until(pilot, lambda: len(replies(app)[0].message.token_ids) == 120)
        assert len(notes(app)) == 1


async def test_a_reply_that_was_drawn_may_repeat_itself() -> None:
    made = scene("ha " * 40)
    app = window(made, ChatOptions(model=made.model.path, sampling=SamplingOptions(temperature=0.7)))
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "Laugh")
        assert notes(app) == []
