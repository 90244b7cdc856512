"""A reply: thinking that folds, the answer as Markdown, calls of tools, and what the engine measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.strip import Strip

from qwen3_chat.app.chat.conversation import Message, ReplyStats
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.calls import call_lines, call_text
from qwen3_chat.app.tui.render.flow import GrowingText, flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.strips import DECORATION
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.widgets.entry import Entry

if TYPE_CHECKING:
    from qwen3_chat.app.tui.render.markdown import GrowingMarkdown

_ENDS = {
    "cancelled": "■ stopped",
    "interrupted": "■ interrupted",
    "length": "▲",
    "error": "✗ failed",
}  # the note of a length says which one it was


class AssistantMessage(Entry):
    """One reply, from its first moment on. The message is written by a turn; this is told what was added."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message: Message = message
        self.unfolded = False
        self.waiting = "waiting for the engine"  # shown until the first token
        self.stats = message.stats
        self._thinking = GrowingText("│ ", "muted")
        self._thinking.append(message.thinking)
        self._answer: GrowingMarkdown | None = None
        self._fold_lines: set[int] = set()  # where a click folds and unfolds
        if message.content:
            self._append_answer(message.content)

    def _copy(self) -> Self:
        copy = type(self)(self.message)
        copy.unfolded, copy.waiting, copy.stats = self.unfolded, self.waiting, self.stats
        copy._thinking, copy._answer = self._thinking, self._answer  # they may be behind the message: see `ReplyStream`
        self._thinking.forget()
        if self._answer is not None:
            self._answer.forget()
        return copy

    @property
    def sign(self) -> tuple[str, str]:
        """Streaming, stopped, failed or, quietly, complete: by shape first, then by colour."""
        palette = self.palette
        return {
            "streaming": ("●", palette.success),
            "stopped": ("■", palette.warning),
            "interrupted": ("■", palette.warning),
            "error": ("✗", palette.error),
        }.get(self.message.state, ("◆", palette.muted if self.message.dropped else palette.accent))

    @property
    def sources(self) -> Sequence[str]:
        """Thinking, answer, and what its calls say."""
        return self.message.thinking, self.message.content, *(call_text(call) for call in self.message.tool_calls)

    @property
    def copy_text(self) -> str:
        """The answer's Markdown source, without the thinking; of a reply without one, its calls."""
        return self.message.content or "\n".join(call_text(call) for call in self.message.tool_calls)

    def append(self, thinking: str, answer: str, stats: ReplyStats | None) -> None:
        """What came since the last call. Folded thinking is kept, not rendered."""
        self._thinking.append(thinking)
        if answer:
            self._append_answer(answer)
        self.stats = stats
        self.changed()

    def unfold(self, source: int) -> bool:
        """Show the thinking or a call's arguments, if it is that."""
        hidden = source != 1 and not self.unfolded
        if hidden:
            self.toggle_thinking()
        return hidden

    def fold(self) -> None:
        """Hide the thinking."""
        if self.unfolded:
            self.toggle_thinking()

    def _append_answer(self, text: str) -> None:
        if self._answer is None:
            # Imported late: the Markdown machinery is not needed for the first window.
            from qwen3_chat.app.tui.render.markdown import GrowingMarkdown

            self._answer = GrowingMarkdown()
        self._answer.append(text)

    def toggle_thinking(self) -> None:
        """Fold or unfold, with the arguments of calls."""
        if self.message.thinking or self.message.tool_calls:
            self.unfolded = not self.unfolded
            self.changed()

    def action_message_thinking(self) -> None:
        """The key for it."""
        self.toggle_thinking()

    def on_click(self, event: events.Click) -> None:
        """A click on a fold line toggles it."""
        if event.y in self._fold_lines and not self.screen.selections:
            self.toggle_thinking()

    def build(self, palette: Palette, width: int) -> list[Strip]:
        """Fold line, thinking, answer, measurements."""
        blank = Strip.blank(width)
        strips = self._heading(palette, width)
        heading = len(strips)
        self._fold_lines = set()
        if self.message.thinking:
            self._fold_lines.add(heading)
            strips += flow_strips(self._fold_line(palette, width), palette, width)
            if self.unfolded:
                thinking = self._thinking.strips(palette, width)
                self._source_lines[0] = range(len(strips), len(strips) + len(thinking))
                strips += thinking
        streaming = self.message.state == "streaming"
        if self._answer is not None and self._answer.text:
            done, tail = self._answer.strips(palette, width)
            strips += [blank] if len(strips) > heading else []
            self._source_lines[1] = range(len(strips), len(strips) + len(done) + len(tail))
            strips += done
            strips += _with_caret(tail, palette) if streaming else tail
        elif streaming and len(strips) == heading and not self.message.tool_calls:
            strips += flow_strips(Text(self.waiting, Style(color=palette.muted, italic=True)), palette, width)
        for place, call in enumerate(self.message.tool_calls, 2):
            lines = flow_strips(call_lines(call, palette, width, unfolded=self.unfolded), palette, width)
            strips += [blank] if len(strips) > heading and place == 2 else []
            self._fold_lines.add(len(strips))
            self._source_lines[place] = range(len(strips), len(strips) + len(lines))
            strips += lines
        if not streaming:
            footer = self._footer(palette, signed=bool(strips))
            strips += [blank] if strips else []
            strips += flow_strips(footer, palette, width)
        return strips

    def _heading(self, palette: Palette, width: int) -> list[Strip]:
        """Lines above everything else."""
        return []

    def _fold_line(self, palette: Palette, width: int) -> Text:
        text = Text("▾ " if self.unfolded else "▸ ", Style(color=palette.accent))
        said = self.message.content or self.message.tool_calls
        thinking_now = self.message.state == "streaming" and not said
        parts = ["thinking" if thinking_now else "thought"]
        if self.stats is not None:
            if self.stats.thinking_s:
                parts[0] += f" for {format.seconds(self.stats.thinking_s)}"
            parts.append(f"{format.exact(self.stats.thinking_tokens)} tok")
        text.append(" · ".join(parts), Style(color=palette.muted))
        how = f"t {'folds' if self.unfolded else 'unfolds'} it" if self.has_focus else "click, or alt+↑ and t"
        if text.cell_len + 3 + len(how) <= width:
            text.append(f"   {how}", Style(color=palette.faint))
        return text

    def _footer(self, palette: Palette, *, signed: bool) -> Text:
        """`signed`: a line of its own, so that it needs the sign of the end; the first line has it in the gutter."""
        reason = self.message.finish_reason or ""
        end = _ENDS.get(reason, "")
        if not signed:
            end = end.removeprefix(f"{self.sign[0]} ")
        text = Text(style=Style(color=palette.muted))
        colour = palette.error if self.message.state == "error" else palette.warning
        parts = [Text(end, Style(color=colour, bold=True))] if end else []
        if self.message.note:
            note = Text(clean(self.message.note), Style(color=colour))
            if reason == "length":
                note = parts.pop().append(" ").append_text(note)
            parts.append(note)
        stats = self.stats
        if stats is not None and stats.new_tokens:
            parts.append(Text(f"{format.exact(stats.new_tokens)} tok"))
            if stats.first_token_s is not None:
                parts.append(Text(f"first token {format.seconds(stats.first_token_s)}"))
            if stats.tokens_per_s is not None:
                parts.append(Text(f"{format.rate(stats.tokens_per_s)} tok/s"))
            parts.append(Text(f"reused {format.exact(stats.reused_tokens)} of {format.exact(stats.prompt_tokens)}"))
        return text.append_text(Text(" · ").join(parts))


def _with_caret(strips: list[Strip], palette: Palette) -> list[Strip]:
    """The strips with a block after the last word, where there is room for it."""
    if not strips:
        return strips
    last = strips[-1]
    end = Strip([Segment(last.text.rstrip())]).cell_length
    if end >= last.cell_length:
        return strips
    caret = Strip([Segment("▌", Style(color=palette.accent) + DECORATION)], 1)
    return [*strips[:-1], Strip.join([last.crop(0, end), caret, last.crop(end + 1)])]
