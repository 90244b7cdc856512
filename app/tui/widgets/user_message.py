"""What the person said, as they typed it."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.widgets.entry import Entry


class UserMessage(Entry):
    """One user message. Plain text: a person's asterisks are asterisks."""

    DEFAULT_CSS = "UserMessage { background: $surface; }"

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message: Message = message

    @property
    def sign(self) -> tuple[str, str]:
        """The same sign as the prompt's."""
        return "❯", self.palette.muted if self.message.dropped else ""

    @property
    def copy_text(self) -> str:
        """The text as typed."""
        return self.message.content

    def build(self, palette: Palette, width: int) -> list[Strip]:
        """The text."""
        colour = palette.muted if self.message.dropped else palette.foreground
        return flow_strips(Text(clean(self.message.content), Style(color=colour)), palette, width)
