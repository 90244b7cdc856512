"""The line that always says how fast it is and how full the KV cache is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.palette import Palette

Activity = Literal["loading", "failed", "ready", "prefill", "thinking", "answer", "tool_call"]
_METER = 10  # cells
_SPARK = 8  # cells


@dataclass(frozen=True, slots=True)
class Status:
    """What the line shows. Bytes and tokens as the engine counts them."""

    activity: Activity = "loading"
    detail: str = ""  # after the activity's word: per cent, tokens read
    beat: bool = True  # the dot is filled; it alternates while something runs
    tokens_per_s: float | None = None
    first_token_s: float | None = None
    speeds: tuple[float, ...] = ()  # tokens/s, one value per sample
    kv_tokens: int = 0
    context: int = 0  # tokens; 0: no model yet
    kv_used: int = 0  # bytes
    kv_budget: int = 0  # bytes
    message: str = ""  # a hint that matters now; takes the place of the speed


class StatusLine(Widget):
    """Activity and speed to the left, the KV cache to the right."""

    DEFAULT_CSS = "StatusLine { height: 1; padding: 0 1; }"

    status: reactive[Status] = reactive(Status())

    def render(self) -> Text:
        """Fit to the width: the sparkline goes first, then the bytes, then the meter."""
        palette = Palette.of(self.app)
        return status_text(self.status, palette, self.size.width)


def status_text(status: Status, palette: Palette, width: int) -> Text:
    """The line for a width in cells."""
    left = _message(status, palette) if status.message else _speed(status, palette, width >= 76)
    right = Text()
    for with_bytes, cells in ((True, _METER), (True, 0), (False, _METER), (False, 0)):
        right = _kv(status, palette, with_bytes, cells)
        if left.cell_len + right.cell_len + 2 <= width:
            break
    left.no_wrap = True
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
    left.append(" " * (width - left.cell_len - right.cell_len))
    return left.append_text(right)


def _message(status: Status, palette: Palette) -> Text:
    return Text(f"! {status.message}", Style(color=palette.warning, bold=True))


def _speed(status: Status, palette: Palette, spark: bool) -> Text:
    colour = {
        "loading": palette.warning,
        "failed": palette.error,
        "ready": palette.muted,
        "prefill": palette.warning,
        "thinking": palette.accent,
        "answer": palette.success,
        "tool_call": palette.success,
    }[status.activity]
    word = {"prefill": "reading", "answer": "writing", "tool_call": "calling", "failed": "no model"}.get(
        status.activity, status.activity
    )
    dot = "✗" if status.activity == "failed" else "●" if status.beat else "○"
    text = Text.assemble((f"{dot} {word}", Style(color=colour)))
    if status.detail:
        text.append(f" {status.detail}", Style(color=palette.muted))
    muted = Style(color=palette.muted)
    text.append("  ").append(format.rate(status.tokens_per_s), Style(bold=True)).append(" tok/s", muted)
    if spark and len(status.speeds) > 1:
        text.append(" " + format.sparkline(list(status.speeds), _SPARK), Style(color=palette.accent))
    text.append("  first ", muted).append(format.seconds(status.first_token_s))
    return text


def _kv(status: Status, palette: Palette, with_bytes: bool, cells: int) -> Text:
    muted = Style(color=palette.muted)
    if not status.context:
        return Text("KV –", muted)
    share = status.kv_tokens / status.context
    colour = palette.error if share > 0.95 else palette.warning if share > 0.8 else palette.secondary
    text = Text("KV ", muted)
    if cells:
        text.append(format.meter(status.kv_tokens, status.context, cells) + " ", Style(color=colour))
    text.append(f"{format.short(status.kv_tokens)}/{format.short(status.context)}")
    text.append(f" {format.percent(status.kv_tokens, status.context)}", muted)
    if with_bytes:
        text.append(f" · {format.size(status.kv_used)}/{format.size(status.kv_budget)}", muted)
    return text
