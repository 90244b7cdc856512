"""The summary that the model made of the older messages, and that is sent in their stead."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage


class SummaryMessage(AssistantMessage):
    """Written like a reply, read like a note."""

    @property
    def sign(self) -> tuple[str, str]:
        """A sum, unless it is being written or has failed."""
        sign, colour = super().sign
        return ("Σ", self.palette.muted if self.message.dropped else colour) if sign == "◆" else (sign, colour)

    def build(self, palette: Palette, width: int) -> list[Strip]:
        """A heading that says what it is for, and the summary."""
        state = self.message.state
        if state == "streaming":
            heading, what = "Summing up the older messages", ""
        elif state != "complete":
            heading, what = "The summary was not finished", "; everything is sent as before"
        elif self.message.dropped:
            heading, what = "Summary, taken back", "; the older messages are sent again"
        else:
            heading, what = "Summary of the older messages", ", sent in their stead (/uncompact takes it back)"
        title = Text.assemble((heading, Style(color=palette.secondary, bold=True)), (what, Style(color=palette.muted)))
        return flow_strips(title, palette, width) + super().build(palette, width)
