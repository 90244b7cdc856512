"""A text on its way from the prompt into the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qwen3_chat.app.chat.attachments import Attachment, attachments, with_attachments
from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.chat.pastes import Pastes
from qwen3_chat.app.tui.control.commands import message_of


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed. `replaces`: the message whose new version it is; None: it goes to the end of the path."""

    typed: str
    replaces: Message | None = None

    @property
    def place(self) -> str | None:
        """Id of the message in whose place it will stand."""
        return self.replaces.id if self.replaces is not None else None

    def files(self) -> list[Attachment]:
        """The files that the person mentions; what a large paste mentions is not theirs. Raises AttachmentError."""
        return attachments(self.typed, Path.cwd())

    def text(self, pastes: Pastes, files: Sequence[Attachment]) -> str:
        """What is sent: pastes in full, the files below."""
        typed = self.typed if self.replaces is not None else message_of(self.typed)
        return with_attachments(pastes.expand(typed), files)
