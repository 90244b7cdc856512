"""Making room: which old turns to leave out so that a prompt fits. Only ever done because a person chose it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.budget import measure

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation, Message
    from qwen3_chat.app.chat.model import ChatModel

__all__ = ["drop_oldest"]


def drop_oldest(
    model: ChatModel, conversation: Conversation, draft: str, thinking: bool | None, max_tokens: int | None = None
) -> list[Message] | None:
    """Drop the fewest oldest turns of the active path with which `draft` fits, and return their messages.

    A turn is a user message with the replies to it. If even an empty history does not fit, nothing is dropped and
    None is returned.
    """
    sent = [message for message in conversation.sent() if message.role != "summary"]
    dropped: list[Message] = []
    while not measure(model, conversation, draft, thinking, max_tokens).fits:
        if not sent:
            for message in dropped:
                message.dropped = False
            return None
        sent[0].dropped = True
        dropped.append(sent.pop(0))
        while sent and sent[0].role != "user":
            sent[0].dropped = True
            dropped.append(sent.pop(0))
    return dropped
