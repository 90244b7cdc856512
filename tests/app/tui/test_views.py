"""What is shown: panels, meters, scrolling, selection, any script."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from scene import (
    LAYERS,
    ask,
    replies,
    scene,
    screen_text,
    wait_until,
    window,
)

from qwen3_chat.app.tui.widgets.engine_panel import EngineFigures, EnginePanel
from qwen3_chat.app.tui.widgets.prompt import Prompt
from qwen3_chat.app.tui.widgets.status_line import StatusLine
from qwen3_chat.app.tui.widgets.token_lens import TokenLens
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage


async def test_f3_shows_the_memory_and_every_layer() -> None:
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
        assert (view.kv.used, view.kv.budget) == (memory.kv_used, memory.kv_budget)
        assert (view.kv.pages_used, view.kv.pages_total) == (memory.kv_pages_used, memory.kv_pages_total)
        await wait_until(pilot, lambda: "LAYERS" in screen_text(app))
        await pilot.press("f3")
        assert not app.chat.query_one(EnginePanel).display


async def test_one_panel_takes_the_others_place_unless_there_is_room_for_both() -> None:
    app = window(scene("Hello there."))
    async with app.run_test(size=(120, 40)) as pilot:
        await ask(pilot, "hi")
        engine, lens = app.chat.query_one(EnginePanel), app.chat.query_one(TokenLens)
        await pilot.press("f3", "f4")
        assert (engine.display, lens.display) == (False, True)
        await pilot.press("escape")
        assert (engine.display, lens.display) == (True, False)
        await pilot.press("f4", "f3")
        assert (engine.display, lens.display) == (True, False)
        await pilot.resize_terminal(200, 60)
        await pilot.press("f4")
        await wait_until(pilot, lambda: engine.display and lens.display)


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
        await pilot.press("pagedown")
        await wait_until(pilot, lambda: transcript.scroll_y > before)
        await pilot.press("pageup", "ctrl+end")
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
