"""The token lens says what the engine's events say, and what its sampler does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import scripted

from qwen3_chat.app.chat.branching import branch_at
from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.chat.lens import alternatives, entropy, facts, level, surprises
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.options import EngineOptions, SamplingOptions
from qwen3_chat.app.chat.scoring import Scoring
from qwen3_chat.app.chat.trace import TokenTrace, Told, Top
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.engine import Engine, SamplingParams

VOCABULARY, KNOWN = 40, 10


def distribution(seed: int, spread: float) -> list[float]:
    """Log-probabilities of a whole vocabulary."""
    logits = np.random.default_rng(seed).normal(0, spread, VOCABULARY)
    return [float(value) for value in logits - np.log(np.exp(logits).sum())]


def top_of(logprobs: list[float], count: int = KNOWN) -> Top:
    order = sorted(range(len(logprobs)), key=lambda id: (-logprobs[id], id))[:count]
    return tuple((id, logprobs[id]) for id in order)


def left_by_the_sampler(logprobs: list[float], sampling: SamplingParams) -> dict[int, float]:
    """The rule of `SamplingParams`, applied to the whole vocabulary."""
    order = [id for id, _ in top_of(logprobs, VOCABULARY)]
    if sampling.temperature == 0:
        return {order[0]: 1.0}
    weights = {id: math.exp((logprobs[id] - logprobs[order[0]]) / sampling.temperature) for id in order}
    kept = order[: sampling.top_k or None]
    if sampling.top_p < 1:
        wanted, held, nucleus = sampling.top_p * sum(weights[id] for id in kept), 0.0, []
        for id in kept:
            if held < wanted:
                nucleus.append(id)
            held += weights[id]
        kept = nucleus
    kept = [id for id in kept if weights[id] >= sampling.min_p]
    total = sum(weights[id] for id in kept)
    return {id: weights[id] / total for id in kept}


@given(
    seed=st.integers(0, 10_000),
    spread=st.floats(0.1, 6),
    temperature=st.sampled_from([0.0, 0.3, 0.7, 1.0, 1.6]),
    top_k=st.sampled_from([0, 3, 10, 20]),
    top_p=st.sampled_from([0.1, 0.8, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.4]),
)
def test_what_is_left_is_what_the_sampler_leaves(
    seed: int, spread: float, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    sampling = SamplingParams(temperature, top_k, top_p, min_p)
    logprobs = distribution(seed, spread)
    truth = left_by_the_sampler(logprobs, sampling)
    found, exact = alternatives(top_of(logprobs), sampling, VOCABULARY)
    for one in found:
        assert one.probability == pytest.approx(math.exp(logprobs[one.id]))
        if exact:
            assert one.left == (None if one.id not in truth else pytest.approx(truth[one.id], rel=1e-5))
        elif one.id in truth:  # more may be left than is known: then each has less than is said
            assert one.left is not None
            assert one.left >= truth[one.id] - 1e-9
        if one.left is None:
            assert one.id not in truth
            assert one.cut_by


def test_the_default_settings_are_told_exactly_where_the_model_is_sure() -> None:
    logprobs = distribution(1, 4)
    for thinking in (SamplingParams(0.6, 20, 0.95), SamplingParams(0.7, 20, 0.8)):
        assert alternatives(top_of(logprobs), thinking, VOCABULARY)[1]


def test_the_engine_draws_what_is_left_and_nothing_else(chat_checkpoint: Path) -> None:
    """Frequencies over many seeds, against the shares that the lens shows."""
    sampling, draws = SamplingParams(0.8, 6, 0.9, 0.05), 2000
    with Engine.load(chat_checkpoint) as engine:
        logits = engine.forward([5, 17, 40])[-1]
        shifted = logits - logits.max()
        logprobs = [float(value) for value in shifted - np.log(np.exp(shifted).sum())]
        counts = np.zeros(len(logprobs))
        for seed in range(draws):
            counts[engine.sample(logits, SamplingParams(0.8, 6, 0.9, 0.05, seed=seed))] += 1
    found, exact = alternatives(top_of(logprobs), sampling, len(logprobs))
    assert exact
    left = {one.id: one.left for one in found if one.left is not None}
    assert {int(id) for id in np.flatnonzero(counts)} <= set(left)
    for id, share in left.items():
        assert counts[id] / draws == pytest.approx(share, abs=4 * math.sqrt(0.25 / draws))


def test_entropy_is_exact_where_all_is_known_and_a_bound_elsewhere() -> None:
    for seed in range(20):
        logprobs = distribution(seed, 2)
        truth = -sum(math.exp(value) * value for value in logprobs)
        whole, part = entropy(top_of(logprobs, VOCABULARY)), entropy(top_of(logprobs))
        assert whole.exact
        assert whole.value == pytest.approx(truth)
        assert not part.exact
        assert part.value <= truth


def test_levels_of_surprise() -> None:
    assert [level(math.log(p)) for p in (1.0, 0.5, 0.49, 0.11, 0.09, 0.011, 0.009)] == [0, 0, 1, 1, 2, 2, 3]
    assert level(None) == level(float("nan")) == 0


def reply(ids: list[int], trace: TokenTrace) -> Message:
    return Message("r", "assistant", "", None, token_ids=ids, trace=trace)


def test_a_token_has_the_figures_of_its_event() -> None:
    top: Top = ((7, -0.2), (9, -2.0))
    trace = TokenTrace()
    trace.add(Told(-5.0, 1, top), at=1)
    message = reply([3, 4, 5], trace)
    known = facts(message, 1, SamplingParams(1.0, 2, 1.0), 100)
    assert (known.id, known.surprise, known.index) == (4, 5.0, 1)
    assert [(one.id, one.logprob, one.drawn) for one in known.alternatives] == [
        (7, -0.2, False),
        (9, -2.0, False),
        (4, -5.0, True),
    ]
    unknown = facts(message, 2, SamplingParams(), 100)
    assert (unknown.surprise, unknown.entropy, unknown.alternatives) == (None, None, ())
    assert facts(message, 0, SamplingParams(), 100).surprise is None
    assert surprises(message) == [1]


# ---- branching ------------------------------------------------------------------------------------------------------


def talked(*lines: str) -> tuple[ChatModel, Conversation, Message]:
    made = scripted(*lines)
    conversation = Conversation()
    conversation.add_user("hi")
    for _ in Turn.start(made.model, conversation, None, SamplingOptions(), None):
        pass
    assert conversation.last is not None
    return made.model, conversation, conversation.last


def test_a_branch_keeps_what_was_before_and_goes_on_from_the_other_token() -> None:
    model, conversation, original = talked("<think>\nHm.\n</think>\n\nThe cat", "ow is big.")
    index, token = original.token_ids.index(model.tokenizer.encode("a")[0]), model.tokenizer.encode("o")[0]
    kept = original.token_ids[:index]
    branched = branch_at(model, conversation, original, index, token)
    turn = Turn.start(model, conversation, None, SamplingOptions(), None, message=branched)
    assert turn.prompt_ids[-index - 1 :] == [*kept, token]
    for _ in turn:
        pass
    assert branched.content == "The coow is big."
    assert branched.thinking == original.thinking == "Hm."
    assert conversation.siblings(original.id) == [original, branched]
    assert (original.content, conversation.last) == ("The cat", branched)
    assert list(branched.trace.step_ns[:index]) == list(original.trace.step_ns[:index])


def test_a_branch_at_an_end_token_is_a_whole_reply() -> None:
    model, conversation, original = talked("<think>\nHm.\n</think>\n\nYes and no")
    index = original.token_ids.index(model.tokenizer.encode("a")[0])
    branched = branch_at(model, conversation, original, index, model.tokenizer.token_id("<|im_end|>") or 0)
    assert (branched.state, branched.finish_reason) == ("complete", "stop")
    assert (branched.thinking, branched.content) == ("Hm.", "Yes")
    assert len(branched.token_ids) == len(branched.trace) == index


def test_there_is_no_branch_where_there_is_no_token_or_another_model() -> None:
    model, conversation, original = talked("Yes")
    with pytest.raises(ValueError, match="only a token of a reply"):
        branch_at(model, conversation, original, len(original.token_ids), 20)
    with pytest.raises(ValueError, match="only a token of a reply"):
        branch_at(model, conversation, conversation.path()[0], 0, 20)
    original.model = "another"
    with pytest.raises(ValueError, match="another's"):
        branch_at(model, conversation, original, 0, 20)


# ---- measuring anew -------------------------------------------------------------------------------------------------


def test_measured_anew_a_reply_has_the_figures_that_it_was_made_with(chat_checkpoint: Path) -> None:
    options = SamplingOptions(seed=1, temperature=1.0, max_tokens=40)
    with ChatModel.load(chat_checkpoint, EngineOptions()) as model:
        conversation, cache = Conversation(), model.new_cache()
        conversation.add_user("hello")
        for _ in Turn.start(model, conversation, cache, options, None, alternatives=5):
            pass
        message = conversation.last
        assert message is not None
        assert len(message.token_ids) > 3
        scoring = Scoring(model, conversation, message, cache, 5)
        scoring.join()
        assert scoring.error is None
        assert scoring.trace is not None
        assert scoring.measured == len(scoring.trace) == len(message.token_ids) == len(message.trace)
        assert list(scoring.trace.logprobs) == pytest.approx(list(message.trace.logprobs), rel=1e-3)
        assert list(scoring.trace.step_ns) == list(message.trace.step_ns)
        for anew, told in zip(scoring.trace.tops, message.trace.tops, strict=True):
            assert [logprob for _, logprob in anew] == pytest.approx([logprob for _, logprob in told], rel=1e-3)
        stopped = Scoring(model, conversation, message, None, 5)
        stopped.stop()
        stopped.join()
        assert stopped.done
        message.model = "another"
        with pytest.raises(ValueError, match="another's"):
            Scoring(model, conversation, message, None, 5)
