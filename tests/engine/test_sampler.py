"""The sampler draws from the distribution that numpy computes from the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dummy_models import Array, DummyModel, random_ids

from qwen3_chat.engine import ConfigError, Engine, SamplingParams

VOCAB = 101
DRAWS = 3000
PROMPT = (4, 4, 9, 50)
REPLY = (7, 9, 60, 60)


def made_logits(seed: int = 0) -> Array:
    """Random, and such that what prompt and reply hold is likely enough for its penalties to show."""
    logits = np.random.default_rng(seed).normal(0, 2, VOCAB).astype(np.float32)
    logits[[4, 50, 7, 9, 60]] = [3.0, -1.0, 3.5, 4.0, 2.5]
    return logits


def log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())  # type: ignore[no-any-return]


def distribution(logits: Array, params: SamplingParams) -> npt.NDArray[np.float64]:
    """What every token's chance should be, step by step as SamplingParams says."""
    x = logits.astype(np.float64)
    seen = sorted({*PROMPT, *REPLY})
    x[seen] = np.where(x[seen] > 0, x[seen] / params.repetition_penalty, x[seen] * params.repetition_penalty)
    x[sorted(set(REPLY))] -= params.presence_penalty
    if params.vocab_limit is not None:
        x[params.vocab_limit :] = -np.inf
    x /= params.temperature
    if params.top_k:
        x[x < np.sort(x)[-min(params.top_k, VOCAB)]] = -np.inf
    p = np.exp(x - x.max())
    p /= p.sum()
    order = np.argsort(-p)
    before = np.cumsum(p[order]) - p[order]
    p[order[before >= params.top_p]] = 0  # the shortest head of the list that reaches top_p stays
    p[p < params.min_p * p.max()] = 0
    return p / p.sum()  # type: ignore[no-any-return]


def unlikely(counts: npt.NDArray[np.int64], expected: npt.NDArray[np.float64]) -> bool:
    """Pearson's statistic is five standard deviations out: its mean is the degrees of freedom, its variance twice that.

    Rare tokens are counted as one.
    """
    rare = expected < 5
    bins, seen = expected[~rare], counts[~rare]
    if expected[rare].sum() > 0:
        bins, seen = np.append(bins, expected[rare].sum()), np.append(seen, counts[rare].sum())
    freedom = max(len(bins) - 1, 1)
    return bool(((seen - bins) ** 2 / bins).sum() > freedom + 5 * np.sqrt(2 * freedom))


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cold": {"temperature": 0.5},
    "hot": {"temperature": 3.0},
    "top_k": {"top_k": 5},
    "top_k 1": {"top_k": 1},
    "top_k beyond the vocabulary": {"top_k": 5000},
    "top_p": {"top_p": 0.7},
    "hardly any top_p": {"top_p": 0.001},
    "min_p": {"min_p": 0.1},
    "min_p 1": {"min_p": 1.0},
    "presence": {"presence_penalty": 1.5},
    "negative presence": {"presence_penalty": -1.5},
    "repetition": {"repetition_penalty": 1.8},
    "repetition below 1": {"repetition_penalty": 0.6},
    "vocab_limit": {"vocab_limit": 40},
    "all of them": {
        "temperature": 1.3,
        "top_k": 30,
        "top_p": 0.9,
        "min_p": 0.02,
        "presence_penalty": 0.7,
        "repetition_penalty": 1.2,
        "vocab_limit": 90,
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_distributions(shared_engine: Engine, settings: dict[str, Any]) -> None:
    params: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} | settings
    logits = made_logits()
    expected = distribution(logits, SamplingParams(**params)) * DRAWS
    drawn = [
        shared_engine.sample(logits, SamplingParams(**params, seed=seed), PROMPT + REPLY, len(PROMPT))
        for seed in range(DRAWS)
    ]
    counts = np.bincount(drawn, minlength=VOCAB)
    assert counts[expected == 0].sum() == 0
    assert not unlikely(counts, expected)


