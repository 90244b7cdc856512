"""A chat as JSON: everything that is known of it, to be read by other programs and back by this one."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable
from typing import Any, get_args

from qwen3_chat.app.chat.conversation import Conversation, Message, MessageState, ReplyStats, Role
from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history import record
from qwen3_chat.app.chat.history.store import ChatLine, ChatSummary, SavedChat, Store
from qwen3_chat.app.chat.trace import TokenTrace

__all__ = ["FORMAT_VERSION", "from_json", "import_chat", "to_json"]

FORMAT, FORMAT_VERSION = "qwen3-chat", 1
_CHAT = ("id", "title", "titled_by", "system", "created", "updated")
_STATES = get_args(MessageState)

Check = Callable[[Any], bool]


def to_json(chat: SavedChat) -> str:
    """One object: the chat, and the messages of all branches with tokens, logprobs and timings. Ends with a newline."""
    conversation = chat.conversation
    head = {name: getattr(chat.summary, name) for name in _CHAT}
    return (
        json.dumps(
            {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                **head,
                "first": conversation.next_of(None),
                "messages": [_message(message, conversation) for message in conversation.messages()],
            },
            ensure_ascii=False,
            indent=1,
        )
        + "\n"
    )


def _message(message: Message, conversation: Conversation) -> dict[str, Any]:
    trace = message.trace
    return {
        "id": message.id,
        "parent": message.parent,
        "next": conversation.next_of(message.id),
        "role": message.role,
        "content": record.storable(message.content),
        "thinking": record.storable(message.thinking),
        "state": message.state,
        "created": message.created,
        **record.facts_of(message),
        "token_ids": message.token_ids,
        "logprobs": [value if math.isfinite(value) else None for value in trace.logprobs],
        "step_ns": list(trace.step_ns),
        "tops": [[[token, value if math.isfinite(value) else None] for token, value in top] for top in trace.tops],
    }


def import_chat(store: Store, text: str, name: str) -> ChatSummary:
    """Put a chat that `to_json` wrote into the store, under a new id if its own is taken. Raises HistoryError."""
    head, conversation = from_json(text, name)
    chat_id = head["id"] if not store.has(head["id"]) else uuid.uuid4().hex
    models = [message.model for message in conversation.path() if message.model is not None]
    line = ChatLine(
        title=head["title"],
        titled_by=head["titled_by"],
        system=head["system"],
        model=models[-1] if models else None,
        first=conversation.next_of(None),
        created=float(head["created"]),
        updated=float(head["updated"]),
    )
    with store.writing() as db:
        number = store.put_chat(db, chat_id, line)
        for message in conversation.messages():
            store.put_message(db, number, message, conversation.next_of(message.id))
    return store.chat(chat_id)


def from_json(text: str, name: str) -> tuple[dict[str, Any], Conversation]:
    """The chat's own fields, and its conversation. Raises HistoryError that names the file and the field."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HistoryError(f"{name}: not JSON: {error}") from error
    reader = _Reader(name)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise HistoryError(f'{name}: no chat of qwen3-chat: expected an object with "format": "{FORMAT}"')
    if data.get("version") != FORMAT_VERSION:
        raise HistoryError(f"{name}: version: {data.get('version')!r}; this program reads version {FORMAT_VERSION}")
    for field, check, what in _HEAD:
        reader.check(data, "", field, check, what)
    messages: dict[str, Message] = {}
    active: dict[str | None, str | None] = {None: data["first"]}
    for index, value in enumerate(data["messages"]):
        at = f"messages[{index}]"
        message = reader.message(value, at)
        if message.id in messages:
            raise HistoryError(f"{name}: {at}.id: {message.id!r} is there twice")
        if message.parent is not None and message.parent not in messages:
            raise HistoryError(f"{name}: {at}.parent: no message {message.parent!r} comes before it")
        messages[message.id] = message
        active[message.id] = value["next"]
    for parent, child in active.items():
        if child is not None and (child not in messages or messages[child].parent != parent):
            raise HistoryError(f"{name}: {'first' if parent is None else 'next'}: {child!r} is no reply to {parent!r}")
    return data, Conversation.restore(data["system"], messages.values(), active)


