"""Tokens as a person sees them: their texts, spaces and line ends included, and where each stands on wrapped lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells

from qwen3_chat.app.tui.render.text import clean

if TYPE_CHECKING:
    from qwen3_chat.models.tokenizer import Tokenizer

LINE_END, TAB = "↵", "→"


class TokenTexts:
    """The text of each id in its place. A character that several tokens make together stands at the last of them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        """The text of the next token. One that only begins a character is shown by its bytes."""
        data = self._tokenizer.token_bytes(id)
        return self._decoder.decode(data) or f"⟨{data.hex()}⟩"


def token_text(tokenizer: Tokenizer, id: int) -> str:
    """One token by itself, on one line: `␣word`, `↵`; bytes that are no text as their hex digits."""
    data = tokenizer.token_bytes(id)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"⟨{data.hex()}⟩"
    if text.isspace() or not text:
        return text.replace("\n", LINE_END).replace("\t", TAB).replace(" ", "␣") or "⟨⟩"
    start = len(text) - len(text.lstrip(" "))
    return clean("␣" * start + text[start:].replace("\n", LINE_END).replace("\t", TAB))


@dataclass(frozen=True, slots=True)
class Piece:
    """A token, or the part of one that stands on one line."""

    token: int  # which one of the reply
    text: str
    start: int  # cells before it on its line
    width: int  # cells

    @property
    def stop(self) -> int:
        """The cell behind it."""
        return self.start + self.width


class TokenLines:
    """Wraps tokens as they come; what stands is never moved but for the word that is being written."""

    def __init__(self, width: int) -> None:
        self.width = max(1, width)
        self.lines: list[list[Piece]] = [[]]
        self.line_of: list[int] = []  # of each token: where it begins
        self.count = 0

    def extend(self, texts: Iterable[str]) -> None:
        """Put tokens behind the others."""
        for text in texts:
            self.line_of.append(len(self.lines) - 1)
            parts = clean(text.replace("\r", "␍")).replace("\t", TAB).split("\n")
            for place, part in enumerate(parts):
                last = place == len(parts) - 1
                if part or not last or len(parts) == 1:
                    self._put(part if last else part + LINE_END)
                if not last:
                    self.lines.append([])
            self.count += 1

    def _put(self, text: str) -> None:
        width = cell_len(text)
        if self.lines[-1] and self._used + width > self.width:
            self._wrap()
        for chunk in chop_cells(text, self.width) if width > self.width else [text]:
            if self._used + cell_len(chunk) > self.width and self.lines[-1]:
                self.lines.append([])
            self.lines[-1].append(Piece(self.count, chunk, self._used, cell_len(chunk)))
        if self.lines[self.line_of[-1]] and self.lines[self.line_of[-1]][-1].token < self.count:
            self.line_of[-1] += 1  # nothing of it has found room where it should have begun

    @property
    def _used(self) -> int:
        return self.lines[-1][-1].stop if self.lines[-1] else 0

    def _wrap(self) -> None:
        """Begin a new line with the word that does not fit, if it is not the whole line."""
        line = self.lines[-1]
        cut = next((at for at in range(len(line) - 1, 0, -1) if line[at].text.startswith(" ")), len(line))
        if sum(piece.width for piece in line[cut:]) > self.width // 2:
            cut = len(line)
        self.lines[-1] = line[:cut]
        moved: list[Piece] = []
        for piece in line[cut:]:
            start = moved[-1].stop if moved else 0
            moved.append(Piece(piece.token, piece.text, start, piece.width))
            self.line_of[piece.token] = max(self.line_of[piece.token], len(self.lines))
        self.lines.append(moved)

    def at(self, line: int, cell: int) -> int | None:
        """The token at a cell of a line, or the one next to it on that line; None on an empty line."""
        if not 0 <= line < len(self.lines) or not self.lines[line]:
            return None
        pieces = self.lines[line]
        return next((piece.token for piece in pieces if piece.stop > cell), pieces[-1].token)

    def start_of(self, token: int) -> int:
        """Cells before a token on its line."""
        return next((piece.start for piece in self.lines[self.line_of[token]] if piece.token == token), 0)
