"""Conversations for tests of what is saved: written by hand, and of any shape."""

from __future__ import annotations

import itertools
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from qwen3_chat.app.chat.conversation import Conversation, Message, ReplyStats
from qwen3_chat.app.chat.history import History
from qwen3_chat.app.chat.trace import TokenTrace

STATS = ReplyStats(21, 10, 11, 6, 2, 0.038, 0.03, 0.5, 0.01, 41.0, None)


def talk(*texts: str, system: str | None = None) -> Conversation:
    """Question, answer, question ... as a conversation whose replies are complete."""
    conversation = Conversation(system)
    for place, text in enumerate(texts):
        if place % 2 == 0:
            conversation.add_user(text)
        else:
            finish(conversation.begin_reply(), text)
    return conversation


def finish(reply: Message, text: str, model: str = "scripted") -> Message:
    """A reply as an engine leaves it."""
    reply.content, reply.state, reply.finish_reason, reply.model = text, "complete", "stop", model
    reply.token_ids = [place % 7 for place in range(len(text.split()))]
    reply.trace = TokenTrace([-0.5] * len(reply.token_ids), [1000] * len(reply.token_ids), [()] * len(reply.token_ids))
    reply.stats, reply.seed, reply.thought = STATS, 2**64 - 1, False
    return reply


def plain_values(conversation: Conversation) -> list[Any]:
    """Everything in a conversation, comparable."""
    ids = [None, *(message.id for message in conversation.messages())]
    messages = [
        {field.name: _comparable(getattr(message, field.name)) for field in fields(Message)}
        for message in conversation.messages()
    ]
    return [conversation.system, {name: conversation.next_of(name) for name in ids}, messages]


def _comparable(value: Any) -> Any:
    return [repr(column) for column in value.pack()] if isinstance(value, TokenTrace) else value


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
F32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Any tree with any path through it."""
    numbers = itertools.count()
    conversation = Conversation(draw(st.none() | TEXTS), new_id=lambda: f"m{next(numbers)}")
    for _ in range(draw(st.integers(0, 8))):
        messages = conversation.messages()
        where = draw(st.sampled_from([None, *messages])) if messages else None
        if where is not None:
            conversation.branch(where.id)
        if where is None or where.role == "assistant":
            if where is None and messages and messages[0].role == "user":
                conversation.edit(messages[0].id, draw(TEXTS))
            else:
                conversation.add_user(draw(TEXTS))
        else:
            _fill(draw, conversation.begin_reply())
    if conversation.messages():
        conversation.select(draw(st.sampled_from(conversation.messages())).id)
    return conversation


def _fill(draw: st.DrawFn, reply: Message) -> None:
    reply.content, reply.thinking = draw(TEXTS), draw(TEXTS)
    reply.state = draw(st.sampled_from(["complete", "stopped", "error", "interrupted"]))
    reply.note, reply.finish_reason = draw(st.none() | TEXTS), draw(st.sampled_from([None, "stop", "error"]))
    reply.seed, reply.thought = draw(st.none() | st.integers(0, 2**64 - 1)), draw(st.none() | st.booleans())
    reply.dropped, reply.model = draw(st.booleans()), draw(st.none() | TEXTS)
    reply.stats = draw(st.sampled_from([None, STATS]))
    reply.created = draw(st.floats(0, 4e9, allow_nan=False))
    reply.token_ids = draw(st.lists(st.integers(0, 2**32 - 1), max_size=6))
    rows = draw(st.integers(0, len(reply.token_ids)))
    tops = st.lists(st.tuples(st.integers(0, 2**32 - 1), F32), max_size=3).map(tuple)
    reply.trace = TokenTrace(
        draw(st.lists(F32 | st.just(float("nan")), min_size=rows, max_size=rows)),
        draw(st.lists(st.integers(0, 2**64 - 1), min_size=rows, max_size=rows)),
        draw(st.lists(tops, min_size=rows, max_size=rows)),
    )


def save(history: History, *texts: str, system: str | None = None) -> str:
    """A saved chat's id."""
    history.save(talk(*texts, system=system))
    assert history.current is not None
    return history.current.chat_id


def grow(reply: Message, text: str, thinking: str = "") -> None:
    """As a turn does: text, ids and what the engine tells of them."""
    reply.content += text
    reply.thinking += thinking
    for character in text + thinking:
        token = SimpleNamespace(logprob=-0.25, ns=7, top=((ord(character), -0.25),))
        reply.trace.add(token, at=len(reply.token_ids))
        reply.token_ids.append(ord(character))
