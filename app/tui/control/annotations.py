"""What is said under every message: which of how many versions it is, and whether the model gets to read it."""

from __future__ import annotations

from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.tui.widgets.transcript import Transcript


def annotate(transcript: Transcript, conversation: Conversation) -> None:
    """Bring the lines under all messages up to date."""
    sent = {message.id for message in conversation.sent()}
    for entry in transcript.entries:
        if entry.message is not None:
            text, dimmed = _annotation(entry.message, conversation, sent)
            entry.annotate(text, dimmed=dimmed)


def place_of(message: Message, conversation: Conversation) -> str:
    """`2/5`; "" if there is only one version of the message."""
    siblings = conversation.siblings(message.id)
    return f"{siblings.index(message) + 1}/{len(siblings)}" if len(siblings) > 1 else ""


def _annotation(message: Message, conversation: Conversation, sent: set[str]) -> tuple[str, bool]:
    parts = []
    if place := place_of(message, conversation):
        parts.append(f"version {place}")
    counts = message.role == "user" or (message.state != "streaming" and bool(message.content.strip()))
    unsent = counts and message.id not in sent
    if message.dropped:
        parts.append("taken back" if message.role == "summary" else "left out of what is sent")
    elif unsent and message.state == "complete":
        parts.append("summed up below")
    return " · ".join(parts), unsent
