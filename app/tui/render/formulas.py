r"""Formulas in Markdown: `\(…\)` and `$…$` in a line, `\[…\]` and `$$…$$` in one or in lines of their own.

Both rules settle every question within complete lines that hold together: a text that grows is parsed as it will be
once it is whole, which is what lets finished blocks be kept.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from qwen3_chat.app.tui.render.latex import unicode_math

BLOCK = "math_block"  # the token type; its content is what to show

_CLOSING = {"$$": "$$", r"\[": r"\]"}
_INLINE = re.compile(r"\\\((?P<a>.{1,2000}?)\\\)|\\\[(?P<b>.{1,2000}?)\\\]|\$\$(?P<c>[^$]{1,2000})\$\$", re.DOTALL)
# One dollar is money or a shell's variable as often: blanks and letters around it tell.
_DOLLAR = re.compile(r"(?<![\w$\\])\$(?![\s$])((?:[^$\\\n]|\\.){1,500})(?<!\s)\$(?![\w$])")
_LOOKS_LIKE_MATHS = re.compile(r"[\\^_=+\-*/<>|()]|^\w{1,2}$")


def add_formulas(parser: MarkdownIt) -> MarkdownIt:
    """Teach the parser both rules."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before("blockquote", BLOCK, _block, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


def _inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "\\$":
        return False
    match = _INLINE.match(state.src, state.pos, state.posMax)
    if match is not None:
        formula = next(group for group in match.groups() if group is not None)
    else:
        match = _DOLLAR.match(state.src, state.pos, state.posMax)
        if match is None or not _LOOKS_LIKE_MATHS.search(match[1]):
            return False
        formula = match[1]
    if not silent:
        shown = unicode_math(formula)
        # As text, whichever it is: the underscores of a formula are no emphasis.
        state.push("text", "", 0).content = match[0] if shown is None else shown.replace("\n", " ")
    state.pos = match.end()
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """From a line that opens a formula to the one that ends with its closing; at a blank line it has failed."""
    if state.is_code_block(start):
        return False
    first = _line(state, start)
    closing = _CLOSING.get(first[:2])
    if closing is None or first.startswith("$$$"):
        return False
    first = first[2:]
    if 0 <= first.find(closing) < len(first) - len(closing):
        return False  # a formula in a sentence
    if silent:
        return True
    lines, line, closed = [first], start + 1, first.endswith(closing)
    while not closed and line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        lines.append(_line(state, line))
        closed = lines[-1].endswith(closing)
        line += 1
    source = "\n".join(lines)
    shown = unicode_math(source.removesuffix(closing)) if closed else None
    token = state.push(BLOCK, "", 0)
    token.content = f"{_line(state, start)[:2]}{source}" if shown is None else shown
    token.map = [start, line]
    state.line = line
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()
