"""The message tree: what is active, what is sent, and that nothing is lost."""

from __future__ import annotations

import itertools

import pytest

from qwen3_chat.app.chat.conversation import Conversation, Message


@pytest.fixture
def talk() -> Conversation:
    numbers = itertools.count(1)
    return Conversation("Be brief.", new_id=lambda: f"m{next(numbers)}")


def reply(conversation: Conversation, text: str, thinking: str = "", state: str = "complete") -> Message:
    message = conversation.begin_reply()
    message.content, message.thinking, message.state = text, thinking, state  # type: ignore[assignment]
    message.token_ids = [len(word) for word in text.split()]
    return message


def texts(conversation: Conversation) -> list[str]:
    return [message.content for message in conversation.path()]


def test_a_new_conversation_is_empty() -> None:
    assert Conversation().path() == []
    assert Conversation().last is None
    assert Conversation().render_messages() == []
    assert Conversation("").render_messages() == []


def test_messages_follow_each_other(talk: Conversation) -> None:
    question = talk.add_user("2 + 2?")
    answer = reply(talk, "4")
    assert [message.id for message in talk.path()] == ["m1", "m2"]
    assert (question.parent, answer.parent) == (None, "m1")
    assert talk.last is answer


def test_what_is_sent_has_the_system_prompt_and_no_thinking(talk: Conversation) -> None:
    talk.add_user("2 + 2?")
    reply(talk, "4", thinking="two and two")
    talk.add_user("And 3?")
    assert talk.render_messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "And 3?"},
    ]


@pytest.mark.parametrize(
    ("text", "state", "sent"),
    [
        ("", "error", False),
        ("half", "error", True),
        ("", "stopped", False),
        ("half", "stopped", True),
        ("half", "streaming", False),
    ],
)
def test_a_reply_is_sent_if_it_has_an_answer_and_is_not_being_written(
    talk: Conversation, text: str, state: str, sent: bool
) -> None:
    talk.add_user("Hi")
    reply(talk, text, state=state)
    assert ({"role": "assistant", "content": text} in talk.render_messages()) is sent
    assert {"role": "user", "content": "Hi"} in talk.render_messages()


def test_what_is_sent_can_end_before_a_message(talk: Conversation) -> None:
    talk.add_user("Hi")
    answer = reply(talk, "Hello")
    assert [message["content"] for message in talk.render_messages(upto=answer.id)] == ["Be brief.", "Hi"]


def test_editing_a_question_makes_a_branch_and_keeps_the_old_one(talk: Conversation) -> None:
    question = talk.add_user("2 + 2?")
    reply(talk, "4")
    edited = talk.edit(question.id, "3 + 3?")
    assert texts(talk) == ["3 + 3?"]
    assert talk.siblings(edited.id) == [question, edited]
    talk.select(question.id)
    assert texts(talk) == ["2 + 2?", "4"]


def test_editing_an_answer_leaves_the_one_the_model_gave(talk: Conversation) -> None:
    talk.add_user("2 + 2?")
    answer = reply(talk, "5", thinking="hm")
    edited = talk.edit(answer.id, "4")
    assert texts(talk) == ["2 + 2?", "4"]
    assert (edited.role, edited.thinking, edited.token_ids) == ("assistant", "", [])
    assert answer.content == "5"


def test_regenerate_stands_beside_the_reply(talk: Conversation) -> None:
    talk.add_user("2 + 2?")
    first = reply(talk, "5")
    second = talk.regenerate()
    assert second.state == "streaming"
    assert talk.siblings(second.id) == [first, second]
    assert talk.last is second


def test_regenerate_in_the_middle_cuts_the_path_there(talk: Conversation) -> None:
    talk.add_user("2 + 2?")
    first = reply(talk, "5")
    talk.add_user("Sure?")
    reply(talk, "No.")
    second = talk.regenerate(first.id)
    assert talk.last is second
    talk.select(first.id)
    assert texts(talk) == ["2 + 2?", "5", "Sure?", "No."]


