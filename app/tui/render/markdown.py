"""Markdown that grows: finished top-level blocks are rendered once per width, only the open tail again and again.

The invariant: after any sequence of `append` calls the strips equal those of one `append` of the whole text.
It holds because a block is only called finished when complete lines show that another top-level block has begun,
and because every top-level block is rendered on its own.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.strip import Strip

from qwen3_chat.app.tui.render.blocks import render_block
from qwen3_chat.app.tui.render.formulas import add_formulas
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean

# HTML off: with it on, a model's `<div>` or `<think>` would be parsed away and shown as nothing.
_PARSER = add_formulas(MarkdownIt("gfm-like", {"html": False}))
_BLOCKS = add_formulas(MarkdownIt("gfm-like", {"html": False})).disable(["inline", "linkify", "text_join"])

References = dict[str, Any]


def top_level_blocks(tokens: list[Token]) -> list[list[Token]]:
    """Markdown-it's flat token list cut into its top-level blocks."""
    blocks: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    return blocks


def _last_safe_cut(source: str, references: References) -> int | None:
    """Line where the last top-level block of complete lines begins, None while nothing before it is finished."""
    env: dict[str, Any] = {"references": dict(references)}
    spans = [tuple(block[0].map or (0, 0)) for block in top_level_blocks(_BLOCKS.parse(source, env))]
    lines = source.split("\n")
    for (_, before), (start, _) in zip(reversed(spans[:-1]), reversed(spans[1:]), strict=True):
        # A link definition leaves no block behind, and its title may still grow: never cut right after one.
        if not any(line.strip() for line in lines[before:start]):
            return start
    return None


@dataclass
class _Rendered:
    """Strips for one (palette, width)."""

    key: tuple[Palette, int]
    done: list[Strip] = field(default_factory=list)
    done_blocks: int = 0
    tail: list[Strip] | None = None
    known: dict[Hashable, list[Strip]] = field(default_factory=dict)  # pieces of the tail


class GrowingMarkdown:
    """One Markdown text that may still grow, and its strips."""

    def __init__(self, text: str = "") -> None:
        self._done: list[str] = []  # source of each finished piece
        self._tail: list[str] = [""]
        self._references: References = {}  # link definitions seen anywhere so far
        self._finished_references: References = {}
        self._lines_came = False  # since blocks were last finished
        self._rendered: _Rendered | None = None
        if text:
            self.append(text)

    @property
    def text(self) -> str:
        """The source, cleaned of control characters."""
        return "".join((*self._done, *self._tail))

    def append(self, text: str) -> None:
        """Add text at the end. Nothing is parsed before someone wants to see it."""
        text = clean(text)
        if not text:
            return
        self._tail.append(text)
        self._lines_came = self._lines_came or "\n" in text
        if self._rendered is not None:
            self._rendered.tail = None

    def forget(self) -> None:
        """Give the strips back; they are made again when they are asked for."""
        self._rendered = None

    def _finish_blocks(self) -> None:
        """Cost: one block-level parse of the tail."""
        self._lines_came = False
        tail = "".join(self._tail)
        complete, newline, _ = tail.rpartition("\n")
        cut = _last_safe_cut(complete + newline, self._finished_references)
        if cut:
            lines = tail.split("\n")
            finished = "\n".join(lines[:cut]) + "\n"
            env: dict[str, Any] = {"references": dict(self._finished_references)}
            _BLOCKS.parse(finished, env)
            self._finished_references = env["references"]
            self._done.append(finished)
            tail = "\n".join(lines[cut:])
        self._tail = [tail]

    def strips(self, palette: Palette, width: int) -> tuple[list[Strip], list[Strip]]:
        """Strips of the finished blocks and of the tail, each `width` cells wide. Neither list may be changed."""
        if self._lines_came:
            self._finish_blocks()
        rendered = self._rendered
        if rendered is None or rendered.key != (palette, width):
            rendered = self._rendered = _Rendered((palette, width))
        if rendered.tail is None or rendered.done_blocks < len(self._done):
            self._render(rendered)
        assert rendered.tail is not None
        return rendered.done, rendered.tail

    def _render(self, rendered: _Rendered) -> None:
        palette, width = rendered.key
        env: dict[str, Any] = {"references": dict(self._finished_references)}
        tail_tokens = _PARSER.parse("".join(self._tail), env)
        if env["references"] != self._references:
            self._references = env["references"]  # a link defined only now changes blocks above it
            rendered.done.clear()
            rendered.done_blocks = 0
        for source in self._done[rendered.done_blocks :]:
            tokens = _PARSER.parse(source, {"references": dict(self._references)})
            _extend(rendered.done, _render_blocks(tokens, palette, width, rendered.known), width)
            rendered.known.clear()
        rendered.done_blocks = len(self._done)
        tail: list[Strip] = []
        if strips := _render_blocks(tail_tokens, palette, width, rendered.known):
            if rendered.done:
                tail.append(Strip.blank(width))
            tail.extend(strips)
        rendered.tail = tail


def _render_blocks(
    tokens: list[Token], palette: Palette, width: int, known: dict[Hashable, list[Strip]]
) -> list[Strip]:
    strips: list[Strip] = []
    for block in top_level_blocks(tokens):
        _extend(strips, render_block(block, palette, width, known), width)
    return strips


def _extend(strips: list[Strip], more: list[Strip], width: int) -> None:
    """Join blocks with one blank line between them."""
    if strips and more:
        strips.append(Strip.blank(width))
    strips.extend(more)
