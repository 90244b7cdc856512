"""What a program gives in files: definitions of tools, and a conversation, in the form of OpenAI's chat API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qwen3_chat.app.chat.errors import OptionError

__all__ = ["read_messages", "read_tools"]

ROLES = ("system", "user", "assistant", "tool")
LONGEST = 64 << 20  # bytes


def read_tools(path: Path) -> tuple[dict[str, Any], ...]:
    """The definitions of --tools. Raises OptionError, naming the file and what is wrong."""
    tools = _read_list("--tools", path)
    for place, tool in enumerate(tools, 1):
        function = tool.get("function", tool)
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise OptionError(
                f"--tools {path}: tool {place} has no name; expected an object of "
                '{"type": "function", "function": {"name": ..., "parameters": ...}}'
            )
        if not isinstance(function.get("parameters", {}), dict):
            raise OptionError(f"--tools {path}: tool {place}: parameters: expected a JSON schema, which is an object")
    return tuple(tools)


def read_messages(path: Path) -> list[dict[str, Any]]:
    """The conversation of --messages as a chat template takes it. Raises OptionError, naming file and message."""
    messages = _read_list("--messages", path)
    if not messages:
        raise OptionError(f"--messages {path}: there is no message in it")
    return [_message(message, f"--messages {path}: message {place}") for place, message in enumerate(messages, 1)]


def _read_list(flag: str, path: Path) -> list[dict[str, Any]]:
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(LONGEST + 1)
    except (OSError, RuntimeError) as error:
        raise OptionError(f"{flag} {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > LONGEST:
        raise OptionError(f"{flag} {path}: larger than {LONGEST >> 20} MiB")
    try:
        items = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{flag} {path}: is not valid JSON: {error}") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise OptionError(f"{flag} {path}: expected a JSON list of objects")
    return items


def _message(message: dict[str, Any], where: str) -> dict[str, Any]:
    role = message.get("role")
    if role not in ROLES:
        raise OptionError(f"{where}: role: expected {', '.join(ROLES[:-1])} or {ROLES[-1]}, not {json.dumps(role)}")
    content = _text(message.get("content"), where)
    calls = message.get("tool_calls") or []
    if not content and role == "user":
        raise OptionError(f"{where}: content: there is none")
    if not isinstance(calls, list) or (calls and role != "assistant"):
        raise OptionError(f"{where}: tool_calls: expected a list, of an assistant's message")
    known = {**message, "content": content}
    if calls:
        known["tool_calls"] = [_call(call, where) for call in calls]
    return known


def _text(content: object, where: str) -> str:
    """A text, or what the text parts of a list say together."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    raise OptionError(f"{where}: content: expected a text, or a list of text parts")


def _call(call: object, where: str) -> dict[str, Any]:
    """With the arguments as an object: the API has them as a text, and templates want to look into them."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise OptionError(f'{where}: tool_calls: expected {{"function": {{"name": ..., "arguments": ...}}}} each')
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = None
    if not isinstance(arguments, dict):
        raise OptionError(f"{where}: tool_calls: arguments of {function['name']}: expected a JSON object")
    return {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
