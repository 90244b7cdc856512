"""A chat as a document: Markdown and a web page of its active path, or JSON of everything."""

from __future__ import annotations

import html
import re
import time
from typing import Literal, get_args

from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.chat.history.portable import to_json
from qwen3_chat.app.chat.history.record import storable
from qwen3_chat.app.chat.history.store import ChatSummary, SavedChat

__all__ = ["FORMATS", "ExportFormat", "export", "file_name", "to_html", "to_markdown"]

ExportFormat = Literal["md", "json", "html"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)

_SPEAKERS = {"user": "You", "assistant": "Assistant"}
_ENDS = {
    "stopped": "The reply was stopped.",
    "interrupted": "The reply was interrupted.",
    "error": "The reply failed.",
    "streaming": "The reply is still being written.",
}


def export(chat: SavedChat, output_format: ExportFormat) -> str:
    """The chat in this format."""
    return storable({"md": to_markdown, "json": to_json, "html": to_html}[output_format](chat))


def file_name(chat: ChatSummary, output_format: ExportFormat) -> str:
    """A name that any file system takes: words of the title, and the id."""
    words = re.sub(r"\W+", "-", chat.title.lower()).strip("-_")[:40].rstrip("-_")
    return f"{words or 'chat'}-{chat.short_id}.{output_format}"


def to_markdown(chat: SavedChat) -> str:
    """What was said, as it was written; thinking is quoted."""
    parts = [f"# {' '.join(chat.summary.title.split())}", f"*{_facts(chat)}*"]
    if chat.conversation.system:
        parts += ["## System prompt", chat.conversation.system]
    for message in chat.conversation.path():
        parts.append(f"## {_SPEAKERS.get(message.role, message.role.capitalize())}")
        if message.thinking.strip():
            quoted = "\n".join(f"> {line}".rstrip() for line in message.thinking.strip().split("\n"))
            parts.append(f"> *Thinking*\n>\n{quoted}")
        if message.content.strip():
            parts.append(message.content.strip("\n"))
        parts += [f"Calls {call.name}:\n\n```json\n{call.arguments}\n```" for call in message.tool_calls]
        if end := _end(message):
            parts.append(f"*{end}*")
    return "\n\n".join(parts) + "\n"


_PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --muted: #888; --said: #8881; }}
body {{ margin: 0 auto; max-width: 46rem; padding: 2rem 1rem 4rem; font: 1rem/1.6 system-ui, sans-serif; }}
h1 {{ font-size: 1.4rem; line-height: 1.3; }}
.facts, .end {{ color: var(--muted); font-size: .85rem; }}
section {{ margin: 1.5rem 0; overflow-wrap: anywhere; }}
section > h2 {{ margin: 0 0 .3rem; color: var(--muted); font-size: .85rem; font-weight: 600; }}
.user, .system {{ padding: .8rem 1rem; border-radius: .6rem; background: var(--said); }}
.said, details {{ white-space: pre-wrap; }}
details {{ margin: .5rem 0; color: var(--muted); font-size: .9rem; }}
pre {{ overflow-x: auto; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: .6rem; }}
code {{ font: .9em/1.5 ui-monospace, monospace; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .3rem .7rem; border: 1px solid var(--line); }}
blockquote {{ margin: 0; padding-left: 1rem; border-left: 3px solid var(--line); }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="facts">{facts}</p>
{sections}
</body>
</html>
"""


def to_html(chat: SavedChat) -> str:
    """One page that loads nothing and runs nothing. Replies are set as Markdown, everything else is shown as typed."""
    sections = []
    if chat.conversation.system:
        sections.append(_section("system", "System prompt", _said(chat.conversation.system)))
    for message in chat.conversation.path():
        speaker = _SPEAKERS.get(message.role, message.role.capitalize())
        body = _markdown(message.content) if message.role == "assistant" else _said(message.content)
        for call in message.tool_calls:
            name, arguments = html.escape(call.name), html.escape(call.arguments)
            body += f"\n<p>Calls {name}:</p>\n<pre><code>{arguments}</code></pre>"
        if message.thinking.strip():
            body = f"<details><summary>Thinking</summary>{html.escape(message.thinking.strip())}</details>\n{body}"
        if end := _end(message):
            body += f'\n<p class="end">{html.escape(end)}</p>'
        sections.append(_section(message.role, speaker, body))
    title = html.escape(" ".join(chat.summary.title.split()))
    return _PAGE.format(title=title, facts=html.escape(_facts(chat)), sections="\n".join(sections))


def _section(kind: str, heading: str, body: str) -> str:
    return f'<section class="{html.escape(kind)}">\n<h2>{html.escape(heading)}</h2>\n{body}\n</section>'


def _said(text: str) -> str:
    return f'<div class="said">{html.escape(text)}</div>'


def _markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    # No HTML of the model's own, and no picture: the page would have to fetch it.
    return str(MarkdownIt("gfm-like", {"html": False}).disable("image").render(text))


def _facts(chat: SavedChat) -> str:
    summary = chat.summary
    parts = [time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.created))]
    parts += [summary.model] if summary.model else []
    return " · ".join([*parts, "qwen3-chat"])


def _end(message: Message) -> str:
    """How a reply ended, if not as it should."""
    if message.state == "error" and message.note:
        return f"The reply failed: {message.note}."
    return _ENDS.get(message.state, f"{message.note[:1].upper()}{message.note[1:]}." if message.note else "")
