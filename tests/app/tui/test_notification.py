"""A long reply that ends while nobody looks is told by the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from scene import idle, replies, scene, wait_until, window
from textual import events

from qwen3_chat.app.settings.resolve import Settings
from qwen3_chat.app.tui.notification import notification


@pytest.mark.parametrize(
    ("environment", "sequence"),
    [
        ({"TERM": "xterm-256color"}, "\x1b]9;qwen3-chat: done; all\x1b\\"),
        ({"TERM": "foot"}, "\x1b]777;notify;qwen3-chat;done; all\x1b\\"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\x1b]777;notify;qwen3-chat;done; all\x1b\\"),
        ({"TERM": "tmux-256color", "TMUX": "x"}, "\x1bPtmux;\x1b\x1b]9;qwen3-chat: done; all\x1b\x1b\\\x1b\\"),
    ],
)
def test_each_terminal_gets_the_sequence_that_it_knows(environment: dict[str, str], sequence: str) -> None:
    assert notification("qwen3-chat", "done; all", environment) == sequence


def test_what_is_told_cannot_end_the_sequence() -> None:
    told = notification("a;b", "x\x1b\\\x07\x9c]0;evil\n" + "long " * 100, {"TERM": "foot"})
    assert told.startswith("\x1b]777;notify;a,b;x \\ ]0;evil long")
    assert told.endswith("…\x1b\\")
    assert sum(told.count(char) for char in "\x1b\x07\x9c\n") == 2  # where it begins and where it ends


@pytest.mark.parametrize(
    ("values", "focused", "told"),
    [
        ({"notify": True, "notify-after": 0}, False, True),
        ({"notify": True, "notify-after": 0}, True, False),
        ({"notify": True, "notify-after": 3600}, False, False),
        ({"notify": False, "notify-after": 0}, False, False),
    ],
)
async def test_only_who_looks_elsewhere_and_wants_to_know_is_told(
    values: dict[str, Any], focused: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    for name, value in values.items():
        settings = settings.changed(name, value)
    app = window(scene("Hello."), settings=settings)
    sent: list[str] = []
    ended: list[object] = []
    monkeypatch.setattr(app, "write_sequence", sent.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        if not focused:
            app.post_message(events.AppBlur())
            await wait_until(pilot, lambda: not app.app_focus)
        await app.chat.sending.submit("Tell me")  # a key would say that somebody is there
        await wait_until(pilot, lambda: replies(app) and idle(app))
        app.chat.call_later(lambda: app.call_later(ended.append, True))  # goes behind the message about the end
        await wait_until(pilot, lambda: ended)
        assert [one for one in sent if "The reply is there: Tell me" in one] == sent
        assert bool(sent) is told
