"""The fenced code blocks of a Markdown text."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CodeBlock", "code_blocks", "fenced"]

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """One block, without its fences."""

    language: str
    code: str


def code_blocks(text: str) -> list[CodeBlock]:
    """All blocks, first to last. One whose end is missing goes on to the end of the text, as in CommonMark."""
    blocks: list[CodeBlock] = []
    fence, indent, language, lines = "", 0, "", list[str]()
    for line in text.split("\n"):
        if not fence:
            if match := _FENCE.match(line):
                indent, fence, language, lines = len(match[1]), match[2], match[3], []
        elif line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            blocks.append(CodeBlock(language, "\n".join(lines)))
            fence = ""
        else:
            cut = len(line) - len(line.lstrip(" "))
            lines.append(line[min(indent, cut) :])
    if fence:
        blocks.append(CodeBlock(language, "\n".join(lines)))
    return blocks


def fenced(code: str, language: str = "") -> str:
    """The code as a block, in a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code.rstrip(chr(10))}\n{fence}"
