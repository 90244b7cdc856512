"""The active path as entries of the transcript: what changed is mounted anew, what did not stays as it is."""

from __future__ import annotations

from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.summary_message import SummaryMessage
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.app.tui.widgets.welcome import Welcome

MessageEntry = UserMessage | AssistantMessage


def entry_of(message: Message) -> MessageEntry:
    """The widget for a message."""
    if message.role == "user":
        return UserMessage(message)
    return SummaryMessage(message) if message.role == "summary" else AssistantMessage(message)


async def show_path(transcript: Transcript, conversation: Conversation, *before: Entry) -> None:
    """Make the transcript show the active path; `before` are notes that stand ahead of what is new.

    Entries of messages that still lead the path are kept, and so are notes among them.
    """
    path = conversation.path()
    entries = [entry for entry in transcript.entries if not isinstance(entry, Welcome)]
    kept = known = 0
    for place, entry in enumerate(entries):
        if isinstance(entry, MessageEntry):
            if known == len(path) or entry.message is not path[known]:
                break
            known += 1
        kept = place + 1
    for entry in (*entries[kept:], *(entry for entry in transcript.entries if isinstance(entry, Welcome) and path)):
        await entry.remove()
    if new := [*before, *(entry_of(message) for message in path[known:])]:
        await transcript.add(*new)
    mark(transcript, conversation)


def mark(transcript: Transcript, conversation: Conversation) -> None:
    """Say under every message which of how many versions it is, and whether it is sent."""
    sent = {message.id for message in conversation.sent()}
    for entry in transcript.entries:
        if isinstance(entry, MessageEntry):
            text, dimmed = _mark(entry.message, conversation, sent)
            entry.set_mark(text, dimmed=dimmed)


def place_of(message: Message, conversation: Conversation) -> str:
    """`2/5`; "" if there is only one version of the message."""
    siblings = conversation.siblings(message.id)
    return f"{siblings.index(message) + 1}/{len(siblings)}" if len(siblings) > 1 else ""


def _mark(message: Message, conversation: Conversation, sent: set[str]) -> tuple[str, bool]:
    parts = []
    if place := place_of(message, conversation):
        parts.append(f"version {place}")
    counts = message.role == "user" or (message.state != "streaming" and bool(message.content.strip()))
    unsent = counts and message.id not in sent
    if message.dropped:
        parts.append("left out of what is sent" if message.role != "summary" else "taken back")
    elif unsent and message.state == "complete":
        parts.append("summed up below")
    return " · ".join(parts), unsent
