"""What a chat is called: its first line at once, and something better from the model when it has nothing else to do.

Only a model that can answer without thinking is asked: thinking about a title would take longer than the chat. The
bundled demo model is never asked, as it makes no titles that mean anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.engine import Generation

__all__ = ["TitleRequest", "can_entitle", "first_line", "tidy"]

LONGEST = 60  # characters
EXCERPT = 600  # characters of the first message and of the first reply that the model is shown
MOST_TOKENS = 24
REQUEST = "Give this conversation a title of at most six words, in its own language. Answer with the title only."


def first_line(text: str) -> str:
    """The first line that says something, cut at a word."""
    line = next((" ".join(line.split()) for line in text.split("\n") if line.strip()), "")
    if len(line) <= LONGEST:
        return line
    cut = line[: LONGEST - 1]
    start, space, _ = cut.rpartition(" ")
    return f"{start if space and len(start) > LONGEST // 2 else cut}…"


def tidy(text: str) -> str | None:
    """The title in what a model wrote; None if there is none."""
    line = first_line(re.sub(r"[*_`#\"“”„«»]", "", text))
    line = re.sub(r"^(title|titel|titre|标题)\s*[:：]\s*", "", line, flags=re.IGNORECASE).strip(" .。-")
    return line if any(character.isalpha() for character in line) and "<" not in line else None


def can_entitle(model: ChatModel) -> bool:
    """Whether the model is worth asking."""
    return not model.is_demo and not model.completes and not model.thinks(False)


class TitleRequest:
    """A title in the making, behind everything else that the engine does. It has a cache of its own."""

    def __init__(self, model: ChatModel, conversation: Conversation) -> None:
        """Ask, and return at once. A failure is nobody's concern: the chat keeps the title it has."""
        from qwen3_chat.engine import Qwen3Error, SamplingParams

        self._model = model
        self._ids: list[int] = []
        self._generation: Generation | None = None
        path = [message for message in conversation.path() if message.content.strip()]
        said = "\n\n".join(f"{message.role.capitalize()}: {message.content[:EXCERPT]}" for message in path[:2])
        once = SamplingParams(temperature=0.0, max_new_tokens=MOST_TOKENS, vocab_limit=model.tokenizer.vocab_size)
        try:
            prompt = model.prompt_ids([{"role": "user", "content": f"{said}\n\n---\n{REQUEST}"}], False)
            self._generation = model.engine.generate(prompt, model.new_cache(), once, background=True)
        except Qwen3Error:
            pass

    def poll(self) -> bool:
        """Take what has come. True once there is nothing more to come."""
        if self._generation is None:
            return True
        done = self._generation.done  # asked before draining: then what is drained is all there is
        self._ids += [token.id for token in self._generation.drain() if not token.stop]
        return done

    def stop(self) -> None:
        """Somebody needs the engine. Returns at once; poll until it has let go."""
        if self._generation is not None:
            self._generation.cancel()

    @property
    def title(self) -> str | None:
        """The title, once polled to the end; None if it was stopped or makes no sense."""
        if self._generation is None or self._generation.finish_reason not in ("stop", "length"):
            return None
        return tidy(self._model.tokenizer.decode(self._ids))
