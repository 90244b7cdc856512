"""A call of a tool as it is shown: its name, and its arguments in one line or, unfolded, as JSON."""

from __future__ import annotations

import json

from rich.style import Style
from rich.text import Text

from qwen3_chat.app.chat.tools import ToolCall
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean


def call_text(call: ToolCall) -> str:
    """The call in one line, to be found and copied."""
    return f"{call.name} {call.arguments}"


def call_lines(call: ToolCall, palette: Palette, width: int, *, unfolded: bool) -> Text:
    """The block: `▸ calls name {"city": "Paris"}`, cut to the width; unfolded, an argument a line."""
    text = Text("▾ " if unfolded else "▸ ", Style(color=palette.accent))
    text.append("calls ", Style(color=palette.muted)).append(clean(call.name), Style(bold=True))
    muted = Style(color=palette.muted)
    if not unfolded:
        text.append(f"  {clean(call.arguments)}", muted)
        text.truncate(max(1, width), overflow="ellipsis")
        return text
    for line in json.dumps(json.loads(call.arguments), ensure_ascii=False, indent=2).split("\n"):
        text.append(f"\n  {clean(line)}", muted)
    return text
