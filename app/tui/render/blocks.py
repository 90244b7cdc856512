"""One top-level Markdown block to strips: Rich's elements, with our wrapping, links in the open and quiet code."""

from __future__ import annotations

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
from rich.text import Text
from textual.strip import Strip

from qwen3_chat.app.tui.render.flow import render_console
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import MIN_WIDTH, FlowText

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
        background = console.get_style("markdown.code").bgcolor
        syntax = Syntax(
            str(self.text).rstrip("\n"),
            self.lexer_name,
            theme=self.theme,
            word_wrap=True,
            tab_size=4,
            padding=(0, 1),
            background_color=background.name if background else None,
        )
        if self.lexer_name != "text":
            label = Text(
                f" {self.lexer_name}", style=console.get_style("markdown.url"), no_wrap=True, overflow="ellipsis"
            )
            label.pad_right(max(0, width - label.cell_len))
            label.stylize(Style(bgcolor=background))
            yield label
        yield from console.render(syntax, options.update(width=width))


class _BlockQuote(BlockQuote):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(options.max_width - 2, MIN_WIDTH))
        bar = Segment("▎ ", console.get_style("markdown.hr"))
        for line in console.render_lines(self.elements, inner, style=self.style):
            yield bar
            yield from line
            yield Segment.line()


class _HorizontalRule(HorizontalRule):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("─" * max(options.max_width, 1), style=console.get_style("markdown.hr"), no_wrap=True)


class _ListItem(ListItem):
    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._hang("• ", "markdown.item.bullet", console, options)

    def render_number(self, console: Console, options: ConsoleOptions, number: int, last_number: int) -> RenderResult:
        marker = f"{number}.".rjust(len(str(last_number)) + 1) + " "
        yield from self._hang(marker, "markdown.item.number", console, options)

    def _hang(self, marker: str, style: str, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(options.max_width - len(marker), MIN_WIDTH))
        lines = console.render_lines(self.elements, inner, style=self.style) if self.elements else [[]]
        for number, line in enumerate(lines):
            yield Segment(" " * len(marker) if number else marker, console.get_style(style))
            yield from line
            yield Segment.line()


class _ListElement(ListElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first = 1 if self.list_start is None else self.list_start
        for number, item in enumerate(self.items, first):
            if self.list_type == "bullet_list_open":
                yield from item.render_bullet(console, options)
            else:
                yield from item.render_number(console, options, number, first + len(self.items) - 1)


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
        "table_open": _Table,
        "td_open": _TableCell,
        "th_open": _TableCell,
    }
    inlines = Markdown.inlines | {"a", "url"}

    def __init__(self, tokens: list[Token], code_theme: str) -> None:
        super().__init__("", code_theme=code_theme)
        self.parsed = [_plain_links(token) for token in tokens]


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


def render_block(tokens: list[Token], palette: Palette, width: int) -> list[Strip]:
    """Strips of one top-level block, `width` cells each, without blank lines at its ends."""
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
