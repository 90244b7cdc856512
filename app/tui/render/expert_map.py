"""Which experts of a mixture the tokens went to: a line per band of layers, a cell per expert or few.

Height and colour say the same: the busiest cell is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.style import Style

from qwen3_chat.app.tui.render.heat import HEIGHTS, heat_step, heat_styles, runs
from qwen3_chat.app.tui.render.line import Line

if TYPE_CHECKING:
    from qwen3_chat.app.tui.render.palette import Palette

_BANDS = 8  # most lines
_LABEL = 6  # cells for a band's layers


def expert_map(tokens: Sequence[Sequence[int]], palette: Palette, width: int) -> list[Line]:
    """Lines for tokens [layers][experts]; layers and experts that are more than there is room share it."""
    used = [(number, layer) for number, layer in enumerate(tokens) if any(layer)]
    if not used:
        return []
    room = max(1, width - _LABEL)
    bands = [
        (used[start][0], used[stop - 1][0], shared([layer for _, layer in used[start:stop]], room))
        for start, stop in pairwise(bounds(len(used), _BANDS))
    ]
    busiest = max(max(cells) for _, _, cells in bands)
    styles, lines = heat_styles(palette), []
    for first, last, cells in bands:
        label = str(first) if first == last else f"{first}-{last}"
        line = Line((f"{label:>{_LABEL - 1}} ", Style(color=palette.muted)))
        for step, count in runs([heat_step(value, busiest) for value in cells]):
            line.add(HEIGHTS[step] * count, styles[step])
        lines.append(line)
    return lines


def busiest_share(tokens: Sequence[Sequence[int]]) -> float:
    """How many times its even share of a layer's tokens the busiest expert met; 0 before the first token."""
    return max((max(layer) * len(layer) / sum(layer) for layer in tokens if any(layer)), default=0.0)


def shared(layers: Sequence[Sequence[int]], cells: int) -> list[float]:
    """Tokens of a band's layers, summed, and of neighbouring experts, averaged, in at most so many cells."""
    sums = [float(sum(column)) for column in zip(*layers, strict=True)]
    return [sum(sums[start:stop]) / (stop - start) for start, stop in pairwise(bounds(len(sums), cells))]


def bounds(count: int, parts: int) -> list[int]:
    """Where at most so many parts of about one size begin, and the end of the last."""
    parts = min(count, parts)
    return [round(at * count / parts) for at in range(parts + 1)]
