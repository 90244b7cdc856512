"""A conversation: a tree of messages with one active path through it.

Nothing is ever overwritten by asking again: an edit or another reply is a sibling, and `select` goes back. Thinking is
kept beside the content and never sent back to the model, as the checkpoint's own template would strip it anyway.

A summary is a message of the path, too, and stands for the messages up to `covers`: those stay where they are, and the
summary is sent instead. Dropping it brings them back.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from qwen3_chat.app.chat.trace import TokenTrace, Told

__all__ = ["Conversation", "Message", "MessageState", "ReplyStats", "Role"]

Role = Literal["user", "assistant", "summary"]
MessageState = Literal["complete", "streaming", "stopped", "error", "interrupted"]  # the last: the program was killed

SUMMARY_HEADING = "Summary of the conversation so far:"


@dataclass(frozen=True, slots=True)
class ReplyStats:
    """What the engine measured for one reply. Seconds, tokens, tokens per second."""

    prompt_tokens: int  # the whole prompt, reused part included
    reused_tokens: int  # found in the KV cache
    prefill_tokens: int  # computed anew
    new_tokens: int  # generated, the stop token included
    thinking_tokens: int
    first_token_s: float | None  # from the request to the first token; None: none came
    prefill_s: float
    decode_s: float
    thinking_s: float
    tokens_per_s: float | None  # decode speed; None: too short to say
    prefill_tokens_per_s: float | None


@dataclass(slots=True, eq=False)
class Message:
    """One message. A reply's text grows while its state is "streaming"; a turn is then the only writer."""

    id: str
    role: Role
    content: str
    parent: str | None  # id of the message before it; None: the first of the conversation
    thinking: str = ""
    state: MessageState = "complete"
    finish_reason: str | None = None  # stop | length | cancelled | error | interrupted; None: not a finished reply
    note: str | None = None  # one line to show under the message: an error's text, or why the reply is short
    stats: ReplyStats | None = None
    seed: int | None = None  # of the sampler; None: not a generated message
    thought: bool | None = None  # was thinking on when this reply was made; None: not a generated message
    dropped: bool = False  # still shown, but left out of what is sent
    token_ids: list[int] = field(default_factory=list)  # a reply exactly as generated, without the stop token
    covers: str | None = None  # of a summary: id of the last message that it stands for
    trace: TokenTrace = field(default_factory=TokenTrace)  # token by token what the engine told; may know less than all
    model: str | None = None  # whose tokens these are; None: not a generated message
    created: float = field(default_factory=time.time)  # s since 1970


def _new_id() -> str:
    return uuid.uuid4().hex


