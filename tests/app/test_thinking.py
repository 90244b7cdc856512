"""The switch in a message, and the budget that closes a think block."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import ScriptedTokenizer, scripted

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.thinking import CLOSING, soft_switch
from qwen3_chat.app.chat.turn import Turn


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("hello", None),
        ("hello /think", True),
        ("/no_think hello", False),
        ("/no_think and /think", True),
        ("/think\n/no_think", False),
        ("see /think/about and a/think, or /thinking", None),
    ],
)
def test_the_latest_switch_wins(text: str, wish: bool | None) -> None:
    assert soft_switch(text) is wish


def run(text: str, budget: int | None, chunk: int = 3) -> tuple[Turn, list[list[int]]]:
    scene, conversation = scripted(text, chunk=chunk), Conversation()
    conversation.add_user("Why?")
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(thinking_budget=budget), None)
    for _ in turn:
        pass
    return turn, scene.engine.generations[0].forced


def test_thinking_is_closed_when_its_budget_is_spent() -> None:
    turn, forced = run("<think>\n" + "x" * 90 + "\n</think>\n\nBecause.", 30)
    assert forced == [ScriptedTokenizer().encode(CLOSING)]
    assert turn.message.content == "Because."
    assert turn.message.thinking.count("x") < 90
    assert turn.message.thinking.endswith("directly now.")


@pytest.mark.parametrize("budget", [None, 1000])
def test_thinking_that_ends_in_time_is_left_alone(budget: int | None) -> None:
    turn, forced = run("<think>\nHm.\n</think>\n\nBecause.", budget)
    assert (forced, turn.message.thinking, turn.message.content) == ([], "Hm.", "Because.")


def test_an_answer_has_no_budget() -> None:
    assert run("Because " * 30, 1)[1] == []


def test_a_budget_that_is_set_while_the_reply_runs_holds() -> None:
    scene, conversation = scripted("<think>" + "x" * 90 + "</think>Because."), Conversation()
    conversation.add_user("Why?")
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(), None)
    turn.poll()
    turn.update(SamplingOptions(thinking_budget=5))
    for _ in turn:
        pass
    assert len(scene.engine.generations[0].forced) == 1


def test_the_engine_leaves_a_block_alone_that_closed_in_the_meantime() -> None:
    scene, conversation = scripted("<think>" + "x" * 30 + "</think>Because.", chunk=40), Conversation()
    conversation.add_user("Why?")
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(thinking_budget=10), None)
    for _ in turn:
        pass
    assert (turn.message.thinking, turn.message.content) == ("x" * 30, "Because.")


def test_the_real_engine_closes_the_thinking() -> None:
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.models.demo import path

    with ChatModel.load(path()) as model:
        conversation = Conversation()
        conversation.add_user("What can you do?")
        greedy = SamplingOptions(temperature=0.0, max_tokens=400)
        replies = []
        for budget in (None, 0):
            options = replace(greedy, thinking_budget=budget)
            turn = Turn.start(model, conversation, model.new_cache(), options, True, message=conversation.regenerate())
            for _ in turn:
                pass
            replies.append(turn.message)
        free, bound = replies
        assert "limited time" not in bound.content
        assert bound.content
        # The tiny model may have closed its block before its budget could be looked at: then nothing has changed.
        assert bound.thinking.endswith("directly now.") or bound.token_ids == free.token_ids
