"""Paints what has changed, and no more.

Textual's compositor asks every visible widget for all of its lines whatever has changed. While a reply is written that
happens ten times a second for a line or two, and costs more than all the rest of the interface.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import Compositor  # no public name leads to it
from textual.geometry import Region
from textual.strip import Strip


class RowCompositor(Compositor):
    """Asks for the rows that are painted, and only the widgets that have some."""

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        painted = self.size.region if crop is None else crop
        rows = Region(0, painted.y, self.size.width, painted.height)  # what a widget shows of one is a whole line
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            if seen.overlaps(painted):
                lines = seen.intersection(rows).translate(-region.offset)
                yield region, clip.intersection(rows), widget.render_lines(lines)
