"""Finding words: in a message's source, which is quick, and in its lines on the screen, which says where to mark."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from rich.cells import cell_len

from qwen3_chat.app.tui.render.text import clean

_MARKUP = re.compile(r"[*`~]+|^[ \t]*#{1,6}[ \t]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start..end of a line."""

    line: int
    start: int
    end: int


@dataclass(frozen=True)
class Query:
    """Words to find, in any case and with any blanks between. Emphasis is looked through unless asked for."""

    text: str

    @cached_property
    def _source(self) -> re.Pattern[str]:
        return re.compile(r"\s+".join(map(re.escape, clean(self.text).split())), re.IGNORECASE)

    @cached_property
    def _lines(self) -> re.Pattern[str]:
        return re.compile(r"\s+".join(map(_breakable, clean(self.text).split())), re.IGNORECASE)

    @property
    def empty(self) -> bool:
        """There is nothing to find."""
        return not self._source.pattern

    def count(self, source: str) -> int:
        """How often the words are in a message's source."""
        if self.empty:
            return 0
        source = clean(source)
        if not _MARKUP.search(self.text):
            source = _MARKUP.sub("", source)
        return sum(1 for _ in self._source.finditer(source))

    def spans(self, lines: Sequence[str]) -> list[list[Span]]:
        """Where the words are in wrapped lines, each find as the pieces of lines that it covers."""
        if self.empty:
            return []
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        found: list[list[Span]] = []
        for match in self._lines.finditer("\n".join(lines)):
            first = bisect_right(starts, match.start()) - 1
            pieces = []
            for number in range(first, bisect_left(starts, match.end())):
                line = lines[number]
                start = match.start() - starts[number]
                if number > first:  # a line's indentation is not what was looked for
                    start = len(line) - len(line.lstrip())
                pieces.append(Span(number, start, min(match.end() - starts[number], len(line))))
            found.append(pieces)
        return found


def _breakable(word: str) -> str:
    """The word's pattern; between East Asian characters a line may have been broken."""
    parts = [re.escape(word[:1])]
    for before, character in pairwise(word):
        broken = cell_len(before) > 1 or cell_len(character) > 1
        parts.append((r"(?:\n\s*)?" if broken else "") + re.escape(character))
    return "".join(parts)
