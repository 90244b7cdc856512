"""Strips as text: what of a line is the message's own, where its characters are, and how some of them are marked.

Bars, padding and labels are decoration: they are shown, but never selected, copied or found.
"""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

DECORATION = Style(meta={"decoration": True})


def _is_decoration(segment: Segment) -> bool:
    style = segment.style
    return style is not None and bool(style._meta) and "decoration" in style.meta


def own_text(strip: Strip) -> str:
    """The line without decoration and without blanks at its end."""
    return "".join(segment.text for segment in strip if not _is_decoration(segment)).rstrip()


def is_decoration(strip: Strip) -> bool:
    """Nothing in the line is the message's own, and it is not just a blank line."""
    return all(_is_decoration(segment) for segment in strip) and bool(strip.text)


def marked(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The strip with the characters start..end of its own text in that style; end -1: to the end of the line."""
    end = len(strip.text) if end < 0 else end
    segments: list[Segment] = []
    place = 0
    for segment in strip:
        if _is_decoration(segment):
            segments.append(segment)
            continue
        text, plain = segment.text, segment.style or Style.null()
        first, last = max(0, start - place), max(0, end - place)
        for piece, look in (
            (text[:first], plain),
            (text[first:last], plain + style),
            (text[max(first, last) :], plain),
        ):
            if piece:
                segments.append(Segment(piece, look))
        place += len(text)
    return Strip(segments, strip.cell_length)


def with_offsets(strip: Strip, line: int) -> Strip:
    """The strip with the places of its own characters, by which the mouse selects."""
    segments: list[Segment] = []
    place = 0
    for segment in strip:
        # Decoration lies before the character that follows it: pressing the mouse there begins with that one.
        own = not _is_decoration(segment)
        offset = Style.from_meta({"offset": (place if own else place - len(segment.text), line)})
        segments.append(Segment(segment.text, segment.style + offset if segment.style else offset))
        place += len(segment.text) if own else 0
    return Strip(segments, strip.cell_length)
