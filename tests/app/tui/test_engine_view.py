"""The engine panel's figures are the engine's own: numbers are compared, not pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scene import MEMORY_SPEED, ask, ask_without_waiting, scene, wait_until, window

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.options import ChatOptions, EngineOptions, SamplingOptions
from qwen3_chat.app.chat.prefix import Prefix, Span
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.app.tui.engine_view import EngineView, KvView, Segment, percentile, read_speed, segments_of
from qwen3_chat.app.tui.loader import Loader
from qwen3_chat.app.tui.meters import Meters
from qwen3_chat.app.tui.render.heat import fold, heat_map, heat_strip
from qwen3_chat.app.tui.render.palette import DARK, Palette
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.widgets.engine_panel import FREE, NEW, REUSED, panel_lines

PALETTE = Palette.from_theme(DARK)


def looked_at(folder: Path, devices: str) -> tuple[EngineView, Any, Any, Turn]:
    """A whole reply on the real engine; the view, and what the engine itself says."""
    options = ChatOptions(model=folder, engine=EngineOptions(devices=devices))
    model = ChatModel.load(folder, options.engine)
    session = Session(options, Loader(lambda progress: model))
    try:
        session.model, session._cache = model, model.new_cache()
        session.conversation = Conversation("Be brief.")
        session.conversation.add_user("hello")
        session.sampling = SamplingOptions(seed=1, temperature=1.0, max_tokens=24)
        for _ in session.reply():
            pass
        meters = Meters(session)
        meters.sample(0.0)
        view = meters.engine()
        assert view is not None
        assert session.turn is not None
        return view, model.engine.profile(), model.engine.memory(), session.turn
    finally:
        session.close()


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1"])
def test_the_view_is_what_the_engine_says(chat_checkpoint: Path, devices: str) -> None:
    view, profile, memory, turn = looked_at(chat_checkpoint, devices)
    assert view.verbs == profile.layer_verbs
    assert view.step_ns == profile.step_ns > 0
    assert view.probe_share == profile.probe_share > 0
    assert [list(layer) for layer in view.layers] == profile.layer_ns.mean(axis=0).tolist()
    assert sum(view.layer_totals) == pytest.approx(sum(view.verb_totals))
    assert dict(view.others) == profile.other_ns
    assert view.history == (view.layer_totals,)
    assert (view.weights, view.activations) == (memory.weights, memory.activations)

    assert [device.name for device in view.devices] == devices.split(",")
    for at, device in enumerate(view.devices):
        assert device.layers == profile.layer_ns[at].sum()
        assert device.waiting == profile.layer_ns[at, :, profile.layer_verbs.index("all_reduce")].sum()
        assert device.other == profile.device_ns[at].sum()

    stats, kv = turn.message.stats, view.kv
    assert stats is not None
    assert view.stats == stats
    assert stats.tokens_per_s is not None
    depth = stats.prompt_tokens + stats.new_tokens / 2
    assert view.read_speed == stats.tokens_per_s * (memory.weights_per_step + depth * memory.kv_bytes_per_token)
    decoded = sorted(turn.message.trace.step_ns[1:])
    assert view.slowest_ns in decoded[-1:]  # of fewer than a hundred, the slowest

    assert [segment.role for segment in kv.segments] == ["system", "user", "assistant"]
    stopped = turn.message.finish_reason == "stop"  # else the last token was drawn, and not evaluated
    assert kv.tokens == stats.prompt_tokens + stats.new_tokens - 1
    assert stopped or stats.new_tokens == 24
    assert sum(segment.reused for segment in kv.segments) == stats.reused_tokens == 0
    assert kv.free == kv.context - kv.tokens
    assert (kv.used, kv.budget) == (memory.kv_used, memory.kv_budget)
    assert kv.prefix == Prefix(0, 0, stats.prompt_tokens, "the cache was empty")


async def test_the_kv_map_tells_what_was_reused_message_by_message() -> None:
    made = scene("Hello.", "More of it.")
    app = window(made)
    async with app.run_test(size=(120, 40)) as pilot:
        for text in ("hi", "and?"):
            await ask(pilot, text)
        view = app.chat._meters.engine()
        assert view is not None
        assert app.session.turn is not None
        stats = app.session.turn.message.stats
        assert stats is not None
        assert [segment.role for segment in view.kv.segments] == ["user", "assistant"] * 2
        assert view.kv.tokens == app.session.kv_tokens
        assert sum(segment.reused for segment in view.kv.segments) == stats.reused_tokens > 0
        first, *_, last = view.kv.segments
        assert (first.new, last.reused) == (0, 0)
        assert (view.memory_speed, view.read_speed is not None) == (MEMORY_SPEED, True)


async def test_while_a_reply_is_written_its_message_grows() -> None:
    from scripted import Line

    app = window(scene(Line("Hello the", "wait"), chunk=2))
    async with app.run_test(size=(120, 40)) as pilot:
        await ask_without_waiting(pilot, "hi")
        await wait_until(pilot, lambda: app.session.turn and app.session.turn.message.content == "Hello the")
        view = app.chat._meters.engine()
        assert view is not None
        assert app.session.turn is not None
        assert view.kv.tokens == app.session.kv_tokens == len(app.session.turn.prompt_ids) + len("Hello the")
        assert [segment.role for segment in view.kv.segments] == ["user", "assistant"]
        await pilot.press("escape")


def test_segments_are_cut_where_the_reused_part_ends() -> None:
    messages = (Span("system", 0, 10), Span("user", 10, 15), Span("assistant", 15, 40))
    assert segments_of(messages, 12) == (Segment("system", 10, 0), Segment("user", 2, 3), Segment("assistant", 0, 25))
    assert sum(segment.new for segment in segments_of(messages, 0)) == 40
    assert sum(segment.reused for segment in segments_of(messages, 99)) == 40


def test_percentiles_and_what_is_not_known() -> None:
    assert percentile([], 0.99) is None
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([3, 1, 2], 0.99) == 3
    assert read_speed(None, 1, 1) is None


# ---- how it is drawn ------------------------------------------------------------------------------------------------

VERBS = ("norm_qkv", "attention", "all_reduce")
LAYERS = ((1000.0, 3000.0, 0.0), (2000.0, 8000.0, 0.0))


def view(segments: tuple[Segment, ...] = (), why: str = "") -> EngineView:
    return EngineView(
        kv=KvView(segments, 1000, Prefix(50, 20, 100, why), 1 << 20, 4 << 20, 3, 12),
        weights=1 << 20,
        activations=1 << 10,
        step_ns=20_000,
        verbs=VERBS,
        layers=LAYERS,
        others=(("norm_head", 5000.0),),
        devices=(),
        history=((4000.0, 5000.0), (4000.0, 10000.0)),
        probe_share=0.01,
        stats=None,
        speeds=(),
        slowest_ns=None,
        read_speed=None,
        memory_speed=None,
        on_cpu=True,
    )


def test_the_strip_has_a_height_for_every_layer_and_leaves_out_what_never_ran() -> None:
    lines = [line.text for line in heat_strip(VERBS, LAYERS, PALETTE, 30, 20_000)]
    assert [line.split() for line in lines] == [["qkv", "▂▂▂▂▃▃▃▃", "15%"], ["attn", "▄▄▄▄████", "55%"]]


def test_more_layers_than_cells_share_them_and_the_slowest_shows() -> None:
    assert fold([1, 2, 9, 4, 5, 6], 3) == [2, 9, 6]
    assert fold([1, 2], 3) == [1, 2]
    (line,) = heat_strip(("attention",), [(float(n),) for n in range(64)], PALETTE, 30, 1e4)
    assert line.cells == 30


def test_the_map_has_every_figure() -> None:
    lines = [line.text.split() for line in heat_map(VERBS, LAYERS, view().history, PALETTE, 60, 20_000)]
    assert lines[1][:5] == ["0", "1", "3", "4.0", "µs"]
    assert lines[2][:5] == ["1", "2", "8", "10.0", "µs"]
    assert lines[3] == ["15%", "55%", "70%"]
    assert [line[5] for line in lines[1:3]] == ["██", "▅█"]


@pytest.mark.parametrize(("width", "height"), [(20, 10), (38, 18), (44, 34), (66, 54)])
def test_the_panel_fits_its_width(width: int, height: int) -> None:
    segments = tuple(Segment("user" if at % 2 else "assistant", 9 - at, at) for at in range(10))
    for picture in (view(), view(segments, "question 1 is another")):
        for line in panel_lines(picture, PALETTE, width, height):
            assert line.strip(width).cell_length == width


def test_the_cache_is_drawn_in_its_proportions() -> None:
    lines = [line.text for line in panel_lines(view((Segment("user", 300, 200),), "the system prompt is another"),
             PALETTE, 50, 60)]  # fmt: skip
    bar = next(line for line in lines if FREE * 3 in line)
    assert (bar.count(REUSED), bar.count(NEW), bar.count(FREE)) == (15, 10, 25)
    assert "! the system prompt is another, 30 tokens forgotten" in " ".join(lines)
    assert any(line.startswith("❯ you") and "500" in line for line in lines)


def test_old_messages_are_summed_up() -> None:
    segments = tuple(Segment("user", 10, at) for at in range(20))
    lines = [line.text for line in panel_lines(view(segments), PALETTE, 44, 60)]
    older = sum(segment.tokens for segment in segments[:-6])
    assert any("14 earlier" in line and f" {older} " in line for line in lines)
