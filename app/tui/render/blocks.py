"""One top-level Markdown block to strips: Rich's elements, with our wrapping, links in the open and quiet code."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import (
    BlockQuote,
    CodeBlock,
    Heading,
    HorizontalRule,
    ListElement,
    ListItem,
    Markdown,
    MarkdownContext,
    MarkdownElement,
    Paragraph,
    TableDataElement,
    TableElement,
)
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Span, Text
from textual.strip import Strip

from qwen3_chat.app.tui.render.flow import render_console
from qwen3_chat.app.tui.render.formulas import BLOCK
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.strips import DECORATION
from qwen3_chat.app.tui.render.text import MIN_WIDTH, FlowText

_TASK = re.compile(r"\[([ xX])\] ")
_ANY_WIDTH = 10_000  # cells
_CODE_WIDTH = 8  # cells; deeply nested code is not squeezed below this, it is cropped


class _Paragraph(Paragraph):
    def on_enter(self, context: MarkdownContext) -> None:
        super().on_enter(context)
        self.text = FlowText(justify="left")


class _Heading(Heading):
    def on_enter(self, context: MarkdownContext) -> None:
        super().on_enter(context)
        self.text = FlowText()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # The level is readable without colour, too.
        text = FlowText(justify="left")
        text.append("#" * int(self.tag[1]) + " ", console.get_style("markdown.hr"))
        yield text.append_text(self.text)


class _CodeBlock(CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width, _CODE_WIDTH)
        colour = console.get_style("markdown.code").bgcolor
        blank = Style(bgcolor=colour) + DECORATION
        if self.lexer_name != "text":
            label = Text(f" {self.lexer_name}", no_wrap=True, overflow="ellipsis")
            label.truncate(width, pad=True)
            yield Segment(label.plain, console.get_style("markdown.url") + blank)
            yield Segment.line()
        syntax = Syntax("", self.lexer_name, theme=self.theme)
        code = syntax.highlight(str(self.text).rstrip("\n"))
        code.rstrip()
        for line in code.split("\n", allow_blank=True):
            yield from _code_line(line.plain, tuple(line.spans), console, width, blank)


@lru_cache(maxsize=2048)
def _code_line(text: str, spans: tuple[Span, ...], console: Console, width: int, blank: Style) -> tuple[Segment, ...]:
    """One line of code, wrapped and padded. Of code that grows, all lines but the last stay as they are."""
    segments: list[Segment] = []
    for line in FlowText(text, spans=list(spans)).wrap(console, width - 2):
        line.truncate(width - 2, pad=True)
        line.stylize(Style(bgcolor=blank.bgcolor))
        segments += [Segment(" ", blank), *line.render(console), Segment(" ", blank), Segment.line()]
    return tuple(segments)


class _BlockQuote(BlockQuote):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(options.max_width - 2, MIN_WIDTH))
        bar = Segment("▎ ", console.get_style("markdown.hr") + DECORATION)
        for line in console.render_lines(self.elements, inner, style=self.style):
            yield bar
            yield from line
            yield Segment.line()


class _Formula(_Paragraph):
    """Its lines are the formula's own."""


class _HorizontalRule(HorizontalRule):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("─" * max(options.max_width, 1), style=console.get_style("markdown.hr"), no_wrap=True)


class _ListItem(ListItem):
    def __init__(self, task: str) -> None:
        super().__init__()
        self._task = task

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _ListItem:
        return cls(token.meta.get("task", ""))

    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._hang(f"{self._task or '•'} ", "markdown.item.bullet", console, options)

    def render_number(self, console: Console, options: ConsoleOptions, number: int, last_number: int) -> RenderResult:
        marker = f"{number}.".rjust(len(str(last_number)) + 1) + " "
        marker += f"{self._task} " if self._task else ""
        yield from self._hang(marker, "markdown.item.number", console, options)

    def _hang(self, marker: str, style: str, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(options.max_width - len(marker), MIN_WIDTH))
        lines = console.render_lines(self.elements, inner, style=self.style) if self.elements else [[]]
        for number, line in enumerate(lines):
            yield Segment(" " * len(marker) if number else marker, console.get_style(style))
            yield from line
            yield Segment.line()


