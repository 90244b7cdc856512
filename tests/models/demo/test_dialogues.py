"""What the bundled model is trained on: wordings, the app's keys and flags, and conversations."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from transformers import AutoTokenizer

from qwen3_chat.app.manual import manual as manual_of_the_app
from qwen3_chat.models import demo
from qwen3_chat.models.demo.dialogues import dialogue, render
from qwen3_chat.models.demo.manual import Action, Manual, key_name, manual
from qwen3_chat.models.demo.roughen import normal, roughen
from qwen3_chat.models.demo.topics import how_to, question, topics
from qwen3_chat.models.demo.wording import Wordings, draw, load, variants

sys.path.insert(0, str(Path(__file__).parent))

from scoring import NAMES


def test_one_of_the_alternatives_is_drawn() -> None:
    rng = Random(1)
    drawn = Counter(draw("{stop|halt} {the |}reply {n}", rng) for _ in range(200))
    assert set(drawn) == {f"{verb} {the}reply {{n}}" for verb in ("stop", "halt") for the in ("the ", "")}
    assert variants("{stop|halt} {the |}reply {n}") == 4


def test_slots_are_filled_over_and_over() -> None:
    slots = {"do": ["{open|close} {what}"], "what": ["doors"], "thing": ["things"]}
    rng = Random(1)
    assert {Wordings(["{do}!"], slots).draw(rng) for _ in range(50)} == {"open doors!", "close doors!"}
    assert {draw("{thing|in {what}}", rng, slots) for _ in range(50)} == {"things", "in doors"}


def test_every_wording_is_about_something_that_the_app_has() -> None:
    assert load("keys").keys() <= {action.id for action in manual().actions}
    commands = {command.name for command in manual().commands}
    assert load("flags").keys() <= {flag.long for flag in manual().flags} | commands


def test_what_the_model_was_taught_is_so() -> None:
    """An action or flag may have come since; what is in the manual must still be there, under the same keys."""
    now: dict[str, list[dict[str, Any]]] = manual_of_the_app()
    actions = {action["id"]: action for action in now["actions"]}
    flags = {name for flag in now["flags"] for name in flag["names"]}
    for action in manual().actions:
        assert action.id in actions, f"{action.id} is gone: make demo-model"
        is_now = actions[action.id]
        assert (action.keys, action.slash) == (tuple(is_now["keys"]), is_now["slash"]), f"{action.id}: make demo-model"
    for flag in manual().flags:
        assert set(flag.names) <= flags, f"{flag.long} is gone: make demo-model"
    for command in manual().commands:
        assert command.name in {known["name"] for known in now["commands"]}, f"{command.name} is gone: make demo-model"


def test_keys_that_hold_in_one_place_are_taught_with_the_way_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the app as it is now: the next training is on that."""
    actions = tuple(Action(**action) for action in manual_of_the_app()["actions"])
    monkeypatch.setattr("qwen3_chat.models.demo.topics.manual", lambda: Manual(actions, (), ()))
    said = {action.id: how_to(action)[0] for action in actions}
    assert said["sessions.delete"] == "Open the saved chats with **ctrl+s** and press **ctrl+d**"
    assert said["settings.save"] == "Open the settings with **F6** and press **ctrl+s**"
    assert said["lens.next"].startswith("Open the token lens with **F4** and press")
    with pytest.raises(ValueError, match="elsewhere"):
        how_to(Action("a.b", "Do it", ("x",), "", "elsewhere"))


def test_every_key_and_flag_is_a_topic_whose_answer_names_it() -> None:
    by_name = {topic.name: topic for topic in topics()}
    for action in manual().actions:
        answer = by_name[action.id].answer
        if action.keys:
            assert f"**{key_name(action.keys[0])}**" in answer
        if action.slash:
            assert f"`/{action.slash}`" in answer
    for flag in manual().flags:
        for name in flag.names:
            assert f"`{name}" in by_name[flag.long].answer
    for command in manual().commands:
        assert f"`qwen3-chat {command.name}`" in by_name[command.name].answer


def test_every_topic_can_be_asked_for_in_many_ways() -> None:
    rng = Random(2)
    for topic in topics():
        asked = {normal(question(topic, rng)) for _ in range(100)}
        assert len(asked) >= 5, topic.name


def test_the_same_seed_gives_the_same_conversation() -> None:
    first = dialogue(Random(3))
    assert dialogue(Random(3)) == first
    assert len({dialogue(Random(seed)) for seed in range(50)}) == 50


def test_no_slot_is_left_in_a_conversation() -> None:
    rng = Random(4)
    for talk in (dialogue(rng) for _ in range(1000)):
        for turn in talk.turns:
            assert turn.question.strip()
            assert not set(turn.question + turn.thinking) & set("{}|\0\1")


def test_a_question_that_is_left_out_is_never_drawn() -> None:
    rng = Random(5)
    usual = Counter(normal(turn.question) for _ in range(1000) for turn in dialogue(rng).turns)
    frequent = frozenset(text for text, count in usual.items() if count > 1)
    assert len(frequent) > 10
    assert not frequent & {normal(turn.question) for _ in range(1000) for turn in dialogue(rng, frequent).turns}


def test_a_rough_question_keeps_its_slot() -> None:
    rng = Random(6)
    assert all("{name}" in roughen("My friends always call me {name}.", rng) for _ in range(300))


def test_names_of_the_score_are_not_taught() -> None:
    assert not set(NAMES) & set(load("names")["names"].split())


@pytest.mark.parametrize("thinking", [False, True])
def test_training_text_is_what_the_template_renders(thinking: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(demo.path())
    rng = Random(7)
    for talk in (dialogue(rng) for _ in range(50)):
        messages = [{"role": "system", "content": talk.system}] if talk.system else []
        for turn in talk.turns:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": f"<think>\n{turn.thinking}\n</think>\n\n{turn.answer}"})
        prompt = tokenizer.apply_chat_template(
            messages[:-1], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        trained = "".join(segment.text for segment in render(talk, thinking=thinking))
        assert trained.startswith(prompt)
        if thinking:
            assert trained + "\n" == tokenizer.apply_chat_template(messages, tokenize=False)