@pytest.mark.parametrize(
    "other", [{"temperature": 1.25}, {"presence_penalty": 0.6}, {"repetition_penalty": 1.3}, {"top_k": 60}], ids=str
)
def test_the_check_itself_can_fail(shared_engine: Engine, other: dict[str, Any]) -> None:
    """Draws from a slightly different distribution are told apart, so that the bound means something."""
    logits = made_logits()
    plain: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    expected = distribution(logits, SamplingParams(**plain | other)) * DRAWS
    drawn = [
        shared_engine.sample(logits, SamplingParams(**plain, seed=seed), PROMPT + REPLY, len(PROMPT))
        for seed in range(DRAWS)
    ]
    counts = np.bincount(drawn, minlength=VOCAB)
    assert unlikely(counts, expected) or counts[expected == 0].sum() > 0


def test_positions_draw_independently(shared_engine: Engine) -> None:
    """One seed, many positions: the draws follow the same distribution, and neighbours tell nothing of each other."""
    logits = np.full(VOCAB, -30, np.float32)
    logits[:2] = 0  # a coin
    params = SamplingParams(temperature=1, top_k=0, top_p=1, seed=12345)
    context = np.zeros(2000, np.int32)
    coin = np.array([shared_engine.sample(logits, params, context[:n]) for n in range(2000)])
    assert abs(coin.mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert abs((coin[1:] == coin[:-1]).mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)


def test_a_draw_depends_on_logits_seed_and_position_alone(shared_engine: Engine) -> None:
    logits = made_logits()
    hot = SamplingParams(temperature=3, top_k=0, top_p=1, seed=7)
    draws = [shared_engine.sample(logits, hot, random_ids(n), 0) for n in range(50)]
    again = [shared_engine.sample(logits, hot, random_ids(n, seed=99), n) for n in range(50)]
    assert draws == again
    assert len(set(draws)) > 10
    other = SamplingParams(temperature=3, top_k=0, top_p=1, seed=8)
    assert draws != [shared_engine.sample(logits, other, random_ids(n), 0) for n in range(50)]


def test_large_seeds_differ_in_every_bit(shared_engine: Engine) -> None:
    logits = np.zeros(VOCAB, np.float32)
    draws = {
        bit: tuple(
            shared_engine.sample(logits, SamplingParams(temperature=1, top_k=0, top_p=1, seed=2**bit), [0] * n)
            for n in range(8)
        )
        for bit in range(64)
    }
    assert len(set(draws.values())) == 64


def test_greedy_takes_the_lowest_of_equals(shared_engine: Engine) -> None:
    logits = made_logits()
    logits[[77, 23, 50]] = 9.0
    assert shared_engine.sample(logits, SamplingParams(temperature=0, seed=3)) == 23
    assert shared_engine.sample(logits, SamplingParams(temperature=0, vocab_limit=23)) == logits[:23].argmax()
    assert shared_engine.sample(np.zeros(VOCAB, np.float32), SamplingParams(temperature=0)) == 0


def test_penalties_reach_greedy_choices(shared_engine: Engine) -> None:
    logits = np.zeros(VOCAB, np.float32)
    logits[[10, 20]] = [2.0, 1.5]
    greedy: dict[str, Any] = {"temperature": 0.0}
    assert shared_engine.sample(logits, SamplingParams(**greedy, presence_penalty=1), [10], 0) == 20
    assert shared_engine.sample(logits, SamplingParams(**greedy, presence_penalty=1), [10], 1) == 10  # in the prompt
    assert shared_engine.sample(logits, SamplingParams(**greedy, repetition_penalty=2), [10], 1) == 20
    assert shared_engine.sample(-logits - 1, SamplingParams(**greedy, repetition_penalty=2), range(1, 101), 0) == 0


def test_ties_at_the_edge_of_top_k(shared_engine: Engine) -> None:
    """Exactly k tokens stay, the lowest ids of equals."""
    logits = np.zeros(VOCAB, np.float32)
    drawn = {
        shared_engine.sample(logits, SamplingParams(temperature=1, top_k=4, top_p=1, seed=seed)) for seed in range(200)
    }
    assert drawn == {0, 1, 2, 3}


def test_extreme_logits(shared_engine: Engine) -> None:
    logits = np.full(VOCAB, -3e38, np.float32)
    logits[42] = 3e38
    for temperature in (0.0, 1e-30, 1.0, 1e30):
        assert shared_engine.sample(logits, SamplingParams(temperature=temperature, top_k=1)) == 42
    logits = np.full(VOCAB, -np.inf, np.float32)
    logits[42] = 0
    assert shared_engine.sample(logits, SamplingParams(temperature=1.0, top_k=0, top_p=1.0)) == 42


def test_logits_that_say_nothing_are_refused(shared_engine: Engine) -> None:
    from qwen3_chat.engine import EngineError

    for value in (np.nan, np.inf):
        logits = made_logits()
        logits[5] = value
        with pytest.raises(EngineError, match="finite"):
            shared_engine.sample(logits, SamplingParams())


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"top_k": 2**31}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"min_p": -0.1}, "min_p"),
        ({"min_p": 1.1}, "min_p"),
        ({"presence_penalty": float("inf")}, "presence_penalty"),
        ({"presence_penalty": None}, "presence_penalty"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"stop_ids": [-1]}, "stop_ids"),
        ({"stop_ids": ["a"]}, "stop_ids"),
        ({"vocab_limit": 0}, "vocab_limit"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": -1}, "top_logprobs"),
    ],
    ids=str,
)
def test_a_field_out_of_range_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        SamplingParams(**fields)


