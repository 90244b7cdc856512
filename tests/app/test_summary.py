"""What a summary covers, what it is made from, and what is sent once it is there."""

from __future__ import annotations

import pytest
from scripted import Scripted, scripted

from qwen3_chat.app.chat.conversation import SUMMARY_HEADING, Conversation
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.summary import LONGEST, REQUEST, NothingToSummarise, start_summary
from qwen3_chat.app.chat.turn import Turn


def talk(*turns: tuple[str, str], system: str | None = None) -> Conversation:
    conversation = Conversation(system)
    for question, answer in turns:
        conversation.add_user(question)
        reply = conversation.begin_reply()
        reply.content, reply.state = answer, "complete"
    return conversation


def summarise(scene: Scripted, conversation: Conversation) -> Turn:
    turn = start_summary(scene.model, conversation, None, SamplingOptions())
    for _ in turn:
        pass
    return turn


def contents(conversation: Conversation) -> list[str]:
    return [message["content"] for message in conversation.render_messages()]


def test_the_newest_turn_stays_word_for_word() -> None:
    scene, conversation = scripted("Notes."), talk(("A", "B"), ("C", "D"), ("E", "F"), system="Be brief.")
    turn = summarise(scene, conversation)
    asked = scene.tokenizer.decode(scene.engine.requests[0][0])
    assert "C" in asked
    assert "E" not in asked.replace(REQUEST, "")
    assert asked.replace("\n", " ").strip().startswith("system Be brief.")
    assert contents(conversation) == [f"Be brief.\n\n{SUMMARY_HEADING}\nNotes.", "E", "F"]
    assert scene.engine.requests[0][1].max_new_tokens == LONGEST
    assert turn.message.thought is False


def test_a_single_turn_is_summed_up_whole() -> None:
    scene, conversation = scripted("Notes."), talk(("A", "B"))
    summarise(scene, conversation)
    assert contents(conversation) == [f"{SUMMARY_HEADING}\nNotes."]


def test_only_as_much_as_the_model_can_read() -> None:
    scene = scripted("Notes.", context=800)
    conversation = talk(("A" * 100, "a"), ("B" * 150, "b"), ("C" * 150, "c"), ("D", "d"))
    summarise(scene, conversation)
    ids, sampling = scene.engine.requests[0]
    assert len(ids) + (sampling.max_new_tokens or 0) <= 800
    assert contents(conversation)[1:] in (["B" * 150, "b", "C" * 150, "c", "D", "d"], ["C" * 150, "c", "D", "d"])


@pytest.mark.parametrize("conversation", [talk(), talk(("A", ""))])
def test_nothing_to_sum_up(conversation: Conversation) -> None:
    with pytest.raises(NothingToSummarise, match="nothing yet"):
        start_summary(scripted().model, conversation, None, SamplingOptions())
    assert all(message.role != "summary" for message in conversation.path())


def test_too_long_to_be_read() -> None:
    with pytest.raises(NothingToSummarise, match="too long"):
        start_summary(scripted(context=400).model, talk(("A" * 300, "b")), None, SamplingOptions())


def test_a_second_summary_takes_in_the_first() -> None:
    scene, conversation = scripted("First notes.", "Second notes."), talk(("A", "B"), ("C", "D"))
    first = summarise(scene, conversation).message
    for text in ("E", "F"):
        conversation.add_user(text)
        reply = conversation.begin_reply()
        reply.content, reply.state = text.lower(), "complete"
    second = summarise(scene, conversation).message
    asked = scene.tokenizer.decode(scene.engine.requests[1][0])
    assert "First notes." in asked
    assert contents(conversation) == [f"{SUMMARY_HEADING}\nSecond notes.", "F", "f"]
    conversation.toggle_dropped(second.id)
    assert contents(conversation) == [f"{SUMMARY_HEADING}\nFirst notes.", "C", "D", "E", "e", "F", "f"]
    conversation.toggle_dropped(first.id)
    assert contents(conversation) == ["A", "B", "C", "D", "E", "e", "F", "f"]


def test_what_was_dropped_is_not_summed_up() -> None:
    scene, conversation = scripted("Notes."), talk(("A", "B"), ("secret", "D"), ("E", "F"))
    conversation.toggle_dropped(conversation.path()[2].id)
    summarise(scene, conversation)
    assert "secret" not in scene.tokenizer.decode(scene.engine.requests[0][0])


def test_another_version_above_takes_the_summary_off_the_path() -> None:
    scene, conversation = scripted("Notes."), talk(("A", "B"))
    summarise(scene, conversation)
    conversation.edit(conversation.path()[0].id, "X")
    assert contents(conversation) == ["X"]
