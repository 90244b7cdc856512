"""The time of every layer and verb as a picture: a strip for a narrow panel, a map with figures for a wide one.

Heights and figures say the same as the colours: nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.style import Style

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.line import Line

if TYPE_CHECKING:
    from qwen3_chat.app.tui.render.palette import Palette

_SHORT = {
    "norm_qkv": "qkv",
    "qk_norm_rope_append": "rope",
    "attention": "attn",
    "o_residual": "o",
    "norm_gate_up_silu": "gate",
    "down_residual": "down",
    "all_reduce": "sync",
}
_HEIGHTS = "▁▂▃▄▅▆▇█"
_WIDEST = 4  # cells of one layer in the strip
_LABEL = 5  # cells for a verb's name
_CELL = 6  # cells of one figure in the map
_TOTAL = 9  # cells of a layer's time
_HISTORY = 12  # most cells of a layer's history
MAP_WIDTH = 3 + 7 * _CELL + _TOTAL + 2 + 6  # cells that a map needs, with some history


def short_name(verb: str) -> str:
    """A verb in few letters."""
    return _SHORT.get(verb, verb[:_LABEL])


def heat_strip(
    verbs: Sequence[str], layers: Sequence[Sequence[float]], palette: Palette, width: int, step_ns: float
) -> list[Line]:
    """A line per verb, where height and colour are a layer's time; behind it, the verb's share of the step.

    Layers that are more than there are cells share them, each showing its slowest one.
    """
    muted = Style(color=palette.muted)
    columns = list(zip(*layers, strict=True))
    room = max(1, width - _LABEL - 1 - 5)
    hottest = max((max(column) for column in columns), default=0.0)
    styles, wide = _scale(palette), max(1, min(_WIDEST, room // max(1, len(layers))))
    lines = []
    for verb, column in zip(verbs, columns, strict=True):
        if not any(column) and hottest:
            continue
        line = Line((f"{short_name(verb):<{_LABEL}} ", muted))
        for step, count in runs([_step(value, hottest) for value in fold(column, room)]):
            line.add(_HEIGHTS[step] * count * wide, styles[step])
        lines.append(line.upto(width - 5).add(f"{format.percent(sum(column), step_ns):>5}", Style.null()))
    return lines


def heat_map(
    verbs: Sequence[str],
    layers: Sequence[Sequence[float]],
    history: Sequence[Sequence[float]],
    palette: Palette,
    width: int,
    step_ns: float,
) -> list[Line]:
    """A line per layer: the time of each verb in µs, the whole layer's, and how that was before; then the shares."""
    muted, plain = Style(color=palette.muted), Style(color=palette.foreground)
    styles = [style + Style(bold=at >= 6) for at, style in enumerate(_scale(palette))]
    used = [at for at, column in enumerate(zip(*layers, strict=True)) if any(column)] or list(range(len(verbs)))
    hottest = max((layer[at] for layer in layers for at in used), default=0.0)
    past = min(_HISTORY, max(0, width - 3 - len(used) * _CELL - _TOTAL - 2))
    head = Line(("µs ", muted))
    for at in used:
        head.add(f"{short_name(verbs[at]):>{_CELL}}", muted)
    lines = [head.add(f"{'layer':>{_TOTAL}}", muted)]
    if past >= 6:
        head.add(f"  {'before':<{past}}", muted)
    for number, layer in enumerate(layers):
        line = Line((f"{number:>2} ", muted))
        for at in used:
            figure = f"{layer[at] / 1e3:.0f}" if hottest else format.UNKNOWN
            line.add(f"{figure:>{_CELL}}", styles[_step(layer[at], hottest)])
        line.add(f"{format.milliseconds(sum(layer)) if hottest else format.UNKNOWN:>{_TOTAL}}", plain)
        if past >= 6:
            samples = [sample[number] for sample in history if number < len(sample)]
            line.gap(2).add(format.sparkline(samples, past), Style(color=palette.accent))
        lines.append(line)
    shares = Line(("   ", muted))
    for at in used:
        shares.add(f"{format.percent(sum(layer[at] for layer in layers), step_ns):>{_CELL}}", plain)
    total = sum(map(sum, layers))
    return [*lines, shares.add(f"{format.percent(total, step_ns):>{_TOTAL}}", plain)]


def fold(values: Sequence[float], cells: int) -> list[float]:
    """At most so many values: neighbours share one, and the largest of them counts."""
    if len(values) <= cells:
        return list(values)
    bounds = [round(at * len(values) / cells) for at in range(cells + 1)]
    return [max(values[start:stop]) for start, stop in pairwise(bounds)]


def runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """Equal neighbours together: (value, how many)."""
    found: list[tuple[int, int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1] = value, found[-1][1] + 1
        else:
            found.append((value, 1))
    return found


def _step(value: float, hottest: float) -> int:
    """0 .. 7."""
    return min(7, int(8 * value / hottest)) if hottest else 0


def _scale(palette: Palette) -> list[Style]:
    """A style for each height, cold to hot."""
    cold, warm, hot = Style(color=palette.faint), Style(color=palette.secondary), Style(color=palette.warning)
    return [cold, cold, warm, warm, warm, hot, hot, Style(color=palette.error)]
