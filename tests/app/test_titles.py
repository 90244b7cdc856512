"""What a chat is called."""

from __future__ import annotations

from typing import Any

import pytest
from chats import talk
from scripted import scripted

from qwen3_chat.app.chat.history.titles import LONGEST, TitleRequest, can_entitle, first_line, tidy


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hi", "Hi"),
        ("\n\n  What is\ta   monad?  \nSecond", "What is a monad?"),
        ("", ""),
        ("word " * 40, "word " * 10 + "word…"),
        ("旋" * 100, "旋" * (LONGEST - 1) + "…"),
    ],
)
def test_the_first_line_is_cut_at_a_word(text: str, title: str) -> None:
    assert first_line(text) == title
    assert len(title) <= LONGEST


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('"Rotary Position Codes."', "Rotary Position Codes"),
        ("**Title:** Rotary codes\nIt is about …", "Rotary codes"),
        ("标题：旋转编码。", "旋转编码"),
        ("?", None),
        ("", None),
        ("<think>\nHm", None),
        ("1234", None),
    ],
)
def test_a_title_is_picked_out_of_what_a_model_writes(written: str, title: str | None) -> None:
    assert tidy(written) == title


@pytest.mark.parametrize(
    ("mode", "is_demo", "can"),
    [("switch", False, True), ("never", False, True), ("always", False, False), ("switch", True, False)],
)
def test_only_a_model_that_can_answer_at_once_is_asked(mode: Any, is_demo: bool, can: bool) -> None:
    model = scripted(mode=mode).model
    model.is_demo = is_demo
    assert can_entitle(model) is can


def test_a_request_is_small_and_in_the_background() -> None:
    scene = scripted(chunk=1)
    request = TitleRequest(scene.model, talk("Why? " * 1000, "Because. " * 1000, "more", "and more"))
    (prompt,) = scene.engine.background
    assert scene.engine.requests == []
    assert len(prompt) < 2000
    while not request.poll():
        assert request.title is None
    assert request.title is None  # "?" is what the scripted engine says in the background


def test_a_request_that_is_stopped_has_no_title() -> None:
    scene = scripted(chunk=1)
    request = TitleRequest(scene.model, talk("Why?", "Because."))
    request.stop()
    assert request.poll()
    assert request.title is None


def test_a_prompt_that_does_not_fit_is_nobody_s_concern() -> None:
    scene = scripted(context=10)

    def fails(*_: Any, **__: Any) -> Any:
        from qwen3_chat.engine import ContextOverflow

        raise ContextOverflow("too long")

    scene.engine.generate = fails  # type: ignore[method-assign]
    request = TitleRequest(scene.model, talk("Why?", "Because."))
    assert request.poll()
    assert request.title is None
