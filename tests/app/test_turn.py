"""One reply from start to end, whatever its end is."""

from __future__ import annotations

import pytest
from scripted import STOP, Line, Scripted, scripted

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.engine import ContextOverflow, EngineError

SAMPLING = SamplingOptions(seed=7)


def ask(scene: Scripted, conversation: Conversation, question: str = "Hi", thinking: bool | None = None) -> Turn:
    conversation.add_user(question)
    return Turn.start(scene.model, conversation, None, SAMPLING, thinking)


def test_a_reply_streams_into_its_message() -> None:
    scene, conversation = scripted("<think>\nHm, 你.\n</think>\n\nHello, 世界!"), Conversation()
    turn = ask(scene, conversation)
    thinking = answer = ""
    while not turn.done:
        update = turn.poll()
        thinking += update.thinking_delta
        answer += update.answer_delta
        assert (turn.message.thinking, turn.message.content) == (thinking, answer)
        assert update.done == turn.done == (turn.message.state == "complete")
    assert (thinking, answer) == ("Hm, 你.", "Hello, 世界!")
    assert (turn.message.finish_reason, turn.message.note, turn.error) == ("stop", None, None)
    assert conversation.last is turn.message


def test_nothing_comes_after_the_end() -> None:
    turn = ask(scripted("Hello"), Conversation())
    for _ in turn:
        pass
    update = turn.poll()
    assert (update.thinking_delta, update.answer_delta, update.tokens, update.done) == ("", "", (), True)
    assert list(turn) == []
    assert turn.message.content == "Hello"


def test_the_engine_gets_the_rendered_prompt_and_the_resolved_sampling() -> None:
    scene = scripted("Hello")
    turn = ask(scene, Conversation("Be brief."))
    ((ids, sampling),) = scene.engine.requests
    assert scene.tokenizer.decode(ids) == "system\nBe brief.\nuser\nHi\nassistant\n"
    assert ids == turn.prompt_ids
    assert (sampling.seed, sampling.temperature, sampling.vocab_limit) == (7, 0.6, scene.tokenizer.vocab_size)
    assert (turn.seed, turn.message.seed, turn.message.thought) == (7, 7, True)


@pytest.mark.parametrize(("mode", "text", "expected"), [
    ("switch", "Hello", ("", "Hello")),
    ("always", "\nHm.\n</think>\n\nHello", ("Hm.", "Hello")),
    ("never", "Hello", ("", "Hello")),
])  # fmt: skip
def test_without_thinking(mode: str, text: str, expected: tuple[str, str]) -> None:
    scene = scripted(text, mode=mode)  # type: ignore[arg-type]
    turn = ask(scene, Conversation(), thinking=False)
    for _ in turn:
        pass
    assert (turn.message.thinking, turn.message.content) == expected
    assert turn.thinking is (mode == "always")  # which cannot be switched off
    assert scene.engine.requests[0][1].temperature == (0.6 if mode == "always" else 0.7)


def test_the_phases_of_a_reply() -> None:
    turn = ask(scripted("<think>ab</think>cd", chunk=1), Conversation())
    phases = [turn.phase]
    while not turn.done:
        turn.poll()
        phases.append(turn.phase)
    assert list(dict.fromkeys(phases)) == ["prefill", "thinking", "answer", "done"]
    done, total = turn.prefill
    assert done == total == len(turn.prompt_ids)


def test_stop_keeps_the_partial_text() -> None:
    turn = ask(scripted(Line("Once upon a time", end="wait")), Conversation())
    turn.poll()
    turn.stop()
    assert turn.message.state == "streaming"  # until the engine has obeyed
    for _ in turn:
        pass
    assert (turn.message.state, turn.message.finish_reason, turn.message.content) == ("stopped", "cancelled", "Onc")
    assert turn.error is None
    turn.stop()
    assert turn.message.state == "stopped"


def test_a_reply_that_is_stopped_before_its_first_token_is_empty() -> None:
    turn = ask(scripted(Line("Hello", end="wait")), Conversation())
    turn.stop()
    for _ in turn:
        pass
    assert (turn.message.state, turn.message.content) == ("stopped", "")
    assert turn.message.stats is not None
    assert turn.message.stats.first_token_s is None


def test_the_end_of_the_context_is_a_complete_reply_with_a_note() -> None:
    scene = scripted("Hello, world", context=28)
    turn = ask(scene, Conversation())
    for _ in turn:
        pass
    assert (turn.message.state, turn.message.finish_reason) == ("complete", "length")
    assert turn.message.note == "cut short: the context of 28 tokens is full"
    assert turn.message.content == "Hello,"  # the blank waits for a word
    assert len(turn.prompt_ids) + len(turn.message.token_ids) == 28


def test_the_limit_of_a_reply_is_named_in_the_note() -> None:
    scene, conversation = scripted("Hello, world"), Conversation()
    conversation.add_user("Hi")
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(max_tokens=5), None)
    for _ in turn:
        pass
    assert (turn.message.content, turn.message.finish_reason) == ("Hello", "length")
    assert turn.message.note == "cut short: the reply reached its limit of 5 tokens"