class _ListElement(ListElement):
    def __init__(self, list_type: str, first: int, last: int | None) -> None:
        """`last`: the number by which the others are aligned, where this is but one item of a list."""
        super().__init__(list_type, first)
        self._first, self._last = first, last

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _ListElement:
        return cls(token.type, int(token.attrs.get("start", 1)), token.meta.get("last"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        last = self._last or self._first + len(self.items) - 1
        for number, item in enumerate(self.items, self._first):
            if self.list_type == "bullet_list_open":
                yield from item.render_bullet(console, options)
            else:
                yield from item.render_number(console, options, number, last)


class _TableCell(TableDataElement):
    def __init__(self, justify: str) -> None:
        super().__init__(justify="left" if justify == "default" else justify)  # type: ignore[arg-type]
        self.content = FlowText("", justify=self.justify)


class _Table(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, border_style="markdown.table.border")
        header = self.header.row.cells if self.header and self.header.row else []
        for cell in header:
            heading = cell.content.copy()
            heading.stylize("markdown.table.header")
            table.add_column(heading, justify=cell.justify, overflow="fold")
        for row in self.body.rows if self.body else []:
            table.add_row(*(cell.content for cell in row.cells[: len(header)]))
        # Where cells wrap, a blank line says which lines are one row.
        table.leading = int(
            console.measure(table, options=options.update(width=_ANY_WIDTH)).maximum > options.max_width
        )
        yield table


class _Block(Markdown):
    """Rich's Markdown over tokens that are already parsed."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "paragraph_open": _Paragraph,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
        "blockquote_open": _BlockQuote,
        "hr": _HorizontalRule,
        "bullet_list_open": _ListElement,
        "ordered_list_open": _ListElement,
        "list_item_open": _ListItem,
        BLOCK: _Formula,
        "table_open": _Table,
        "td_open": _TableCell,
        "th_open": _TableCell,
    }
    inlines = Markdown.inlines | {"a", "url"}

    def __init__(self, tokens: list[Token], code_theme: str) -> None:
        # Not the base's: it would make a parser every time.
        self.markup, self.justify, self.style, self.hyperlinks = "", None, "none", False
        self.code_theme = self.inline_code_theme = code_theme
        self.inline_code_lexer = None
        self.parsed = [_plain_links(token) for token in _with_tasks(tokens)]


def _with_tasks(tokens: list[Token]) -> list[Token]:
    """The tokens, with `[ ]` and `[x]` at the start of a list's items taken off the text and noted at the item."""
    noted = list(tokens)
    for place, token in enumerate(tokens[:-2]):
        inline = tokens[place + 2]  # behind the opening of the item's paragraph
        if token.type != "list_item_open" or inline.type != "inline" or not inline.children:
            continue
        first, *others = inline.children
        if task := _TASK.match(first.content):
            first = first.copy(content=first.content[task.end() :])
            noted[place] = token.copy(meta={"task": "☐" if task[1] == " " else "☑"})
            noted[place + 2] = inline.copy(children=[first, *others])
    return noted


def _styled(text: str, tag: str) -> list[Token]:
    return [Token("text_open", tag, 1), Token("text", "", 0, content=text), Token("text_close", tag, -1)]


def _plain_links(token: Token) -> Token:
    """An inline token whose links and images show where they lead, and whose line breaks stay.

    A terminal link could say one address and open another; a single newline in a model's answer is meant.
    """
    if token.type != "inline" or not token.children:
        return token
    children: list[Token] = []
    hrefs: list[str] = []
    for child in token.children:
        if child.type == "link_open":
            hrefs.append("" if child.info == "auto" else str(child.attrs.get("href", "")))
            children.append(Token("text_open", "a", 1))
        elif child.type == "link_close":
            children.append(Token("text_close", "a", -1))
            if href := hrefs.pop():
                children.extend(_styled(f" ({href})", "url"))
        elif child.type == "image":
            children.extend(_styled(f"[image: {child.content}]", "a"))
            children.extend(_styled(f" ({child.attrs.get('src', '')})", "url"))
        elif child.type == "softbreak":
            children.append(Token("hardbreak", "br", 0))
        else:
            children.append(child)
    copy = token.copy()
    copy.children = children
    return copy


def render_block(tokens: list[Token], palette: Palette, width: int, known: dict[Hashable, list[Strip]]) -> list[Strip]:
    """Strips of one top-level block, `width` cells each, without blank lines at its ends.

    `known` keeps the items of a list that is rendered again and again while it grows; for this palette and width only.
    """
    if tokens[0].type not in ("bullet_list_open", "ordered_list_open"):
        return _render(tokens, palette, width)
    strips: list[Strip] = []
    for item in _items(tokens):
        key = tuple(map(_looks, item))
        if key not in known:
            known[key] = _render(item, palette, width)
        strips += known[key]
    return strips


def _items(tokens: list[Token]) -> Iterator[list[Token]]:
    """A list as one list per item, each with its number."""
    opening, *inner, closing = tokens
    starts = [place for place, token in enumerate(inner) if token.type == "list_item_open" and token.level == 1]
    first = int(opening.attrs.get("start", 1))
    # Of the last number only its digits matter: one more item seldom changes the others.
    last = 10 ** len(str(first + len(starts) - 1)) - 1 if opening.type == "ordered_list_open" else 0
    for number, (start, end) in enumerate(pairwise([*starts, len(inner)]), first):
        alone = opening.copy(attrs={"start": number if last else 1}, meta={"last": last})
        yield [alone, *inner[start:end], closing]


def _looks(token: Token) -> Hashable:
    """Everything of a token that the picture depends on."""
    children = tuple(map(_looks, token.children or ()))
    said = (token.type, token.tag, token.markup, token.content, token.info, token.hidden)
    return *said, *token.attrs.items(), *token.meta.items(), children


def _render(tokens: list[Token], palette: Palette, width: int) -> list[Strip]:
    console = render_console(palette)
    options = console.options.update(width=max(width, MIN_WIDTH), height=None)
    base = Style(color=palette.foreground)
    lines = console.render_lines(_Block(tokens, palette.code_theme), options, style=base, pad=True)
    # Joined before they are measured: a highlighter may cut an emoji sequence into several segments.
    strips = [Strip(Segment.simplify(line)).adjust_cell_length(width) for line in lines]
    while strips and not strips[0].text.strip() and not _has_background(strips[0]):
        del strips[0]
    while strips and not strips[-1].text.strip() and not _has_background(strips[-1]):
        del strips[-1]
    return strips


def _has_background(strip: Strip) -> bool:
    return any(segment.style is not None and segment.style.bgcolor is not None for segment in strip)