class Conversation:
    """A tree of messages. The active path is what a reader sees and what is sent.

    Every method that takes a message id raises KeyError for one that is not of this conversation.
    """

    def __init__(self, system: str | None = None, *, new_id: Callable[[], str] = _new_id) -> None:
        """`new_id` makes message ids (injected by tests and by a store)."""
        self.system = system or None
        self._new_id = new_id
        self._messages: dict[str, Message] = {}
        self._children: dict[str | None, list[str]] = {None: []}
        self._active: dict[str | None, str | None] = {None: None}  # the child that the path takes; None: it ends here

    @classmethod
    def restore(
        cls,
        system: str | None,
        messages: Iterable[Message],
        active: Mapping[str | None, str | None],
        *,
        new_id: Callable[[], str] = _new_id,
    ) -> Conversation:
        """The conversation that `messages` and `next_of` told of: parents before children, and where the path goes."""
        conversation = cls(system, new_id=new_id)
        for message in messages:
            conversation._messages[message.id] = message
            conversation._children[message.id] = []
            conversation._children[message.parent].append(message.id)
            conversation._active[message.id] = active.get(message.id)
        conversation._active[None] = active.get(None)
        return conversation

    # Reading

    def messages(self) -> list[Message]:
        """Every message of every branch, in the order in which they were made."""
        return list(self._messages.values())

    def next_of(self, message_id: str | None) -> str | None:
        """The id that the active path takes (or would take) behind this message; None asks for its first one."""
        return self._active[message_id]

    def message(self, message_id: str) -> Message:
        """The message with that id."""
        return self._messages[message_id]

    def path(self) -> list[Message]:
        """The active path, oldest message first. The system prompt is not a message of it."""
        path: list[Message] = []
        step = self._active[None]
        while step is not None:
            path.append(self._messages[step])
            step = self._active[step]
        return path

    @property
    def last(self) -> Message | None:
        """The end of the active path; None in an empty conversation."""
        path = self.path()
        return path[-1] if path else None

    def siblings(self, message_id: str) -> list[Message]:
        """All alternatives at the place of this message, itself included, oldest first."""
        return [self._messages[child] for child in self._children[self._messages[message_id].parent]]

    def sent(self, upto: str | None = None) -> list[Message]:
        """The messages of the active path that the model gets, oldest first; a summary before what follows it.

        Left out are dropped messages, those that a summary stands for, and replies that are streaming or have no answer
        (failed, or stopped while thinking): an empty turn would teach the model to say nothing. With `upto`, the path
        ends before that message.
        """
        path = self.path()
        ids = [message.id for message in path]
        path = path[: ids.index(upto)] if upto in ids else path
        told = [message for message in path if not message.dropped and (message.role == "user" or _is_told(message))]
        summary = next((message for message in reversed(told) if message.role == "summary"), None)
        if summary is None:
            return told
        covered = set(ids[: ids.index(summary.covers) + 1]) if summary.covers in ids else set()
        return [summary, *(message for message in told if message.role != "summary" and message.id not in covered)]

    def render_messages(self, upto: str | None = None) -> list[dict[str, str]]:
        """What is `sent` as the chat template wants it: [{"role": ..., "content": ...}], system prompt first.

        A summary is part of the system prompt: templates know no other place for what neither side has said.
        """
        messages = self.sent(upto)
        system = [self.system] if self.system else []
        if messages and messages[0].role == "summary":
            system.append(f"{SUMMARY_HEADING}\n{messages.pop(0).content}")
        rendered = [{"role": "system", "content": "\n\n".join(system)}] if system else []
        return rendered + [{"role": message.role, "content": message.content} for message in messages]

    # Writing

    def add_user(self, text: str) -> Message:
        """Append what the person said to the active path."""
        return self._append("user", text, self._end())

    def begin_reply(self) -> Message:
        """Append an empty reply, state "streaming", to the active path. A turn fills it."""
        return self._append("assistant", "", self._end(), state="streaming")

    def begin_summary(self, covers: str) -> Message:
        """Append an empty summary of everything up to the message `covers`, state "streaming". A turn fills it."""
        self._messages[covers]  # KeyError, as everywhere
        summary = self._append("summary", "", self._end(), state="streaming")
        summary.covers = covers
        return summary

    def edit(self, message_id: str, text: str) -> Message:
        """A sibling of the message with this text becomes active; what followed stays with the original.

        A user message edited so waits for a reply (`begin_reply`); an edited reply can be continued or answered.
        """
        original = self._messages[message_id]
        edited = self._append(original.role, text, original.parent)
        edited.covers = original.covers
        return edited

    def regenerate(self, message_id: str | None = None) -> Message:
        """An empty reply beside the given one (default: the last of the path), state "streaming".

        Given a user message, the new reply is its child. Raises ValueError if there is nothing to reply to.
        """
        message = self.last if message_id is None else self._messages[message_id]
        if message is None:
            raise ValueError("an empty conversation has no reply to make again")
        parent = message.id if message.role == "user" else message.parent
        return self._append("assistant", "", parent, state="streaming")

    def continue_(self, message_id: str | None = None) -> Message:
        """Reopen a reply (default: the last of the path) so that a turn goes on from its very tokens.

        If messages follow it, they keep it as it was: a copy beside it is reopened instead. Returns the reopened reply.
        Raises ValueError if the message is not a reply or is streaming now.
        """
        message = self.last if message_id is None else self._messages[message_id]
        if message is None or message.role != "assistant":
            raise ValueError("only a reply can be continued")
        if message.state == "streaming":
            raise ValueError("the reply is still being written")
        if self._children[message.id]:
            reopened = self._append("assistant", message.content, message.parent)
            reopened.thinking, reopened.seed, reopened.thought = message.thinking, message.seed, message.thought
            reopened.token_ids, reopened.trace = list(message.token_ids), message.trace.copy()
            reopened.model = message.model
        else:
            reopened = self.select(message.id)
        reopened.state, reopened.finish_reason, reopened.note = "streaming", None, None
        return reopened

    def branch_at(self, message_id: str, index: int, token: int) -> Message:
        """A reply beside the given one that keeps its first `index` tokens and has another one in the next place.

        State "streaming": a turn goes on from those very tokens. The original may be in the making, and stays.
        Raises ValueError if there is no such place.
        """
        message = self._messages[message_id]
        if message.role != "assistant" or not 0 <= index < len(message.token_ids):
            raise ValueError("only a token of a reply can be replaced")
        branched = self._append("assistant", "", message.parent, state="streaming")
        branched.token_ids, branched.trace = [*message.token_ids[:index], token], message.trace.copy(index)
        top = message.trace.tops[index] if index < len(message.trace) else ()
        if (logprob := dict(top).get(token)) is not None:
            branched.trace.add(Told(logprob, 0, top), at=index)
        branched.thought, branched.model = message.thought, message.model
        return branched

    # Moving about

    def branch(self, message_id: str | None) -> None:
        """End the active path at this message, so that the next one starts a new branch there. None: at the root."""
        if message_id is not None:
            self.select(message_id)
        self._active[message_id] = None

    def toggle_dropped(self, message_id: str) -> list[Message]:
        """Leave a message of the path out of what is sent, or take it in again; returns all that changed.

        The replies to a question go with it: an answer to nothing would mislead.
        """
        message = self._messages[message_id]
        changed = [message]
        if message.role == "user":
            path = self.path()
            at = next((place for place, other in enumerate(path) if other is message), len(path))
            changed += takewhile(lambda other: other.role == "assistant", path[at + 1 :])
        wanted = not message.dropped
        for each in changed:
            each.dropped = wanted
        return changed

    def select(self, message_id: str) -> Message:
        """Lead the active path through this message; behind it the path goes on as it last did."""
        message = self._messages[message_id]
        step: Message | None = message
        while step is not None:
            self._active[step.parent] = step.id
            step = self._messages[step.parent] if step.parent is not None else None
        return message

    def sibling(self, message_id: str, offset: int) -> Message:
        """Select the alternative `offset` places on (wraps around) and return it."""
        siblings = self.siblings(message_id)
        place = next(index for index, message in enumerate(siblings) if message.id == message_id)
        return self.select(siblings[(place + offset) % len(siblings)].id)

    def _end(self) -> str | None:
        last = self.last
        return last.id if last is not None else None

    def _append(self, role: Role, content: str, parent: str | None, *, state: MessageState = "complete") -> Message:
        if parent is not None:
            self.select(parent)
        message = Message(id=self._new_id(), role=role, content=content, parent=parent, state=state)
        self._messages[message.id] = message
        self._children[message.id] = []
        self._children[parent].append(message.id)
        self._active[message.id] = None
        self._active[parent] = message.id
        return message


def _is_told(message: Message) -> bool:
    """A reply with an answer, whatever ended it; a summary only if it is whole: half of one would lose the rest."""
    if message.role == "summary":
        return message.state == "complete" and bool(message.content.strip())
    return message.state != "streaming" and bool(message.content.strip())
