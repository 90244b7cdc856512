"""The token lens: a reply token by token, coloured by surprise, and what else could have stood in each place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.geometry import Region, Size
from textual.message import Message as Event
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from qwen3_chat.app.chat.lens import Alternative, TokenFacts, level, logprob_of, surprises
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.tokens import TokenLines, TokenTexts

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Message
    from qwen3_chat.models.tokenizer import Tokenizer


class TokenLens(Vertical, can_focus=False):
    """A column on the right; on a narrow screen it lies over the chat."""

    DEFAULT_CSS = """
    TokenLens {
        width: 46; max-width: 50%; height: 1fr; display: none; padding: 0 1; border-left: solid $foreground 25%;
    }
    TokenLens.-open { display: block; }
    """

    def compose(self) -> ComposeResult:
        """Title, tokens, and the one under the cursor."""
        yield LensTitle()
        yield TokenText()
        yield TokenDetail()

    @property
    def is_open(self) -> bool:
        """Whether it is shown."""
        return self.has_class("-open")

    def toggle(self) -> None:
        """Open or close."""
        self.toggle_class("-open")


class LensTitle(Widget):
    """One line: what this is, and about which reply."""

    DEFAULT_CSS = "LensTitle { height: 1; }"

    detail: reactive[str] = reactive("")

    def render(self) -> Text:
        """The heading."""
        palette = Palette.of(self.app)
        return Text.assemble(
            ("TOKENS", Style(color=palette.accent, bold=True)),
            (f"  {self.detail}", Style(color=palette.muted)),
            no_wrap=True,
        )


def surprise_style(palette: Palette, surprise: int) -> Style:
    """How a token of that level is written: each differs from the others without colour, too."""
    return (
        Style(color=palette.foreground),
        Style(color=palette.secondary, underline=True),
        Style(color=palette.warning, underline=True, bold=True),
        Style(color=palette.error, underline=True, bold=True, italic=True),
    )[surprise]


class TokenText(ScrollView, can_focus=True):
    """The tokens of one reply, wrapped, with a cursor on one of them."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("lens")
    DEFAULT_CSS = "TokenText { height: 1fr; min-height: 3; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }"

    cursor: reactive[int] = reactive(0)

    class Moved(Event):
        """The cursor is on another token."""

    def __init__(self) -> None:
        super().__init__()
        self.message: Message | None = None
        self._tokenizer: Tokenizer | None = None
        self._texts: list[str] = []
        self._reader: TokenTexts | None = None
        self._lines = TokenLines(1)

    # What is shown

    def show(self, message: Message | None, tokenizer: Tokenizer | None) -> bool:
        """Show the tokens of a message as they are now; returns whether it is another message than before."""
        other = message is not self.message or tokenizer is not self._tokenizer
        if other or (message is not None and len(message.token_ids) < len(self._texts)):
            self.message, self._tokenizer, self._texts = message, tokenizer, []
            self._reader = TokenTexts(tokenizer) if tokenizer is not None else None
            self._lines = TokenLines(self._room)
            self.set_reactive(TokenText.cursor, 0)
            self.scroll_home(animate=False)
        self._read()
        if other and message is not None:
            found = surprises(message)
            self.cursor = found[0] if found else 0
        return other

    def _read(self) -> None:
        if self.message is None or self._reader is None or self._tokenizer is None:
            self.virtual_size = Size(self._room, 0)
            self.refresh()
            return
        new = [self._reader.push(id) for id in self.message.token_ids[len(self._texts) :]]
        self._texts += new
        self._lay_out()

    def _lay_out(self) -> None:
        if self._lines.width != self._room:
            self._lines = TokenLines(self._room)
        if self._lines.count < len(self._texts):
            self._lines.extend(self._texts[self._lines.count :])
            self.refresh()
        self.virtual_size = Size(self._room, len(self._lines.lines))

    @property
    def _room(self) -> int:
        return max(1, self.scrollable_content_region.width)

    def on_resize(self) -> None:
        """Wrap anew."""
        self._lay_out()
        self._reveal()

    def render_line(self, y: int) -> Strip:
        """One line of tokens."""
        base = self.visual_style.rich_style
        line = y + self.scroll_offset.y
        width = self.size.width
        if self.message is None or line >= len(self._lines.lines):
            return Strip.blank(width, base)
        palette = Palette.of(self.app)
        segments = []
        for piece in self._lines.lines[line]:
            style = surprise_style(palette, level(logprob_of(self.message, piece.token)))
            if piece.token == self.cursor:
                style += Style(reverse=True, bold=self.has_focus)
            segments.append(Segment(piece.text, style))
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    # The cursor

    def validate_cursor(self, cursor: int) -> int:
        """There is always one, if there are tokens."""
        return max(0, min(cursor, len(self._texts) - 1))

    def watch_cursor(self) -> None:
        """Bring it into view."""
        self._reveal()
        self.refresh()
        self.post_message(self.Moved())

    def _reveal(self) -> None:
        if self.cursor < len(self._lines.line_of):
            line = self._lines.line_of[self.cursor]
            self.scroll_to_region(Region(0, line, 1, 1), animate=False, immediate=True)

    def step_line(self, step: int) -> None:
        """Cursor a line up or down."""
        if self.cursor >= len(self._lines.line_of):
            return
        line = self._lines.line_of[self.cursor] + step
        while 0 <= line < len(self._lines.lines):
            token = self._lines.at(line, self._lines.start_of(self.cursor))
            if token is not None and token != self.cursor:
                self.cursor = token
                return
            line += step

    def step_surprise(self, step: int) -> None:
        """Cursor to the next or the previous token that surprises, around the ends."""
        found = surprises(self.message) if self.message is not None else []
        ahead = [index for index in found if (index - self.cursor) * step > 0]
        if found:
            self.cursor = min(ahead or found, key=lambda index: index * step)

    def on_click(self, event: events.Click) -> None:
        """Cursor to the token under the mouse."""
        token = self._lines.at(event.y + self.scroll_offset.y, event.x)
        if token is not None:
            self.cursor = token


