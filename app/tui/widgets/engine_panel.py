"""The look into the engine: prefill, decode, the KV cache by message, and the time of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.engine_view import EngineView, KvView, Segment
from qwen3_chat.app.tui.render.heat import MAP_WIDTH, heat_map, heat_strip
from qwen3_chat.app.tui.render.line import Line, fit, flow
from qwen3_chat.app.tui.render.palette import Palette

_LABEL = 9  # cells
_TALL = 60  # lines, where it is not known yet
_MESSAGES = 6  # of the KV map; what is before them is one line
_SIGNS = {"user": "❯ ", "assistant": "◆ ", "system": "§ "}
_NAMES = {"user": "you", "assistant": "reply", "": "tokens"}
REUSED, NEW, FREE = "█", "▒", "·"  # told apart without colour


class EnginePanel(VerticalScroll, can_focus=False):
    """A column on the right; on a narrow screen it lies over the chat."""

    DEFAULT_CSS = """
    EnginePanel {
        width: 46; max-width: 50%; height: 1fr; display: none; padding: 0 1;
        border-left: solid $foreground 25%; scrollbar-size-vertical: 1;
    }
    EnginePanel.-open { display: block; }
    """

    def compose(self) -> ComposeResult:
        """One widget, however many layers there are."""
        yield EngineFigures()

    @property
    def is_open(self) -> bool:
        """Whether it is shown."""
        return self.has_class("-open")

    def toggle(self) -> None:
        """Open or close."""
        self.toggle_class("-open")

    def show(self, view: EngineView | None) -> None:
        """Draw this picture; None: there is no engine yet."""
        self.query_one(EngineFigures).show(view)


class EngineFigures(Widget):
    """All figures of the panel. Of a new picture only the lines that differ are painted."""

    DEFAULT_CSS = "EngineFigures { height: auto; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.view: EngineView | None = None
        self._strips: list[Strip] = []
        self._drawn_for: tuple[Palette, int, int] | None = None

    def show(self, view: EngineView | None) -> None:
        """Draw another picture."""
        before, width = self._strips, self.content_size.width
        self.view, self._drawn_for = view, None
        if not width:
            self.refresh(layout=True)
            return
        after = self._lines(width)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
        if len(before) != len(after):
            self.refresh(layout=True)
        elif same < len(after):
            changed = [y for y in range(same, len(after)) if before[y] != after[y]]
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Lines at that width."""
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        """One line."""
        width, base = self.content_size.width, self.visual_style.rich_style
        strips = self._lines(width)
        return strips[y].apply_style(base) if y < len(strips) else Strip.blank(width, base)

    @property
    def _height(self) -> int:
        """Lines that can be seen at once."""
        parent = self.parent
        return parent.size.height if isinstance(parent, Widget) and parent.size.height else _TALL

    def _lines(self, width: int) -> list[Strip]:
        palette = Palette.of(self.app)
        key = (palette, width, self._height)
        if self._drawn_for != key:
            if self.view is None:
                lines = [Line(("The engine starts when the model is loaded.", Style(color=palette.muted)))]
            else:
                lines = panel_lines(self.view, palette, max(20, width), self._height)
            self._strips, self._drawn_for = [line.strip(width) for line in lines], key
        return self._strips


def panel_lines(view: EngineView, palette: Palette, width: int, height: int) -> list[Line]:
    """The panel's content from top to bottom; where it would be too high, without what matters least."""
    lines: list[Line] = []
    for messages in (_MESSAGES, 3, 0):
        parts = [
            [_heading("engine", palette), *_reply(view, palette, width, brief=not messages)],
            _kv(view.kv, palette, width, messages),
            _layers(view, palette, width),
            _devices(view, palette, width) if len(view.devices) > 1 else [],
        ]
        lines = []
        for part in parts:
            lines += [*([Line()] if lines and part and messages else []), *part]
        if len(lines) <= height:
            break
    return lines


def _heading(title: str, palette: Palette, detail: str = "") -> Line:
    line = Line((title.upper(), Style(color=palette.accent, bold=True)))
    return line.add(f"  {detail}", Style(color=palette.muted)) if detail else line


def _row(label: str, value: str, palette: Palette, unit: str = "") -> Line:
    muted = Style(color=palette.muted)
    return Line((label.ljust(_LABEL), muted), (value, Style(color=palette.foreground)), (unit, muted))


