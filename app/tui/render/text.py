"""Text as it may be shown: control characters made harmless, lines broken where East Asian and Latin script break."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.console import Console, JustifyMethod, OverflowMethod
from rich.containers import Lines
from rich.text import Text

MIN_WIDTH = 4  # cells; narrower than this nothing can be read, but nothing may fail either


def _cleaning_table() -> dict[int, str | None]:
    """One entry per character that must never reach a terminal from a model, a file or an exception."""
    table: dict[int, str | None] = {code: chr(0x2400 + code) for code in range(0x20)}  # ESC is shown as ␛
    table |= dict.fromkeys((*range(128, 160), *range(55296, 57344)), "�")
    table |= dict.fromkeys((*range(8234, 8239), *range(8294, 8298)), "�")  # bidi overrides
    table |= {0x7F: "␡", 0x2028: "\n", 0x2029: "\n", ord("\r"): None}
    del table[ord("\n")], table[ord("\t")]
    return table


_CLEANING = _cleaning_table()

# A line may be broken after each of these (ideographs, kana, full-width forms) without a space.
_WIDE = (
    "\u2e80-\u2fff\u3005-\u3007\u3021-\u30ff\u3100-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff10-\uff5a\uff66-\uff9f\U00020000-\U0003ffff"
)
# No line starts with one of these, and none ends with one of those.
_CLOSING = "、。，．·：；？！…—～）］｝」』】》〉〕〗”’・ーゝゞ々ぁぃぅぇぉっゃゅょァィゥェォッャュョ％"
_OPENING = "（［｛「『【《〈〔〖“‘"
_BLANK = r"[^\S\u00a0\u202f]"  # but not the ones that forbid a break
_ATOM = re.compile(
    rf"{_BLANK}*[{re.escape(_OPENING)}]*"
    rf"(?:[{_WIDE}]|(?:[^\s{_WIDE}{re.escape(_OPENING + _CLOSING)}]|[\u00a0\u202f])+|)"
    rf"[{re.escape(_CLOSING)}]*{_BLANK}*"
)


def clean(text: str) -> str:
    """Text without characters that steer a terminal. Works character by character, so any chunking gives the same."""
    return text.translate(_CLEANING)


def _atoms(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of text that must stay together, each with the blanks around it."""
    position = 0
    while position < len(text):
        match = _ATOM.match(text, position)
        end = match.end() if match else position
        if end == position:
            end += 1
        yield position, end
        position = end


def break_offsets(text: str, width: int) -> list[int]:
    """Indices where a single line of text is broken so that every part fits into `width` cells.

    Breaks fall at blanks and between East Asian characters, never before closing or after opening punctuation;
    what is wider than a whole line is cut between graphemes.
    """
    width = max(width, MIN_WIDTH)
    if cell_len(text.rstrip()) <= width:
        return []
    breaks: list[int] = []
    used = 0  # cells of the current line
    for start, end in _atoms(text):
        atom = text[start:end]
        size = cell_len(atom.rstrip())
        if used + size <= width:
            used += cell_len(atom)
            continue
        if size <= width:
            if start:
                breaks.append(start)
            used = cell_len(atom)
            continue
        position = start
        for piece in chop_cells(atom, width):
            if position:
                breaks.append(position)
            position += len(piece)
            used = cell_len(piece)
    return breaks


class FlowText(Text):
    """Rich text that wraps by `break_offsets`; Rich alone would move a whole run of ideographs to the next line."""

    def wrap(
        self,
        console: Console,
        width: int,
        *,
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        tab_size: int = 4,
        no_wrap: bool | None = None,
    ) -> Lines:
        """Lines of at most `width` cells; justification as in `rich.text.Text.wrap`."""
        width = max(width, MIN_WIDTH)
        justify = justify or self.justify or "left"
        wrapped = Lines()
        for line in self.split(allow_blank=True):
            if "\t" in line:
                line.expand_tabs(4)
            parts = line.divide(break_offsets(line.plain, width))
            for part in parts:
                part.rstrip_end(width)
            parts.justify(console, width, justify=justify, overflow="fold")
            wrapped.extend(parts)
        return wrapped
