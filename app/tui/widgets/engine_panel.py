"""The look into the engine: prefill, decode, KV pages, and the time of every layer."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.widget import Widget

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.engine_view import PARTS, EngineView
from qwen3_chat.app.tui.render.palette import Palette

_SHADES = ("█", "▓", "░", "·")  # one per part of a layer, told apart without colour
_LABEL = 9  # cells
_SHOWN = 0.005  # shares below this would be printed as 0 % and are left out


class EnginePanel(VerticalScroll, can_focus=False):
    """A column on the right; on a narrow screen it lies over the chat."""

    DEFAULT_CSS = """
    EnginePanel {
        width: 44; max-width: 50%; height: 1fr; display: none; padding: 0 0 0 1;
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
        self.query_one(EngineFigures).view = view


class EngineFigures(Widget):
    """All figures of the panel."""

    DEFAULT_CSS = "EngineFigures { height: auto; width: 1fr; }"

    view: reactive[EngineView | None] = reactive[EngineView | None](None, layout=True)

    def render(self) -> Text:
        """See `panel_text`."""
        palette = Palette.of(self.app)
        if self.view is None:
            return Text("The engine starts when the model is loaded.", Style(color=palette.muted))
        return panel_text(self.view, palette, max(20, self.size.width))


def panel_text(view: EngineView, palette: Palette, width: int) -> Text:
    """The panel's content, one line per layer."""
    muted = Style(color=palette.muted)
    lines = [_heading("engine", palette), *_reply(view, palette, width), *_memory(view, muted, palette), Text()]
    lines += _layers(view, palette, width)
    lines += [Text(), *_verbs(view, palette, width)]
    for line in lines:
        line.no_wrap = True
        line.truncate(width)
    return Text("\n", no_wrap=True).join(lines)


def _heading(title: str, palette: Palette, detail: str = "") -> Text:
    text = Text(title.upper(), Style(color=palette.accent, bold=True))
    return Text.assemble(text, (f"  {detail}", Style(color=palette.muted))) if detail else text


def _row(label: str, value: str, muted: Style, *, unit: str = "") -> Text:
    return Text.assemble((label.ljust(_LABEL), muted), value, (unit, muted))


def _reply(view: EngineView, palette: Palette, width: int) -> list[Text]:
    muted = Style(color=palette.muted)
    stats = view.stats
    if stats is None:
        return [_row("prefill", format.UNKNOWN, muted), _row("decode", format.UNKNOWN, muted)]
    decode = _row("decode", format.rate(stats.tokens_per_s), muted, unit=" tok/s ")
    decode.append(format.sparkline(list(view.speeds), max(0, width - decode.cell_len - 1)), Style(color=palette.accent))
    return [
        _row(
            "prefill", f"{format.exact(stats.reused_tokens)} reused + {format.exact(stats.prefill_tokens)} new", muted
        ),
        _row("", format.seconds(stats.prefill_s), muted, unit=f" · {format.rate(stats.prefill_tokens_per_s)} tok/s"),
        decode,
        _row("first", format.seconds(stats.first_token_s), muted, unit=" to the first token"),
    ]


def _memory(view: EngineView, muted: Style, palette: Palette) -> list[Text]:
    kv = _row("KV", "", muted)
    kv.append(format.meter(view.kv_used, view.kv_budget, 8), Style(color=palette.secondary))
    kv.append(f" {format.size(view.kv_used)}").append(f"/{format.size(view.kv_budget)}", muted)
    pages = f"{format.exact(view.pages_used)} of {format.exact(view.pages_total)}"
    return [
        kv,
        _row("", pages, muted, unit=" pages"),
        _row("weights", format.size(view.weights), muted, unit=f" · work {format.size(view.activations)}"),
    ]


def _layers(view: EngineView, palette: Palette, width: int) -> list[Text]:
    colours = _colours(palette)
    muted = Style(color=palette.muted)
    total = sum(sum(layer) for layer in view.layers)
    detail = f"{len(view.layers)} in {format.milliseconds(total)} a token" if total else f"{len(view.layers)}"
    lines = [_heading("layers", palette, detail)]
    slowest = max((sum(layer) for layer in view.layers), default=0.0)
    digits = len(str(max(0, len(view.layers) - 1)))
    bar = max(4, width - digits - 11)
    for number, layer in enumerate(view.layers):
        line = Text.assemble((str(number).rjust(digits) + " ", muted))
        used, run = 0, 0.0
        for shade, colour, ns in zip(_SHADES, colours, layer, strict=True):
            run += ns
            cells = (round(bar * run / slowest) if slowest else 0) - used
            line.append(shade * cells, Style(color=colour))
            used += cells
        line.append(" " * (bar - used))
        line.append((format.milliseconds(sum(layer)) if slowest else format.UNKNOWN).rjust(9))
        lines.append(line)
    return [*lines, *_legend(view, palette, width, total)]


def _legend(view: EngineView, palette: Palette, width: int, total: float) -> list[Text]:
    """Which shade is which part and its share, on as many lines as it takes."""
    lines = [Text()]
    for index, part in enumerate(PARTS):
        ns = sum(layer[index] for layer in view.layers)
        if ns < _SHOWN * total and index > 1:
            continue
        item = Text.assemble((f"{_SHADES[index]} ", Style(color=_colours(palette)[index])))
        item.append(f"{part} {format.percent(ns, total)}", Style(color=palette.muted))
        if lines[-1] and lines[-1].cell_len + 2 + item.cell_len > width:
            lines.append(Text())
        lines[-1].append("  " if lines[-1] else "").append_text(item)
    return lines


def _colours(palette: Palette) -> tuple[str, ...]:
    """One per part of a layer."""
    return palette.accent, palette.secondary, palette.warning, palette.faint


def _verbs(view: EngineView, palette: Palette, width: int) -> list[Text]:
    muted = Style(color=palette.muted)
    whole = sum(ns for _, ns in view.verbs)
    detail = f"of a {format.milliseconds(view.step_ns)} step" if view.step_ns else "no token yet"
    lines = [_heading("verbs", palette, detail)]
    longest = max((len(verb) for verb, _ in view.verbs), default=0)
    bar = max(0, width - longest - 6)
    for verb, ns in sorted(view.verbs, key=lambda item: -item[1]):
        if whole and ns < _SHOWN * whole:
            continue
        line = Text.assemble((verb.ljust(longest), muted), f" {format.percent(ns, whole):>4} ")
        line.append("▪" * round(bar * ns / whole) if whole else "", Style(color=palette.secondary))
        lines.append(line)
    return lines