@dataclass(frozen=True, slots=True)
class LensView:
    """What is said of the token under the cursor."""

    facts: TokenFacts
    tokens: int  # of the reply
    names: dict[int, str]  # how each id is written
    chosen: int  # which alternative the next key is about
    filters: str  # as set now
    hint: str  # what the keys do


class TokenDetail(Widget):
    """The token under the cursor, and its alternatives."""

    DEFAULT_CSS = "TokenDetail { height: auto; max-height: 70%; }"

    view: reactive[LensView | None] = reactive[LensView | None](None, layout=True)
    empty: reactive[str] = reactive("", layout=True)  # said when there is no token to speak of

    def render(self) -> Text:
        """See `detail_text`."""
        palette = Palette.of(self.app)
        if self.view is None:
            return Text(self.empty, Style(color=palette.muted))
        return detail_text(self.view, palette, max(20, self.size.width))


_SHARE, _LEFT = 7, 7  # cells of the two probabilities


def detail_text(view: LensView, palette: Palette, width: int) -> Text:
    """The token, its alternatives one a line, and what the filters leave."""
    facts, muted = view.facts, Style(color=palette.muted)
    name = view.names[facts.id]
    lines = [
        Text("─" * width, Style(color=palette.faint)),
        Text.assemble(
            (name, surprise_style(palette, level(facts.logprob)) + Style(bold=True)),
            (f"  {format.exact(facts.index + 1)} of {format.exact(view.tokens)} · id {facts.id}", muted),
        ),
        _figures(facts, muted),
    ]
    if facts.alternatives:
        names = [view.names[one.id] for one in facts.alternatives]
        longest = min(max(len(name) for name in names), max(4, width - _SHARE - _LEFT - 10))
        heads = f"{'model':>{_SHARE}}{'drawn':>{_LEFT}}"
        lines.append(Text(f"{'':{longest + 5}}{heads}", muted))
        for place, one in enumerate(facts.alternatives):
            lines.append(_alternative(one, names[place], place, view, palette, longest, width))
        sign = "" if facts.left_exact else "at least "
        lines.append(Text(f"{view.filters}: {sign}{facts.kept} left", muted))
    lines.append(Text(view.hint, Style(color=palette.faint)))
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def _figures(facts: TokenFacts, muted: Style) -> Text:
    if facts.surprise is None:
        return Text("nobody measured this token", muted)
    text = Text.assemble(("surprise ", muted), f"{facts.surprise:.2f}")
    if facts.entropy is not None:
        text.append(" · entropy ", muted).append(f"{'' if facts.entropy.exact else '≥ '}{facts.entropy.value:.2f}")
    return text.append(" nats", muted)


def _alternative(
    one: Alternative, name: str, place: int, view: LensView, palette: Palette, longest: int, width: int
) -> Text:
    muted, chosen = Style(color=palette.muted), place == view.chosen
    written = Text(name, no_wrap=True)
    written.truncate(longest, overflow="ellipsis", pad=True)
    written.stylize(Style(bold=one.drawn, color=palette.foreground if one.left is not None else palette.muted))
    line = Text.assemble(
        ("▸ " if chosen else "  ", Style(color=palette.accent, bold=True)), ("● " if one.drawn else "  ", muted)
    )
    line.append_text(written)
    line.append(f" {share(one.probability):>{_SHARE}}")
    if one.left is not None:
        line.append(f"{'' if view.facts.left_exact else '≤'}{share(one.left)}".rjust(_LEFT), Style(bold=True))
    else:
        line.append(f"  ✂ {one.cut_by}" if one.cut_by else "", muted)
    room = width - line.cell_len - 1
    if one.left is not None and room > 2:
        line.append(" " + "▇" * round(room * one.probability), Style(color=palette.secondary))
    return line


def share(probability: float) -> str:
    """A probability as per cent, small ones too."""
    percent = 100 * probability
    return f"{percent:.1f}%" if percent >= 0.1 else "<0.1%" if percent > 0 else "0%"
