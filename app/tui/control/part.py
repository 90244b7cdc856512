"""The base of a group of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.tui.screens.chat import ChatScreen
    from qwen3_chat.app.tui.session import Session
    from qwen3_chat.app.tui.widgets.prompt import Prompt
    from qwen3_chat.app.tui.widgets.transcript import Transcript


class Part:
    """A group of actions that belongs to a chat screen: methods `action_...`, and the state that only they need."""

    def __init__(self, chat: ChatScreen) -> None:
        self.chat = chat

    @property
    def session(self) -> Session:
        """The chat behind the screen."""
        return self.chat.session

    @property
    def transcript(self) -> Transcript:
        """The conversation on the screen."""
        return self.chat.transcript

    @property
    def prompt(self) -> Prompt:
        """Where the person writes."""
        return self.chat.prompt