def _rows(label: str, facts: Sequence[tuple[str, str]], palette: Palette, width: int) -> list[Line]:
    """Facts (a figure and what it is) behind a label, on as many lines as they need."""
    muted, plain = Style(color=palette.muted), Style(color=palette.foreground)
    lines = [Line((label.ljust(_LABEL), muted))]
    for figure, unit in facts:
        fact = Line((figure, plain), (unit, muted))
        if lines[-1].cells == _LABEL:
            lines[-1].join(fact)
        elif lines[-1].cells + 3 + fact.cells <= width:
            lines[-1].add(" · ", muted).join(fact)
        else:
            lines.append(Line().gap(_LABEL).join(fact))
    return lines


def _reply(view: EngineView, palette: Palette, width: int, *, brief: bool) -> list[Line]:
    """What the newest reply has measured."""
    stats = view.stats
    if stats is None:
        return [_row(label, format.UNKNOWN, palette) for label in ("prefill", "decode", "reads")]
    prefill = [
        (format.exact(stats.reused_tokens), " reused"),
        (format.exact(stats.prefill_tokens), " new"),
        (format.seconds(stats.prefill_s), ""),
        (format.rate(stats.prefill_tokens_per_s), " tok/s"),
        (format.seconds(stats.first_token_s), " first token"),
    ]
    decode = [(format.rate(stats.tokens_per_s), " tok/s")]
    if view.slowest_ns is not None:
        decode.append((format.milliseconds(view.slowest_ns), " p99"))
    lines = [*_rows("prefill", prefill, palette, width), *_rows("decode", decode, palette, width)]
    if len(view.speeds) > 1 and not brief:
        spark = format.sparkline(list(view.speeds), width - _LABEL)
        lines.append(_row("", "", palette).add(spark, Style(color=palette.accent)))
    lines += _bandwidth(view, palette, width)
    if not brief:
        lines.append(_row("weights", format.size(view.weights), palette, f" · work {format.size(view.activations)}"))
    return lines


def _bandwidth(view: EngineView, palette: Palette, width: int) -> list[Line]:
    """How fast memory is read, and what share of the machine's own speed that is."""
    if view.read_speed is None:
        return [_row("reads", format.UNKNOWN, palette)]
    facts = [(f"{view.read_speed / 1e9:.1f}", " GB/s")]
    if view.memory_speed is not None and view.memory_share is not None:
        facts.append((f"{100 * view.memory_share:.0f}%", f" of memory's {view.memory_speed / 1e9:.1f}"))
    elif view.on_cpu:
        facts.append(("", "memory's speed is measured at rest"))
    return _rows("reads", facts, palette, width)


def _kv(kv: KvView, palette: Palette, width: int, messages: int) -> list[Line]:
    """The cache as a bar, its newest messages one by one, and why not all of it could be used."""
    muted = Style(color=palette.muted)
    whole = f"{format.exact(kv.tokens)} of {format.exact(kv.context)} tokens"
    lines = [_heading("KV cache", palette, whole), _kv_bar(kv, palette, width)]
    lines += flow(_kv_legend(kv, palette), width)
    shown = [(segment.role, segment) for segment in kv.segments[-messages:]] if messages else []
    if shown and (older := kv.segments[:-messages]):
        whole_of_them = Segment("", sum(each.reused for each in older), sum(each.new for each in older))
        shown.insert(0, (f"{len(older)} earlier", whole_of_them))
    longest = max((segment.tokens for _, segment in shown), default=0)
    for role, segment in shown:
        line = Line((fit(_SIGNS.get(role, "  ") + _NAMES.get(role, role), _LABEL + 3), muted))
        line.add(f"{format.exact(segment.tokens):>7} ", Style(color=palette.foreground))
        lines.append(line.join(_marks(segment, longest, width - line.cells, palette)))
    if kv.prefix is not None and kv.prefix.why:
        lost = f", {format.exact(kv.prefix.lost)} tokens forgotten" if kv.prefix.lost else ""
        lines += _wrapped(f"! {kv.prefix.why}{lost}", Style(color=palette.warning), width)
    if messages:
        pages = f"{format.exact(kv.pages_used)} of {format.exact(kv.pages_total)} pages"
        lines.append(Line((f"{pages} · {format.size(kv.used)} of {format.size(kv.budget)}", muted)))
    return lines