class _Reader:
    """Looks at every value before it is believed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def check(self, data: dict[str, Any], at: str, field: str, check: Check, what: str) -> None:
        path = f"{at}.{field}" if at else field
        if field not in data:
            raise HistoryError(f"{self._name}: {path}: is missing")
        if not check(data[field]):
            shown = repr(data[field])
            raise HistoryError(f"{self._name}: {path}: expected {what}, not {shown[:40]}")

    def message(self, data: Any, at: str) -> Message:
        if not isinstance(data, dict):
            raise HistoryError(f"{self._name}: {at}: expected an object")
        for field, check, what in _MESSAGE:
            self.check(data, at, field, check, what)
        if data["stats"] is not None:
            self._stats(data["stats"], f"{at}.stats")
        columns = {name: data[name] for name in ("id", "parent", "role", "content", "thinking", "state", "token_ids")}
        logprobs = [math.nan if value is None else value for value in data["logprobs"]]
        tops = [tuple((token, -math.inf if value is None else value) for token, value in top) for top in data["tops"]]
        if not len(logprobs) == len(data["step_ns"]) == len(tops) <= len(data["token_ids"]):
            raise HistoryError(f"{self._name}: {at}: logprobs, step_ns and tops: expected one a token")
        trace = TokenTrace(logprobs, data["step_ns"], tops)
        message = record.message_of(columns | {"created": float(data["created"])}, data, trace)
        if message.state == "streaming":
            record.interrupt(message)
        return message

    def _stats(self, stats: dict[str, Any], at: str) -> None:
        known = set(ReplyStats.__dataclass_fields__)
        if set(stats) != known:
            raise HistoryError(f"{self._name}: {at}: expected exactly {', '.join(sorted(known))}")
        for field in sorted(known):
            self.check(stats, at, field, _or_none(_number), "a number or null")


def _text(value: Any) -> bool:
    """A text that UTF-8 can say."""
    return isinstance(value, str) and record.storable(value) == value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(*values: str) -> Check:
    return lambda value: value in values if isinstance(value, str) else False


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _real(value: Any) -> bool:
    """A logprob, which f32 must be able to hold."""
    return _number(value) and abs(value) <= 3.4e38


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _ID(value[0]) and (value[1] is None or _real(value[1]))


def _time(value: Any) -> bool:
    """Seconds since 1970, in a year of four digits."""
    return _number(value) and 0 <= value < 253_402_300_800


_ID = _whole(2**32 - 1)
_HEAD: tuple[tuple[str, Check, str], ...] = (
    ("id", lambda value: isinstance(value, str) and re.fullmatch("[0-9a-z]{1,64}", value) is not None, "an id"),
    ("title", _text, "a text"),
    ("titled_by", _one_of("first line", "model", "person"), "first line, model or person"),
    ("system", _or_none(_text), "a text or null"),
    ("created", _time, "seconds since 1970"),
    ("updated", _time, "seconds since 1970"),
    ("first", _or_none(_text), "an id or null"),
    ("messages", lambda value: isinstance(value, list), "a list"),
)
_MESSAGE: tuple[tuple[str, Check, str], ...] = (
    ("id", _text, "a text"),
    ("parent", _or_none(_text), "an id or null"),
    ("next", _or_none(_text), "an id or null"),
    ("role", _one_of(*get_args(Role)), " or ".join(get_args(Role))),
    ("content", _text, "a text"),
    ("thinking", _text, "a text"),
    ("state", _one_of(*_STATES), " or ".join(_STATES)),
    ("created", _time, "seconds since 1970"),
    ("finish_reason", _or_none(_text), "a text or null"),
    ("note", _or_none(_text), "a text or null"),
    ("stats", lambda value: value is None or isinstance(value, dict), "an object or null"),
    ("seed", _or_none(_whole(2**64 - 1)), "a whole number or null"),
    ("thought", _or_none(_flag), "true, false or null"),
    ("dropped", _flag, "true or false"),
    ("model", _or_none(_text), "a text or null"),
    ("covers", _or_none(_text), "an id or null"),
    ("token_ids", _list(_ID), "a list of token ids"),
    ("logprobs", _list(_or_none(_real)), "a list of numbers"),
    ("step_ns", _list(_whole(2**64 - 1)), "a list of whole numbers"),
    ("tops", _list(lambda top: _list(_pair)(top) and len(top) <= 255), "a list of lists of [id, logprob]"),
)
