"""Chats as documents: JSON that comes back whole, and pages in which nothing that was said is obeyed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from chats import TEXTS, conversations, finish, plain_values, talk
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.chat.history import ChatSummary, SavedChat, Store, export, file_name, import_chat


def saved(conversation: Conversation, title: str = "A title", system: str | None = None) -> SavedChat:
    summary = ChatSummary(1, "c" * 32, title, "person", conversation.system, "Qwen3-4B", 1e9, 1.5e9, 2)
    return SavedChat(summary, conversation, {})


@settings(max_examples=60)
@given(conversations(), TEXTS)
def test_json_comes_back_whole(conversation: Conversation, title: str) -> None:
    chat = saved(conversation, title)
    text = export(chat, "json")
    with TemporaryDirectory() as folder, Store(Path(folder) / "chats.db") as store:
        first, second = import_chat(store, text, "file"), import_chat(store, text, "file")
        assert (first.id, first.title, first.titled_by) == (chat.summary.id, title, "person")
        assert (first.system, first.created, first.updated) == (conversation.system, 1e9, 1.5e9)
        assert second.id != first.id
        for imported in (first, second):
            assert plain_values(store.load(imported.id).conversation) == plain_values(conversation)
        again = json.loads(export(store.load(first.id), "json"))
        assert again == json.loads(text)


def test_an_imported_chat_is_found() -> None:
    with Store() as store:
        import_chat(store, export(saved(talk("Hi", "A rotation of pairs")), "json"), "file")
        assert [hit.content for hit in store.search("rotation")] == ["A rotation of pairs"]


def test_a_reply_that_was_being_written_comes_back_as_interrupted() -> None:
    conversation = talk("Hi")
    conversation.begin_reply().content = "Half"
    with Store() as store:
        chat = import_chat(store, export(saved(conversation), "json"), "file")
        assert store.load(chat.id).conversation.path()[-1].state == "interrupted"


def broken(*path: Any, value: Any = None, remove: bool = False) -> str:
    data = json.loads(export(saved(talk("Hi", "Hello there")), "json"))
    place = data
    for step in path[:-1]:
        place = place[step]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no chat of qwen3-chat"),
        (broken("format", value="other"), "no chat of qwen3-chat"),
        (broken("version", value=2), "version: 2; this program reads version 1"),
        (broken("title", remove=True), "title: is missing"),
        (broken("title", value=7), "title: expected a text, not 7"),
        (broken("title", value="\ud800"), "title: expected a text"),
        (broken("id", value="../x"), "id: expected an id"),
        (broken("created", value=1e300), "created: expected seconds since 1970"),
        (broken("created", value="NaN"), "created: expected seconds since 1970"),
        (broken("titled_by", value="god"), "titled_by: expected first line, model or person"),
        (broken("messages", value={}), "messages: expected a list"),
        (broken("messages", 1, value=3), r"messages\[1\]: expected an object"),
        (broken("messages", 1, "role", value="system"), r"messages\[1\]\.role: expected"),
        (broken("messages", 1, "state", value="done"), r"messages\[1\]\.state: expected"),
        (broken("messages", 1, "parent", value="nobody"), r"messages\[1\]\.parent: no message 'nobody'"),
        (broken("messages", 0, "next", value="nobody"), "next: 'nobody' is no reply to"),
        (broken("first", value="nobody"), "first: 'nobody' is no reply to None"),
        (broken("messages", 1, "token_ids", value=[1, -1]), r"messages\[1\]\.token_ids: expected a list of token ids"),
        (broken("messages", 1, "token_ids", value=[2**32]), r"messages\[1\]\.token_ids"),
        (
            broken("messages", 1, "token_ids", value=[]),
            r"messages\[1\]: logprobs, step_ns and tops: expected one a token",
        ),
        (broken("messages", 1, "logprobs", value=[1e39]), r"messages\[1\]\.logprobs: expected a list of numbers"),
        (broken("messages", 1, "step_ns", value=[0.5]), r"messages\[1\]\.step_ns"),
        (broken("messages", 1, "tops", value=[[[1]]]), r"messages\[1\]\.tops"),
        (broken("messages", 1, "seed", value=2**64), r"messages\[1\]\.seed"),
        (broken("messages", 1, "dropped", value=0), r"messages\[1\]\.dropped: expected true or false"),
        (broken("messages", 1, "stats", value={"new_tokens": 1}), r"messages\[1\]\.stats: expected exactly"),
        (
            broken("messages", 1, "stats", "new_tokens", value="x"),
            r"messages\[1\]\.stats\.new_tokens: expected a number",
        ),
    ],
)
def test_what_is_no_chat_is_not_imported(text: str, message: str) -> None:
    with Store() as store:
        with pytest.raises(HistoryError, match=f"^chat.json: {message}"):
            import_chat(store, text, "chat.json")
        assert store.chats() == []


def test_an_id_cannot_be_there_twice() -> None:
    data = json.loads(export(saved(talk("Hi", "Hello")), "json"))
    data["messages"][1]["id"] = data["messages"][0]["id"]
    with Store() as store, pytest.raises(HistoryError, match=r"messages\[1\]\.id: .* is there twice"):
        import_chat(store, json.dumps(data), "file")


ALLOWED = set(
    "html head meta title style body h1 h2 h3 h4 h5 h6 p section div details summary pre code em strong s a ul ol li "
    "blockquote hr br table thead tbody tr th td".split()
)


class Page(HTMLParser):
    """Collects the text, and whatever could do something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown, self.suspicious, self._hidden = "", list[str](), 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "title")
        if tag not in ALLOWED:
            self.suspicious.append(tag)
        for name, value in attributes:
            link = name == "href" and str(value).split(":")[0] in ("http", "https", "mailto", "ftp", "//", "")
            local = name == "href" and ":" not in str(value)
            if name not in ("charset", "name", "content", "class", "http-equiv", "start", "style") and not (
                link or local
            ):
                self.suspicious.append(f"{tag} {name}={value}")
            if name == "style" and not str(value).startswith("text-align:"):
                self.suspicious.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        self.shown += "" if self._hidden else data


