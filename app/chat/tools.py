"""Functions that a reply may ask to be called. The model is told of them and its calls are read; none is made here.

Definitions and calls have the form of OpenAI's chat API, so that what wraps this program needs no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ToolCall", "as_messages", "parse_call"]

# Qwen3-Coder writes its calls so: <function=NAME> <parameter=NAME> value </parameter> ... </function>
_FUNCTION = re.compile(r"\s*<function=([^>\n]+)>\n?(.*?)(?:</function>)?\s*", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call. `arguments` is the text of a JSON object."""

    name: str
    arguments: str

    def as_json(self, number: int) -> dict[str, Any]:
        """As OpenAI's API gives it; `number` is its place in the reply."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": f"call_{number}", "type": "function", "function": function}

    def as_message(self) -> dict[str, Any]:
        """As chat templates take it: the arguments are an object there."""
        return {"type": "function", "function": {"name": self.name, "arguments": json.loads(self.arguments)}}


def as_messages(calls: Sequence[ToolCall]) -> dict[str, Any]:
    """What a reply's message has of its calls; nothing if there are none."""
    return {"tool_calls": [call.as_message() for call in calls]} if calls else {}


def parse_call(text: str) -> ToolCall | None:
    """The call that a model wrote between its marks, as JSON or as Qwen3-Coder does; None: it makes no sense."""
    if (function := _FUNCTION.fullmatch(text)) is not None:
        return _parse_tags(function[1].strip(), function[2])
    try:
        call = _loads(text)
        if isinstance(call, dict) and isinstance(call.get("arguments"), str):
            call["arguments"] = _loads(call["arguments"])
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"]:
        return None
    return _call(call["name"], call.get("arguments", {}))


def _parse_tags(name: str, body: str) -> ToolCall | None:
    """A value that is JSON counts as that, as the template would write it; any other one is text."""
    if not name or _PARAMETER.sub("", body).strip():
        return None
    arguments: dict[str, Any] = {}
    for parameter, value in _PARAMETER.findall(body):
        try:
            arguments[parameter.strip()] = _loads(value)
        except (ValueError, RecursionError):
            arguments[parameter.strip()] = value
    return _call(name, arguments)


def _loads(text: str) -> Any:
    """JSON as it is meant to be: Python would take NaN and Infinity, too."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def _call(name: str, arguments: object) -> ToolCall | None:
    if not isinstance(arguments, Mapping):
        return None
    return ToolCall(name, json.dumps(arguments, ensure_ascii=False))
