"""The fenced code blocks of a Markdown text."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CodeBlock", "code_blocks", "fenced"]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """One block, without its fences."""

    language: str
    code: str


def code_blocks(text: str) -> list[CodeBlock]:
    """All blocks, first to last. One whose end is missing goes on to the end of the text, as in CommonMark."""
    from markdown_it import MarkdownIt  # late: the first window is drawn without it

    fences = (token for token in MarkdownIt().parse(text) if token.type == "fence")
    return [CodeBlock((token.info.split() or [""])[0], token.content.removesuffix("\n")) for token in fences]


def fenced(code: str, language: str = "") -> str:
    """The code as a block, in a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code.rstrip(chr(10))}\n{fence}"
