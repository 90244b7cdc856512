"""How much of the context a message will take, exactly, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation
    from qwen3_chat.app.chat.model import ChatModel

__all__ = ["Budget", "measure"]

REPLY_RESERVE = 1024  # tokens: a page of answer; a quarter of the context where that is less


@dataclass(frozen=True, slots=True)
class Budget:
    """Token counts of the prompt as it would be sent. Exact: they are counted on the rendered ids."""

    prompt_tokens: int  # history, draft and the template's own tokens
    draft_tokens: int  # what the draft adds to an empty message
    context: int
    reply_reserve: int  # kept free for the answer

    @property
    def left(self) -> int:
        """Tokens still free for more draft, the reserve for the reply set aside. Negative: that many too many."""
        return self.context - self.reply_reserve - self.prompt_tokens

    @property
    def fits(self) -> bool:
        """Prompt and reserve fit into the context: send without asking."""
        return self.left >= 0

    @property
    def can_send(self) -> bool:
        """The engine will take the prompt, though the reply may be cut short where it does not `fits`."""
        return self.prompt_tokens < self.context


def measure(
    model: ChatModel,
    conversation: Conversation,
    draft: str | None,
    thinking: bool | None,
    max_tokens: int | None = None,
    upto: str | None = None,
) -> Budget:
    """The budget if `draft` were sent now; None: if a reply to the path as it is were asked for.

    `max_tokens` is the reply's limit where one is set; with `upto`, the draft would stand in that message's place.
    Cheap enough to call a few times a second while typing: the tokenizer remembers what did not change.
    Raises TemplateError.
    """
    thinks = model.thinks(thinking)
    messages = conversation.render_messages(upto)
    reserve = min(REPLY_RESERVE, model.context // 4, max_tokens or REPLY_RESERVE)
    if draft is None:
        return Budget(len(model.prompt_ids(messages, thinks)), 0, model.context, reserve)
    empty = len(model.prompt_ids([*messages, {"role": "user", "content": ""}], thinks))
    total = len(model.prompt_ids([*messages, {"role": "user", "content": draft}], thinks)) if draft else empty
    return Budget(total, total - empty, model.context, reserve)