def test_numpy_numbers_are_numbers() -> None:
    numbers: dict[str, Any] = {
        "temperature": np.float32(0.5),
        "top_k": np.int64(3),
        "seed": np.uint64(2**64 - 1),
        "stop_ids": np.array([1]),
    }
    assert SamplingParams(**numbers) == SamplingParams(temperature=0.5, top_k=3, seed=2**64 - 1, stop_ids=(1,))


# ---- in a reply ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [SETTINGS["plain"], SETTINGS["all of them"]], ids=["plain", "all"])
def test_a_reply_draws_what_sample_draws(exact_engine: Engine, settings: dict[str, Any]) -> None:
    params: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 11, "stop_ids": []} | settings
    sampling = SamplingParams(**params, max_new_tokens=40)
    prompt = random_ids(30)
    tokens = list(exact_engine.generate(prompt, sampling=sampling))
    context = [*prompt.tolist(), *(token.id for token in tokens)]
    logits = exact_engine.forward(context)
    for token in tokens:
        before = context[: token.index]
        assert exact_engine.sample(logits[token.index - 1], sampling, before, len(prompt)) == token.id
    assert [token.index for token in tokens] == list(range(30, 70))


def test_the_seed_makes_the_reply(shared_engine: Engine) -> None:
    def reply(seed: int) -> list[int]:
        sampling = SamplingParams(temperature=2, top_k=0, top_p=1, seed=seed, max_new_tokens=20, stop_ids=[])
        return [token.id for token in shared_engine.generate(random_ids(5), sampling=sampling)]

    assert reply(1) == reply(1)
    assert reply(1) != reply(2)


@pytest.mark.parametrize("limit", [None, 60])
def test_logprobs(exact_engine: Engine, limit: int | None) -> None:
    """The model's own distribution: before penalties and temperature, over the ids that may be drawn."""
    sampling = SamplingParams(
        temperature=1.7,
        presence_penalty=1,
        repetition_penalty=1.3,
        seed=4,
        max_new_tokens=30,
        stop_ids=[],
        vocab_limit=limit,
        top_logprobs=20,
    )
    prompt = random_ids(10)
    tokens = list(exact_engine.generate(prompt, sampling=sampling))
    rows = exact_engine.forward([*prompt.tolist(), *(token.id for token in tokens)])
    for token in tokens:
        expected = log_softmax(rows[token.index - 1][:limit])
        assert abs(token.logprob - expected[token.id]) < 1e-4
        assert [id for id, _ in token.top] == np.argsort(-expected, kind="stable")[:20].tolist()
        assert np.allclose([logprob for _, logprob in token.top], np.sort(expected)[::-1][:20], atol=1e-4)


def test_no_alternatives_unless_asked_for(shared_engine: Engine, model: DummyModel) -> None:
    (token,) = shared_engine.generate(random_ids(3), sampling=SamplingParams(max_new_tokens=1, stop_ids=[]))
    assert token.top == ()
    assert 0 <= token.id < model.config.vocab_size
