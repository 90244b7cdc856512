"""A message as plain values: what has a column of its own, and the facts that share one.

Whatever field `Message` has or will get is kept: what is not named here is a fact, and every fact is JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from qwen3_chat.app.chat.conversation import Message, ReplyStats
from qwen3_chat.app.chat.tools import ToolCall
from qwen3_chat.app.chat.trace import TokenTrace, unpack_ids

__all__ = [
    "DAMAGED",
    "INTERRUPTED",
    "fact_values",
    "facts_of",
    "interrupt",
    "message_of",
    "message_of_row",
    "storable",
]

_COLUMNS = frozenset(
    {"id", "parent", "role", "content", "thinking", "state", "token_ids", "trace", "created"}
)  # fields of Message that are not facts
_FACTS = tuple(field.name for field in fields(Message) if field.name not in _COLUMNS)

INTERRUPTED = "the program ended while this was being written; continue goes on from here"


def fact_values(message: Message) -> tuple[Any, ...]:
    """The facts as they are, to compare."""
    return tuple(getattr(message, name) for name in _FACTS)


def facts_of(message: Message) -> dict[str, Any]:
    """The facts as JSON values."""
    facts = dict(zip(_FACTS, fact_values(message), strict=True))
    stats = None if message.stats is None else asdict(message.stats)
    return facts | {"stats": stats, "tool_calls": [asdict(call) for call in message.tool_calls]}


def message_of(columns: Mapping[str, Any], facts: Mapping[str, Any], trace: TokenTrace) -> Message:
    """The message of these values; facts that this program does not know are left out."""
    known = {name: value for name, value in facts.items() if name in _FACTS}
    stats = known.get("stats")
    known["stats"] = None if stats is None else ReplyStats(**stats)
    known["tool_calls"] = tuple(map(_call_of, known.get("tool_calls", ())))
    return Message(**columns, **known, trace=trace)


def _call_of(values: Mapping[str, Any]) -> ToolCall:
    """The call; a file that somebody imports may say anything."""
    call = ToolCall(**values)
    if not isinstance(call.name, str) or not isinstance(json.loads(call.arguments), dict):
        raise ValueError(f"no call of a tool: {call}")
    return call


def message_of_row(row: Mapping[str, Any]) -> Message:
    """The message of a row of the table `messages`. Raises ValueError, TypeError or struct.error for a damaged one."""
    columns = {name: row[name] for name in ("id", "parent", "role", "content", "thinking", "state", "created")}
    trace = TokenTrace.unpack(row["logprobs"], row["step_ns"], row["tops"])
    return message_of(columns | {"token_ids": unpack_ids(row["token_ids"])}, json.loads(row["facts"]), trace)


DAMAGED = (ValueError, TypeError, KeyError, struct.error)  # what reading a damaged row raises


def interrupt(message: Message) -> None:
    """Nobody writes this reply any more: say so. Its tokens are there, and `Conversation.continue_` goes on."""
    message.state, message.finish_reason, message.note = "interrupted", "interrupted", INTERRUPTED


def storable(text: str) -> str:
    """The text without what UTF-8 cannot say (half a surrogate pair)."""
    return text.encode(errors="replace").decode()