HOSTILE = [
    "<script>alert(1)</script>",
    "</div></section>",
    "<img src=x onerror=alert(1)>",
    "![x](http://e.example/p.png)",
    "[a](javascript:alert(1))",
    "[b](data:text/html,x)",
    '"><svg onload=1>',
    "```html\n<b>\n```\n",
    "`<i>`",
    "&amp;",
    "</title>",
    "| a | b |\n|:-|-|\n| <u> | 2 |\n",
    "\n\n",
    "<!--",
    "]]>",
    "{title}",
    "javascript:alert(1)",
    "https://e.example/?a=<b>",
]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(HOSTILE) | TEXTS, max_size=6).map("".join), st.sampled_from(HOSTILE))
def test_nothing_that_was_said_is_part_of_the_page(text: str, title: str) -> None:
    conversation = talk(text, text, system=text or None)
    conversation.path()[-1].thinking = text
    conversation.path()[-1].note = text
    page = export(saved(conversation, title), "html")
    assert Page(page).suspicious == []
    assert "src=" not in page.replace("&lt;img src=", "") or "<img" not in page


def test_a_page_says_everything() -> None:
    conversation = talk("What is <b>?", "It is **bold**.\n\n```py\nx < 1\n```", system="Be brief.")
    reply = conversation.path()[-1]
    reply.thinking, reply.state = "Let me <see>.", "stopped"
    page = Page(export(saved(conversation, "On <b>"), "html"))
    for text in (
        "On <b>",
        "Be brief.",
        "What is <b>?",
        "It is bold.",
        "x < 1",
        "Let me <see>.",
        "The reply was stopped.",
    ):
        assert text in page.shown, text
    assert "Qwen3-4B" in page.shown
    assert "default-src 'none'" in export(saved(conversation), "html")


def test_markdown_is_what_was_written() -> None:
    conversation = talk("Hi", "It is **bold**.", system="Be brief.")
    reply = conversation.path()[-1]
    reply.thinking, reply.state, reply.note = "One.\n\nTwo.", "error", "device cpu:0 failed"
    finish(conversation.regenerate(), "Another branch")
    conversation.select(reply.id)
    text = export(saved(conversation), "md")
    assert text.startswith("# A title\n\n*2001-09-09 ")
    assert text.endswith(
        "Qwen3-4B · qwen3-chat*\n\n## System prompt\n\nBe brief.\n\n## You\n\nHi\n\n## Assistant\n\n"
        "> *Thinking*\n>\n> One.\n>\n> Two.\n\nIt is **bold**.\n\n*The reply failed: device cpu:0 failed.*\n"
    )


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("What is RoPE?", "what-is-rope-cccccccc.md"),
        ("../../etc", "etc-cccccccc.md"),
        ("什么", "什么-cccccccc.md"),
        ("?", "chat-cccccccc.md"),
    ],
)
def test_a_file_is_named_after_the_chat(title: str, name: str) -> None:
    assert file_name(saved(talk(), title).summary, "md") == name