def test_regenerate_after_a_question_answers_it(talk: Conversation) -> None:
    question = talk.add_user("2 + 2?")
    assert talk.regenerate().parent == question.id
    with pytest.raises(ValueError, match="no reply"):
        Conversation().regenerate()


def test_continue_reopens_the_last_reply(talk: Conversation) -> None:
    talk.add_user("Count.")
    stopped = reply(talk, "1 2", state="stopped")
    stopped.note, stopped.finish_reason = "cut short", "length"
    assert talk.continue_() is stopped
    assert (stopped.state, stopped.note, stopped.finish_reason, stopped.content) == ("streaming", None, None, "1 2")


def test_continue_never_changes_what_others_built_on(talk: Conversation) -> None:
    talk.add_user("Count.")
    first = reply(talk, "1 2", thinking="one, two", state="stopped")
    talk.add_user("Thanks")
    reopened = talk.continue_(first.id)
    assert reopened is not first
    assert (reopened.content, reopened.thinking, reopened.token_ids) == ("1 2", "one, two", first.token_ids)
    assert reopened.token_ids is not first.token_ids
    assert (first.state, reopened.state) == ("stopped", "streaming")
    talk.select(first.id)
    assert texts(talk) == ["Count.", "1 2", "Thanks"]


def test_continue_wants_a_finished_reply(talk: Conversation) -> None:
    with pytest.raises(ValueError, match="only a reply"):
        talk.continue_()
    question = talk.add_user("Hi")
    with pytest.raises(ValueError, match="only a reply"):
        talk.continue_(question.id)
    talk.begin_reply()
    with pytest.raises(ValueError, match="still being written"):
        talk.continue_()


def test_branch_starts_a_new_line_at_an_old_message(talk: Conversation) -> None:
    talk.add_user("A")
    answer = reply(talk, "B")
    old = talk.add_user("C")
    talk.branch(answer.id)
    assert texts(talk) == ["A", "B"]
    new = talk.add_user("D")
    assert talk.siblings(new.id) == [old, new]


def test_walking_through_siblings_wraps_around(talk: Conversation) -> None:
    talk.add_user("Pick.")
    replies = [reply(talk, "a"), *(talk.regenerate() for _ in range(2))]
    assert talk.sibling(replies[2].id, 1) is replies[0]
    assert talk.last is replies[0]
    assert talk.sibling(replies[0].id, -1) is replies[2]


def test_select_remembers_how_the_path_went_on(talk: Conversation) -> None:
    first = talk.add_user("A")
    reply(talk, "a1")
    second = talk.regenerate()
    second.content, second.state = "a2", "complete"
    talk.edit(first.id, "B")
    talk.select(first.id)
    assert texts(talk) == ["A", "a2"]


def test_an_id_of_another_conversation_is_refused(talk: Conversation) -> None:
    stranger = Conversation().add_user("Hi")
    with pytest.raises(KeyError):
        talk.select(stranger.id)
    with pytest.raises(KeyError):
        talk.edit(stranger.id, "Ho")
    assert talk.path() == []


def test_a_branch_can_begin_at_the_root(talk: Conversation) -> None:
    old = talk.add_user("A")
    talk.branch(None)
    assert texts(talk) == []
    new = talk.add_user("B")
    assert talk.siblings(new.id) == [old, new]


def test_a_question_is_dropped_with_its_reply_and_comes_back(talk: Conversation) -> None:
    question = talk.add_user("A")
    answer = reply(talk, "B")
    last = talk.add_user("C")
    assert talk.toggle_dropped(question.id) == [question, answer]
    assert talk.sent() == [last]
    assert texts(talk) == ["A", "B", "C"]
    talk.toggle_dropped(question.id)
    assert talk.sent() == [question, answer, last]
    assert talk.toggle_dropped(answer.id) == [answer]
    assert talk.sent() == [question, last]
