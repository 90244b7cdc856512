"""Splits a reply into thinking, answer and tool calls: by token id, since text that only says "<think>" is text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from qwen3_chat.models.tokenizer import Tokenizer

from qwen3_chat.app.chat.tools import ToolCall, parse_call

__all__ = ["Part", "ReplySplitter", "starts_thinking"]

Part = Literal["thinking", "answer", "tool_call"]

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"


def starts_thinking(prompt_ids: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Whether the prompt leaves a think block open, so that the reply's first token is a thought already.

    Only what follows the last special token (the one that starts the assistant's turn) counts: what a person wrote
    earlier is closed off by it.
    """
    for token in reversed(prompt_ids):
        if token == tokenizer.think_open:
            return True
        if token == tokenizer.think_close or token in tokenizer.special_ids:
            return False
    return False


class _Text:
    """One part's text, from ids. Blank lines before it and blanks after it are not part of it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._detokenizer = tokenizer.detokenizer()
        self._held = ""  # whitespace that is text only if more text follows
        self.empty = True

    def push(self, token: int) -> str:
        return self._take(self._detokenizer.push(token))

    def add(self, text: str) -> str:
        """Text that came otherwise."""
        return self._take(text)

    def finish(self) -> str:
        """What the detokenizer still held, such as the beginning of a character that never came."""
        return self._take(self._detokenizer.flush())

    def _take(self, text: str) -> str:
        text = self._held + text
        if self.empty:
            text = text.lstrip("\r\n")
        taken = text.rstrip()
        self._held = text[len(taken) :]
        self.empty = self.empty and not taken
        return taken


class ReplySplitter:
    """Feed it the ids of a reply; each gives text of the part it belongs to.

    A think block can only open a reply: once the answer has text, the marker is shown as the text it is. A call that
    makes no sense is given back as text of the answer when it ends, marks and all.

    Attributes:
        part: the part that the next token belongs to.
        calls: the calls that are complete.
    """

    def __init__(self, tokenizer: Tokenizer, *, thinking: bool) -> None:
        """`thinking`: the prompt has opened the think block, see `starts_thinking`."""
        self._tokenizer = tokenizer
        self._text = _Text(tokenizer)
        self._call = ""  # what has come of the call that is being written
        self._detokenizer = tokenizer.detokenizer()  # of that call
        self._call_open, self._call_close = tokenizer.token_id(CALL_OPEN), tokenizer.token_id(CALL_CLOSE)
        self.part: Part = "thinking" if thinking else "answer"
        self.calls: tuple[ToolCall, ...] = ()

    def push(self, token: int) -> tuple[Part, str]:
        """The part that the token belongs to, and the text that is certain now (often none)."""
        if self.part == "thinking" and token == self._tokenizer.think_close:
            thought = self._text.finish()
            self._text, self.part = _Text(self._tokenizer), "answer"
            return "thinking", thought
        if self.part == "answer" and self._text.empty and token == self._tokenizer.think_open:
            self._text, self.part = _Text(self._tokenizer), "thinking"
            return "thinking", ""
        if self.part == "tool_call":
            return self._push_call(token)
        if self.part == "answer" and token == self._call_open is not None:
            self.part, self._call, self._detokenizer = "tool_call", "", self._tokenizer.detokenizer()
            return "tool_call", ""
        return self.part, self._text.push(token)

    def finish(self) -> tuple[Part, str]:
        """The rest, when no more tokens come."""
        if self.part == "tool_call":
            return "answer", self._text.add(f"{CALL_OPEN}{self._call}{self._detokenizer.flush()}")
        return self.part, self._text.finish()

    def _push_call(self, token: int) -> tuple[Part, str]:
        if token != self._call_close:
            text = self._detokenizer.push(token)
            self._call += text
            return "tool_call", text
        self.part = "answer"
        call = parse_call(self._call)
        if call is None:
            return "answer", self._text.add(f"{CALL_OPEN}{self._call}{CALL_CLOSE}")
        self.calls = (*self.calls, call)
        return "tool_call", ""
