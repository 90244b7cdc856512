"""Another token in the place of one that was drawn: a version of the reply that goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.parts import ReplySplitter, starts_thinking

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation, Message
    from qwen3_chat.app.chat.model import ChatModel

__all__ = ["branch_at"]


def branch_at(model: ChatModel, conversation: Conversation, message: Message, index: int, token: int) -> Message:
    """A reply beside `message` with `token` in the place of its token `index`; what was before is kept as it is.

    It has the state "streaming" and waits for a turn, unless the token is one that ends a reply: then it is complete.
    Raises ValueError if the tokens are not this model's, or there is no such place.
    """
    if message.model not in (None, model.name):
        raise ValueError(f"this reply is {message.model}'s: {model.name} counts in other tokens")
    branched = conversation.branch_at(message.id, index, token)
    if token not in model.tokenizer.special_ids:
        return branched
    branched.token_ids, branched.trace = branched.token_ids[:index], message.trace.copy(index)
    prompt = model.prompt_ids(conversation.render_messages(upto=branched.id), model.thinks(branched.thought))
    splitter = ReplySplitter(model.tokenizer, thinking=starts_thinking(prompt, model.tokenizer))
    for part, text in (*(splitter.push(id) for id in branched.token_ids), splitter.finish()):
        if part == "thinking":
            branched.thinking += text
        else:
            branched.content += text
    branched.state, branched.finish_reason = "complete", "stop"
    return branched