def test_a_model_that_thinks_and_says_nothing_is_remarked_on() -> None:
    turn = ask(scripted("<think>\nHm.\n</think>"), Conversation())
    for _ in turn:
        pass
    assert (turn.message.state, turn.message.note) == ("complete", "the model ended its reply without an answer")


def test_a_failure_keeps_what_came_and_says_what_happened() -> None:
    turn = ask(scripted(Line("Half an ans", end="error")), Conversation())
    updates = list(turn)
    assert updates[-1].done
    assert (turn.message.state, turn.message.finish_reason, turn.message.content) == ("error", "error", "Half an ans")
    assert turn.message.note == "device cpu:0 failed: scripted"
    assert isinstance(turn.error, EngineError)


def test_a_prompt_that_does_not_fit_is_an_error_of_the_turn() -> None:
    turn = ask(scripted(context=10), Conversation())
    assert turn.done
    assert isinstance(turn.error, ContextOverflow)
    assert (turn.message.state, turn.stats, turn.phase) == ("error", None, "done")
    assert turn.poll().done


def test_stats_are_the_engine_s_own() -> None:
    scene, conversation = scripted("<think>\nHm.\n</think>\n\nHello", "Bye"), Conversation()
    cache = scene.model.new_cache()
    conversation.add_user("Hi")
    first = Turn.start(scene.model, conversation, cache, SAMPLING, None)
    for _ in first:
        pass
    stats = first.message.stats
    assert stats is not None
    assert stats == first.stats
    assert stats.prompt_tokens == stats.prefill_tokens == len(first.prompt_ids)
    assert stats.new_tokens == len(first.message.token_ids) + 1  # the stop token
    assert stats.thinking_tokens == len("\nHm.\n") + 2  # the two marks
    assert stats.thinking_s == pytest.approx(stats.thinking_tokens / 1000)  # 1 ms each
    assert (stats.first_token_s, stats.tokens_per_s) == (0.038, 41.0)

    conversation.add_user("And?")
    second = Turn.start(scene.model, conversation, cache, SAMPLING, None)
    for _ in second:
        pass
    assert second.message.stats is not None
    assert second.message.stats.reused_tokens == len(first.prompt_ids)


def test_the_next_turn_remembers_the_answer_and_not_the_thinking() -> None:
    scene, conversation = scripted("<think>\nHm.\n</think>\n\nHello", "Bye"), Conversation()
    for _ in ask(scene, conversation):
        pass
    ask(scene, conversation, "And?")
    sent = scene.tokenizer.decode(scene.engine.requests[1][0])
    assert sent == "user\nHi\nassistant\nHello\nuser\nAnd?\nassistant\n"


def test_the_token_ids_are_the_reply_without_its_stop() -> None:
    scene = scripted("<think>a</think>b")
    turn = ask(scene, Conversation())
    tokens = [token for update in turn for token in update.tokens]
    assert [token.id for token in tokens] == [*turn.message.token_ids, STOP]
    assert scene.tokenizer.decode(turn.message.token_ids) == "<think>a</think>b"


def test_continue_goes_on_from_the_very_tokens() -> None:
    scene, conversation = scripted(Line("<think>\nHm, ", end="wait"), "so.\n</think>\n\nHello"), Conversation()
    turn = ask(scene, conversation)
    for _ in range(10):
        turn.poll()
    turn.stop()
    turn.poll()
    assert turn.message.thinking == "Hm,"
    more = Turn.start(scene.model, conversation, None, SAMPLING, False, message=conversation.continue_())
    assert more.thinking  # as it began
    assert scene.engine.requests[1][0] == turn.prompt_ids + scene.tokenizer.encode("<think>\nHm, ")
    deltas = "".join(update.thinking_delta for update in more)
    assert deltas == " so."
    assert (more.message.thinking, more.message.content) == ("Hm, so.", "Hello")
    assert conversation.path() == [conversation.path()[0], more.message]


@pytest.mark.parametrize(("mode", "frame"), [
    ("switch", "<think>\n\n</think>\n\n"), ("always", "<think>\n</think>\n\n"), ("never", "")])  # fmt: skip
def test_an_answer_written_by_hand_can_be_continued(mode: str, frame: str) -> None:
    scene, conversation = scripted("No.", ", world", mode=mode), Conversation()  # type: ignore[arg-type]
    for _ in ask(scene, conversation):
        pass
    edited = conversation.edit(conversation.path()[-1].id, "Hello")
    turn = Turn.start(scene.model, conversation, None, SAMPLING, True, message=conversation.continue_(edited.id))
    for _ in turn:
        pass
    assert turn.message.content == "Hello, world"
    assert turn.message.thinking == ""
    assert scene.tokenizer.decode(scene.engine.requests[1][0]) == f"user\nHi\nassistant\n{frame}Hello"


def test_iterating_waits_instead_of_spinning() -> None:
    scene = scripted(Line("ab", end="wait"))
    turn = ask(scene, Conversation())
    for _ in turn:
        if turn.message.content == "ab":
            break
    (generation,) = scene.engine.generations
    generation.waited = 1000 - 3
    with pytest.raises(AssertionError, match="nobody stopped"):
        list(turn)
