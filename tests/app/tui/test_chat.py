"""The chat as a person drives it, over a scripted model."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from scene import LAYERS, conversation, press_text, replies, scene, screen_text, type_text, wait_until, window
from scripted import Line

from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.tui.actions import ACTIONS
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.screens.chat import ChatScreen
from qwen3_chat.app.tui.screens.help import HelpScreen
from qwen3_chat.app.tui.screens.over_budget import OverBudget
from qwen3_chat.app.tui.widgets.engine_panel import EngineFigures, EnginePanel
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.prompt import Prompt, PromptArea
from qwen3_chat.app.tui.widgets.status_line import StatusLine
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.engine import DeviceError, OutOfMemory

WAITS = Line("<think>\nHm.\n</think>\n\nA partial answer", "wait")


def prompt_text(app: Any) -> str:
    return str(app.chat.query_one(Prompt).area.text)


def notes(app: Any) -> list[Note]:
    return list(app.chat.query(Note))


async def ask(pilot: Any, text: str) -> None:
    """Send a message and wait for the whole reply."""
    app = pilot.app
    count = len(replies(app))
    await type_text(pilot, text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: len(replies(app)) == count + 1 and app.session.ready)


async def test_a_message_is_sent_and_the_answer_streams_in() -> None:
    made = scene("<think>\nLet me see.\n</think>\n\nIt is **42**.\n\n- one\n- two", chunk=3)
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await wait_until(pilot, lambda: "◆ scripted  f32 · cpu:0" in screen_text(app))
        await type_text(pilot, "What is it?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: replies(app) and "It is" in replies(app)[0].message.content)
        assert replies(app)[0].message.state == "streaming"
        assert prompt_text(app) == ""
        await wait_until(pilot, lambda: app.session.ready)
        await wait_until(pilot, lambda: "first token 38 ms" in screen_text(app))
        shown = screen_text(app)
        assert "❯ What is it?" in shown
        assert "It is 42." in shown
        assert "▸ thought" in shown
        assert "Let me see." not in shown
        assert "• two" in shown


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


async def test_escape_stops_and_keeps_the_partial_answer() -> None:
    made = scene(WAITS, "Again.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "Go")
        await pilot.press("enter")
        await wait_until(pilot, lambda: replies(app) and replies(app)[0].message.content == "A partial answer")
        assert app.session.busy
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.session.ready)
        message = replies(app)[0].message
        assert (message.state, message.content) == ("stopped", "A partial answer")
        await wait_until(pilot, lambda: "■ stopped" in screen_text(app))
        assert "A partial answer" in screen_text(app)
        await ask(pilot, "More")
        assert "A partial answer" in made.tokenizer.decode(made.engine.requests[1][0])


async def test_the_second_turn_recalls_the_first() -> None:
    made = scene("Nice to meet you, Ada.", "You are Ada.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "I am Ada")
        await ask(pilot, "Who am I?")
        prompt = made.tokenizer.decode(made.engine.requests[1][0])
        assert "I am Ada" in prompt
        assert "Nice to meet you, Ada." in prompt
        stats = replies(app)[1].message.stats
        assert stats is not None
        assert stats.reused_tokens > 0
        await wait_until(pilot, lambda: f"reused {stats.reused_tokens}" in screen_text(app))


async def test_what_the_next_prompt_begins_with_is_read_while_nobody_waits() -> None:
    made = scene("<think>\nHm.\n</think>\n\nNice to meet you, Ada.", "You are Ada.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "I am Ada")
        read_ahead = made.engine.background[-1]
        await ask(pilot, "Who am I?")
        prompt, stats = made.engine.requests[1][0], replies(app)[1].message.stats
        assert stats is not None
        assert prompt[: len(read_ahead)] == read_ahead
        assert made.tokenizer.decode(prompt[stats.reused_tokens :]) == "user\nWho am I?\nassistant\n"


async def test_a_message_waits_for_the_step_that_reads_ahead() -> None:
    made = scene("Hello.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        stopped: list[bool] = []
        reading: Any = SimpleNamespace(done=False, stop=lambda: stopped.append(True))
        app.session._idle = reading
        await type_text(pilot, "hi")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "next: hi" in screen_text(app))
        assert stopped
        assert made.engine.requests == []
        reading.done = True
        await wait_until(pilot, lambda: len(made.engine.requests) == 1)
        await wait_until(pilot, lambda: "Hello." in screen_text(app))


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


async def test_a_message_waits_while_a_reply_runs() -> None:
    made = scene(WAITS, "Second.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "Go")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.session.busy)
        await type_text(pilot, "next one")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "next: next one" in screen_text(app))
        await type_text(pilot, "third")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "waiting already" in screen_text(app))
        assert prompt_text(app) == "third"
        app.session.turn.stop()  # type: ignore[union-attr]
        await wait_until(pilot, lambda: len(replies(app)) == 2 and app.session.ready)
        assert replies(app)[1].message.content == "Second."
        assert [message.content for message in conversation(app).path() if message.role == "user"] == ["Go", "next one"]


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


async def test_a_failed_reply_keeps_the_chat_going() -> None:
    app = window(scene(Line("Half an ans", "error"), "Fine."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Go")
        await wait_until(pilot, lambda: "✗ failed · device cpu:0 failed: scripted" in screen_text(app))
        await wait_until(pilot, lambda: "Half an ans" in screen_text(app))
        await ask(pilot, "Again")
        assert replies(app)[1].message.content == "Fine."


async def test_a_reply_that_fails_before_its_first_word_is_marked_once() -> None:
    app = window(scene(Line("", "error")))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Go")
        await wait_until(pilot, lambda: "✗ failed · device cpu:0 failed: scripted" in screen_text(app))
        assert screen_text(app).count("✗") == 1


@pytest.mark.parametrize(
    ("limit", "said"),
    [(5, "▲ cut short: the reply reached its limit of 5 tokens"), (None, "▲ cut short: the context of 60 tokens is")],
)
async def test_a_reply_that_was_cut_short_says_by_what(limit: int | None, said: str) -> None:
    made = scene("A long answer " * 9, context=60)
    options = ChatOptions(model=made.model.path, sampling=SamplingOptions(max_tokens=limit))
    app = window(made, options)
    async with app.run_test(size=(100, 24)) as pilot:
        await ask(pilot, "Go")
        await wait_until(pilot, lambda: said in screen_text(app))
        assert replies(app)[0].message.state == "complete"
        assert "context is full" not in screen_text(app)


async def test_a_dead_engine_leaves_the_chat_readable() -> None:
    made = scene(Line("Half an ans", "error"))
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "Go")

        def dead(*_: Any, **__: Any) -> Any:
            raise DeviceError("the engine is gone")

        made.model.engine.memory = made.model.engine.profile = dead  # type: ignore[method-assign]
        await pilot.press("f3")
        await wait_until(pilot, lambda: "KV –" in screen_text(app))
        assert "Half an ans" in screen_text(app)


async def test_the_budget_is_exact_and_beside_the_prompt() -> None:
    made = scene("ok", context=400)
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: "tok left" in screen_text(app))
        await type_text(pilot, "hello")
        await wait_until(pilot, lambda: "5 tok · fits" in screen_text(app))
        budget = app.session.measure("hello")
        assert budget is not None
        assert f"5 tok · fits, {budget.left} tok left" in screen_text(app)
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.session.ready and replies(app))
        assert len(made.engine.requests[0][0]) == budget.prompt_tokens


async def fill(pilot: Any) -> None:
    await ask(pilot, "a" * 100)
    await ask(pilot, "b" * 100)
    await type_text(pilot, "c" * 90)
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, OverBudget))


async def test_what_does_not_fit_is_a_choice_drop() -> None:
    made = scene("One.", "Two.", "Three.", context=460)
    app = window(made)
    async with app.run_test(size=(80, 40)) as pilot:
        await fill(pilot)
        await wait_until(pilot, lambda: "does not fit" in screen_text(app))
        assert len(made.engine.requests) == 2
        await pilot.press("d")
        await wait_until(pilot, lambda: len(replies(app)) == 3 and app.session.ready)
        prompt = made.tokenizer.decode(made.engine.requests[2][0])
        assert "aaa" not in prompt
        assert "bbb" in prompt
        assert "ccc" in prompt
        await wait_until(pilot, lambda: "left out of what is sent, with its reply" in screen_text(app))
        assert notes(app)[0].what == "1 of the oldest turns left out of what is sent"


async def test_what_does_not_fit_is_a_choice_edit() -> None:
    made = scene("One.", "Two.", context=460)
    app = window(made)
    async with app.run_test(size=(80, 40)) as pilot:
        await fill(pilot)
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.chat)
        assert prompt_text(app) == "c" * 90
        assert len(made.engine.requests) == 2
        assert not any(message.dropped for message in conversation(app).path())
        await wait_until(pilot, lambda: "too many" in screen_text(app))


async def test_what_does_not_fit_is_a_choice_send() -> None:
    made = scene("One.", "Two.", "Three.", context=460)
    app = window(made)
    async with app.run_test(size=(80, 40)) as pilot:
        await fill(pilot)
        await pilot.press("s")
        await wait_until(pilot, lambda: len(replies(app)) == 3 and app.session.ready)
        assert "aaa" in made.tokenizer.decode(made.engine.requests[2][0])


async def test_f3_shows_every_layer_and_the_memory() -> None:
    made = scene("Hello there.")
    app = window(made)
    async with app.run_test(size=(120, 40)) as pilot:
        await ask(pilot, "hi")
        assert not app.chat.query_one(EnginePanel).display
        await pilot.press("f3")
        figures = app.chat.query_one(EngineFigures)
        await wait_until(pilot, lambda: figures.view is not None and figures.view.step_ns)
        view, memory = figures.view, made.model.engine.memory()
        assert view is not None
        assert len(view.layers) == LAYERS
        assert (view.kv_used, view.kv_budget) == (memory.kv_used, memory.kv_budget)
        assert (view.pages_used, view.pages_total) == (memory.kv_pages_used, memory.kv_pages_total)
        await wait_until(pilot, lambda: "LAYERS" in screen_text(app))
        rows = [line.partition("│ ")[2] for line in screen_text(app).split("\n")]
        assert [row[0] for row in rows if row[1:3] in (" █", " ▓")] == [str(layer) for layer in range(LAYERS)]
        assert any(row.startswith("norm_gate_up_silu") for row in rows)
        await pilot.press("f3")
        assert not app.chat.query_one(EnginePanel).display


async def test_the_engine_panel_is_an_overlay_on_a_narrow_screen() -> None:
    app = window(scene("Hello."))
    async with app.run_test(size=(50, 20)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        width = app.chat.query_one(Transcript).size.width
        await pilot.press("f3")
        await wait_until(pilot, lambda: "ENGINE" in screen_text(app))
        assert app.chat.query_one(Transcript).size.width == width
        assert app.chat.query_one(EnginePanel).outer_size.width == 50
        await pilot.press("escape")
        await wait_until(pilot, lambda: "ENGINE" not in screen_text(app))


async def test_the_kv_meter_is_the_engines_memory() -> None:
    made = scene("Hello there.", "More.")
    app = window(made)
    async with app.run_test(size=(100, 24)) as pilot:
        for text in ("hi", "and?"):
            await ask(pilot, text)
            memory, line = made.model.engine.memory(), app.chat.query_one(StatusLine)
            await wait_until(pilot, lambda line=line, memory=memory: line.status.kv_used == memory.kv_used > 0)
            assert (line.status.kv_budget, line.status.context) == (memory.kv_budget, made.model.context)
            assert line.status.kv_tokens == len(made.engine.caches[-1])  # type: ignore[attr-defined]
            assert (line.status.tokens_per_s, line.status.first_token_s) == (41.0, 0.038)
        await wait_until(pilot, lambda: "first 38 ms" in screen_text(app))


@pytest.mark.parametrize("width", [30, 47, 80])
async def test_east_asian_text_and_emoji_wrap_inside_the_widget(width: int) -> None:
    text = (
        "使用旋转位置编码的原因，是因为二维旋转是编码相位的最小实线性映射。👩‍👩‍👧 emoji ✈️ および日本語のテキスト。" * 2
    )
    app = window(scene(f"<think>\n{text}\n</think>\n\n{text}\n\n- {text}\n\n> {text}", chunk=100))
    async with app.run_test(size=(width, 60)) as pilot:
        app.chat.query_one(Prompt).area.load_text(text)
        await pilot.press("enter")
        await wait_until(pilot, lambda: replies(app) and app.session.ready)
        replies(app)[0].toggle_thinking()
        for entry in (*app.chat.query(UserMessage), *replies(app)):
            strips = entry.strips(entry.content_size.width)
            assert len(strips) > 2
            for y, strip in enumerate(strips):
                assert sum(cell_len(segment.text) for segment in strip) == strip.cell_length
                assert entry.render_line(y).cell_length == entry.content_size.width
            shown = "".join(strip.text.strip("│▎•❯ ") for strip in strips).replace(" ", "")
            assert text.replace(" ", "") in shown


async def test_markup_in_any_text_is_shown_as_it_is() -> None:
    nasty = "[/foo] [red]x[/red] [@click=app.quit]y[/]"
    app = window(scene(f"{nasty} \x1b[2J `[b]`", WAITS))
    async with app.run_test(size=(100, 30)) as pilot:
        await ask(pilot, nasty)
        await wait_until(pilot, lambda: screen_text(app).count(nasty) == 3)  # title, question, answer
        await wait_until(pilot, lambda: "␛[2J [b]" in screen_text(app))
        await ask_without_waiting(pilot, "more")
        await ask_without_waiting(pilot, nasty)
        await wait_until(pilot, lambda: f"next: {nasty}" in screen_text(app))


async def ask_without_waiting(pilot: Any, text: str) -> None:
    await type_text(pilot, text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: pilot.app.session.busy)


async def test_the_end_is_followed_until_the_person_scrolls_up() -> None:
    app = window(
        scene(
            "".join(f"line {n}\n\n" for n in range(40)), "short", "".join(f"row {n}\n\n" for n in range(40)), chunk=40
        )
    )
    async with app.run_test(size=(60, 20)) as pilot:
        transcript = app.chat.query_one(Transcript)
        await ask(pilot, "go")
        await wait_until(pilot, lambda: transcript.max_scroll_y > 0 and transcript.scroll_y == transcript.max_scroll_y)
        await pilot.press("pageup")
        await wait_until(pilot, lambda: transcript.scroll_y < transcript.max_scroll_y)
        before = transcript.scroll_y
        replies(app)[0].append("", "\n\nmore\n\nlines\n\n", None)
        await pilot.pause()
        assert transcript.scroll_y == before
        await pilot.press("ctrl+end")
        await wait_until(pilot, lambda: transcript.scroll_y == transcript.max_scroll_y)
        await ask(pilot, "again")
        await ask(pilot, "and again")
        await wait_until(pilot, lambda: transcript.scroll_y == transcript.max_scroll_y)


async def test_a_short_chat_begins_at_the_top() -> None:
    app = window(scene("Hello."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "hi")
        await wait_until(pilot, lambda: screen_text(app).split("\n")[2].startswith(" ❯ hi"))
        assert app.chat.query_one(Transcript).scroll_y == 0


async def test_selected_text_is_copied_by_ctrl_c() -> None:
    app = window(scene("第一句 alpha beta"))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "hi")
        reply = replies(app)[0]
        await pilot.mouse_down(reply, offset=(3, 0))
        await pilot.hover(reply, offset=(10, 0))
        await pilot.mouse_up(reply, offset=(10, 0))
        await wait_until(pilot, lambda: app.screen.get_selected_text())
        await pilot.press("ctrl+c")
        assert app.clipboard.startswith("第一句")
        assert len(app.clipboard) < 8


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


async def test_ctrl_c_stops_then_asks_then_quits() -> None:
    app = window(scene(WAITS))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask_without_waiting(pilot, "Go")
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: app.session.ready)
        assert replies(app)[0].message.state == "stopped"
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: "again to quit" in screen_text(app))
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: not app.is_running)


async def test_ctrl_d_quits_only_from_an_empty_prompt() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await type_text(pilot, "ab")
        await pilot.press("left", "ctrl+d")
        assert prompt_text(app) == "a"
        await pilot.press("backspace", "ctrl+d")
        await wait_until(pilot, lambda: not app.is_running)


async def test_a_new_chat_forgets() -> None:
    made = scene("One.", WAITS, "Three.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "remember this")
        await ask_without_waiting(pilot, "go on")
        await pilot.press("ctrl+n")
        await wait_until(pilot, lambda: not replies(app) and "tokens of context" in screen_text(app))
        await ask(pilot, "hello")
        assert "remember" not in made.tokenizer.decode(made.engine.requests[2][0])
        assert made.engine.generations[1].finish_reason == "cancelled"


async def test_thinking_is_chosen_for_the_next_reply() -> None:
    made = scene("One.", "Two.")
    app = window(made, ChatOptions(model=scene().model.path))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: "no thinking ·" in screen_text(app))
        await ask(pilot, "hi")
        assert replies(app)[0].message.thought is False
        await pilot.press("ctrl+t")
        await ask(pilot, "hi")
        assert replies(app)[1].message.thought is True


async def test_help_and_palette_are_made_of_the_action_list() -> None:
    app = window(scene())
    async with app.run_test(size=(100, 60)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("f1")
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await wait_until(pilot, lambda: all(action.title in screen_text(app) for action in ACTIONS))
        await pilot.press("escape")
        titles = {command.title for command in app.get_system_commands(app.chat)}
        assert titles == {action.title for action in ACTIONS if action.palette}
        await pilot.press("ctrl+p")
        await press_text(pilot, "Engine panel")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.chat.query_one(EnginePanel).is_open)


def test_every_action_has_its_method_and_its_own_keys() -> None:
    owners = {"app": ChatApp, "chat": ChatScreen, "prompt": PromptArea, "message": Entry}
    for action in ACTIONS:
        assert callable(getattr(owners[action.scope], f"action_{action.method}"))
    for scope in owners:
        keys = [key for action in ACTIONS if action.scope in (scope, "app") for key in action.keys]
        assert len(keys) == len(set(keys))
