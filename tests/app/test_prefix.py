"""Why a prompt was not found in the cache, read from the tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted import Scripted, scripted

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.memory_speed import MemorySpeed
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.prefix import explain, spans
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.models.errors import ConfigError


def reply(scene: Scripted, conversation: Conversation, cache: object, text: str | None = None) -> Turn:
    if text is not None:
        conversation.add_user(text)
    turn = Turn.start(scene.model, conversation, cache, SamplingOptions(), None)  # type: ignore[arg-type]
    for _ in turn:
        pass
    return turn


def test_the_messages_of_a_context_are_found_from_end_to_end() -> None:
    scene = scripted("Yes")
    turn = reply(scene, Conversation("Be brief."), None, "Hi there")
    found = spans(turn.prompt_ids, scene.model.tokenizer)
    assert [span.role for span in found] == ["system", "user", "assistant"]
    assert [span.start for span in found] == [0, found[0].stop, found[1].stop]
    assert found[-1].stop == len(turn.prompt_ids) == sum(span.tokens for span in found)
    assert "Hi there" in scene.tokenizer.decode(turn.prompt_ids[found[1].start : found[1].stop])
    assert spans([], scene.model.tokenizer) == ()
    assert [(span.role, span.tokens) for span in spans([40, 41], scene.model.tokenizer)] == [("", 2)]


def other_system(conversation: Conversation) -> None:
    conversation.system = "Be long."


def other_question(conversation: Conversation) -> None:
    conversation.edit(conversation.path()[0].id, "Hello?")


def other_answer(conversation: Conversation) -> None:
    conversation.edit(conversation.path()[1].id, "No.")


@pytest.mark.parametrize(
    ("line", "change", "why"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", lambda conversation: None, "the thinking of answer 1 is not sent again"),
        ("Yes.", other_system, "the system prompt is another"),
        ("Yes.", other_question, "question 1 is another"),
        ("Yes.", other_answer, "answer 1 is another version"),
        ("Yes.", lambda conversation: None, ""),
    ],
)
def test_what_a_prompt_could_not_reuse_is_said(line: str, change: Callable[[Conversation], None], why: str) -> None:
    scene, conversation = scripted(line, "More."), Conversation("Be brief.")
    cache = scene.model.new_cache()
    first = reply(scene, conversation, cache, "Hi")
    assert first.prefix is not None
    assert (first.prefix.held, first.prefix.reused, first.prefix.why) == (0, 0, "the cache was empty")
    held = len(cache)
    change(conversation)
    turn = reply(scene, conversation, cache, "And?")
    assert turn.prefix is not None
    assert turn.message.stats is not None
    assert (turn.prefix.held, turn.prefix.prompt) == (held, len(turn.prompt_ids))
    assert turn.prefix.reused == turn.message.stats.reused_tokens
    assert turn.prefix.why == why
    assert turn.prefix.lost == held - turn.prefix.reused
    assert (turn.prefix.lost > 0) == bool(why)


def test_a_prompt_that_is_all_there_has_missed_nothing() -> None:
    scene = scripted()
    held = scene.tokenizer.encode("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes")
    prompt = held[:-3]
    assert explain(held, prompt, len(prompt) - 1, scene.model.tokenizer).why == ""


# ---- the machine's memory -------------------------------------------------------------------------------------------


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemorySpeed, "_known", {})
    monkeypatch.setattr("qwen3_chat.app.chat.memory_speed.available_bytes", lambda: None)


def joined(speed: MemorySpeed) -> None:
    if speed._thread is not None:
        speed._thread.join()


@pytest.mark.usefixtures("unknown")
def test_memory_is_measured_once_and_only_at_rest() -> None:
    resting, asked = False, []

    def measure(threads: int, go_on: Callable[[], bool]) -> float | None:
        asked.append(threads)
        return 20e9 if go_on() else None

    speed = MemorySpeed(lambda: resting, measure)
    assert [speed.poll(2) for _ in range(9)] == [None] * 9
    assert asked == []
    resting = True
    for _ in range(9):
        known = speed.poll(2)
        joined(speed)
    assert (known, asked) == (20e9, [2])
    assert MemorySpeed(lambda: False, measure).poll(2) == 20e9


@pytest.mark.usefixtures("unknown")
def test_a_reply_that_begins_stops_the_measuring_and_it_is_tried_again() -> None:
    answers = iter([None, 20e9])
    speed = MemorySpeed(lambda: True, lambda threads, go_on: next(answers))
    found = []
    for _ in range(12):
        found.append(speed.poll(2))
        joined(speed)
    assert found[-1] == 20e9


@pytest.mark.usefixtures("unknown")
def test_a_machine_that_cannot_be_measured_is_left_alone() -> None:
    tries = 0

    def fails(threads: int, go_on: Callable[[], bool]) -> float | None:
        nonlocal tries
        tries += 1
        raise ConfigError("no room")

    speed = MemorySpeed(lambda: True, fails)
    for _ in range(20):
        assert speed.poll(2) is None
        joined(speed)
    assert tries == 1
