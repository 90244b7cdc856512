"""Compacting: the model sums up the older part of a conversation, which then takes less of the context."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation, Message
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.options import SamplingOptions
    from qwen3_chat.engine import KVCache

__all__ = ["NothingToSummarise", "start_summary"]

LONGEST = 1024  # tokens of a summary; a quarter of the context where that is less
REQUEST = (
    "Sum up our conversation so far, so that it can go on from your summary alone. Keep names, facts, numbers, "
    "decisions, code that is still needed, and what is open. Write short notes in the language of the conversation, "
    "and nothing else."
)


class NothingToSummarise(Qwen3Error):  # noqa: N818 - it is an answer more than an error
    """There is no older part, or none that the model could read and sum up in its context."""


def start_summary(
    model: ChatModel, conversation: Conversation, cache: KVCache | None, sampling: SamplingOptions
) -> Turn:
    """Queue the summary of all turns but the last one, or of as many old ones as the model can read; returns at once.

    The turn's message is part of the path from now on and counts as soon as it is complete. Raises NothingToSummarise.
    """
    if model.completes:
        raise NothingToSummarise(f"{model.name} only goes on with texts and cannot sum them up")
    thinks = model.thinks(False)
    longest = min(LONGEST, model.context // 4)
    messages, covers = _readable(model, conversation, thinks, longest)
    message = conversation.begin_summary(covers.id)
    sampling = replace(sampling, max_tokens=longest, thinking_budget=0)
    return Turn.start(model, conversation, cache, sampling, False, message=message, messages=messages)


def _readable(
    model: ChatModel, conversation: Conversation, thinks: bool, longest: int
) -> tuple[list[dict[str, str]], Message]:
    """The prompt that asks for the summary, and the last message that it is about."""
    sent = conversation.sent()
    starts = [place for place, message in enumerate(sent) if message.role == "user"]
    # A summary covers whole turns: it ends before a question. The newest turn stays as it is, if there is an older one.
    ends = starts[1:] or [len(sent)]
    ends = [end for end in ends if sum(message.role != "summary" for message in sent[:end]) > 1]
    if not ends:
        raise NothingToSummarise("there is nothing yet to sum up")
    for end in reversed(ends):
        following = sent[end].id if end < len(sent) else None
        messages = [*conversation.render_messages(upto=following), {"role": "user", "content": REQUEST}]
        if len(model.prompt_ids(messages, thinks)) + longest <= model.context:
            return messages, sent[end - 1]
    raise NothingToSummarise("even the oldest turn is too long to be read and summed up; drop it with d")