def _kv_bar(kv: KvView, palette: Palette, width: int) -> Line:
    """The context from its first token to its last: reused, new, free; at least a cell for what there is."""
    reused = sum(segment.reused for segment in kv.segments)
    cells = [0, 0]
    for at, tokens in enumerate((reused, kv.tokens - reused)):
        cells[at] = max(1, round(width * tokens / kv.context)) if tokens and kv.context else 0
    cells[1] = min(cells[1], width - cells[0])
    return Line(
        (REUSED * cells[0], Style(color=palette.secondary)),
        (NEW * cells[1], Style(color=palette.warning)),
        (FREE * max(0, width - sum(cells)), Style(color=palette.faint)),
    )


def _marks(segment: Segment, longest: int, room: int, palette: Palette) -> Line:
    """One message's bar, as long as its share of the longest one."""
    if not segment.tokens or room <= 0:
        return Line()
    whole = max(1, round(room * segment.tokens / longest))
    first = round(whole * segment.reused / segment.tokens)
    return Line((REUSED * first, Style(color=palette.secondary)), (NEW * (whole - first), Style(color=palette.warning)))


def _kv_legend(kv: KvView, palette: Palette) -> list[Line]:
    muted, reused = Style(color=palette.muted), sum(segment.reused for segment in kv.segments)
    return [
        Line((sign, Style(color=colour)), (f" {word} {format.short(tokens)}", muted))
        for sign, colour, word, tokens in (
            (REUSED, palette.secondary, "reused", reused),
            (NEW, palette.warning, "new", kv.tokens - reused),
            (FREE, palette.faint, "free", kv.free),
        )
    ]


def _wrapped(words: str, style: Style, width: int) -> list[Line]:
    """Words on as many lines as they need."""
    lines: list[Line] = []
    for word in words.split(" "):
        if lines and lines[-1].cells + 1 + len(word) <= width:
            lines[-1].add(f" {word}", style)
        else:
            lines.append(Line((word, style)))
    return lines


def _layers(view: EngineView, palette: Palette, width: int) -> list[Line]:
    """Milliseconds per layer and verb: a map where there is room, else a strip; then what no layer owns."""
    total = sum(view.layer_totals)
    detail = f"{len(view.layers)}, {format.milliseconds(total)} of a {format.milliseconds(view.step_ns)} step"
    lines = [_heading("layers", palette, detail if view.step_ns else f"{len(view.layers)}, no token yet")]
    if width >= MAP_WIDTH:
        lines += heat_map(view.verbs, view.layers, view.history, palette, width, view.step_ns)
    else:
        lines += heat_strip(view.verbs, view.layers, palette, width, view.step_ns)
    if not view.step_ns:
        return lines
    others = [(verb, f" {format.percent(ns, view.step_ns)}") for verb, ns in sorted(view.others, key=_longest_first)]
    totals = view.layer_totals
    slowest = max(range(len(totals)), key=lambda at: totals[at])
    return [
        *lines,
        *_rows("outside", others, palette, width),
        _row("slowest", f"layer {slowest}", palette, f", {format.milliseconds(totals[slowest])}"),
        _row("probe", f"{100 * view.probe_share:.2g}%", palette, " of a step is its own cost"),
    ]


def _longest_first(item: tuple[str, float]) -> float:
    return -item[1]


def _devices(view: EngineView, palette: Palette, width: int) -> list[Line]:
    """Each device's own time; who waits at the all-reduce is faster than the others."""
    lines = [_heading("devices", palette, f"{len(view.devices)} side by side")]
    longest = max(device.layers + device.other for device in view.devices)
    name = max(len(device.name) for device in view.devices)
    for device in view.devices:
        whole = device.layers + device.other
        line = Line((f"{device.name.ljust(name)} ", Style(color=palette.muted)))
        line.add(f"{format.milliseconds(whole):>8}", Style(color=palette.foreground))
        line.add(f"  {format.percent(device.waiting, whole):>4} in all_reduce ", Style(color=palette.muted))
        room = max(0, width - line.cells)
        busy = round(room * (whole - device.waiting) / longest) if longest else 0
        idle = round(room * device.waiting / longest) if longest else 0
        line.add("█" * busy, Style(color=palette.secondary))
        lines.append(line.add("░" * min(idle, room - busy), Style(color=palette.faint)))
    return lines
