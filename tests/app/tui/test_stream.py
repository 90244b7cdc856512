"""When a growing reply is painted: no sooner than its last painting allows, and not while nobody sees it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from qwen3_chat.app.tui.stream import ReplyStream


class Scene:
    """A turn that says what it is told, an entry that notes what it is given, and two clocks that stand still."""

    def __init__(self, phase: str = "answer") -> None:
        self.now = self.work = 100.0  # s
        self.shown = True
        self.painted: list[tuple[str, str]] = []
        self._callbacks: list[Callable[[], None]] = []
        self.turn: Any = SimpleNamespace(poll=self._poll, done=False, phase=phase, stats=None)
        self.entry: Any = SimpleNamespace(unfolded=False, is_attached=True, append=self._append)
        self.entry.current = self.entry
        self.entry.call_after_refresh = lambda method, *given: self._callbacks.append(lambda: method(*given))
        self._said = ("", "")
        self.stream = ReplyStream(
            self.turn, self.entry, lambda entry: self.shown, lambda: self.now, work=lambda: self.work
        )

    def _poll(self) -> Any:
        (thinking, answer), self._said = self._said, ("", "")
        return SimpleNamespace(thinking_delta=thinking, answer_delta=answer, done=self.turn.done)

    def _append(self, thinking: str, answer: str, stats: object) -> None:
        self.painted.append((thinking, answer))

    def say(self, thinking: str = "", answer: str = "", after: float = 0.0) -> None:
        """The reply grows, so many seconds later."""
        self.now += after
        self._said = (thinking, answer)
        self.stream.poll()

    def refresh(self, cost: float) -> None:
        """The screen has been drawn, which took that much computing."""
        self.work += cost
        for callback in self._callbacks:
            callback()
        self._callbacks.clear()


def test_a_cheap_flush_is_followed_by_a_tenth_of_a_second() -> None:
    scene = Scene()
    scene.say(answer="a")
    scene.refresh(cost=0.001)
    scene.say(answer="b", after=0.05)
    scene.say(answer="c", after=0.045)
    assert scene.painted == [("", "a")]
    scene.say(answer="d", after=0.006)
    assert scene.painted == [("", "a"), ("", "bcd")]


def test_a_dear_flush_is_followed_by_five_times_its_cost() -> None:
    scene = Scene()
    scene.say(answer="a")
    scene.refresh(cost=0.1)
    scene.say(answer="b", after=0.45)
    assert scene.painted == [("", "a")]
    scene.say(answer="c", after=0.06)
    assert scene.painted == [("", "a"), ("", "bc")]


def test_what_nobody_sees_is_kept() -> None:
    scene = Scene()
    scene.shown = False
    for letter in "abc":
        scene.say(answer=letter, after=1.0)
    assert scene.painted == []
    scene.shown = True
    scene.say(after=1.0)
    assert scene.painted == [("", "abc")]


def test_folded_thinking_is_counted_a_few_times_a_second_and_unfolded_thinking_flows() -> None:
    scene = Scene("thinking")
    scene.say("a")
    for letter in "bcd":
        scene.say(letter, after=0.06)
    assert scene.painted == [("a", "")]
    scene.say("e", after=0.06)
    assert scene.painted == [("a", ""), ("bcde", "")]
    scene.entry.unfolded = True
    scene.say("f", after=0.11)
    scene.say("g", after=0.11)
    assert scene.painted[2:] == [("f", ""), ("g", "")]


def test_the_end_is_painted_at_once_wherever_the_view_is() -> None:
    scene = Scene()
    scene.say(answer="a")
    scene.shown, scene.turn.done = False, True
    scene._said = ("", "b")
    assert scene.stream.poll()
    assert scene.painted == [("", "a"), ("", "b")]
