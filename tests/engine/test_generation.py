"""A reply from its request to its end: tokens, reasons to finish, live changes, companions."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from dummy_models import DummyModel, append, assert_greedy, dummy_model, eventually, random_ids

from qwen3_chat.engine import (
    ConfigError,
    ContextOverflow,
    DeviceError,
    Engine,
    EngineError,
    SamplingParams,
    StepRequest,
    Token,
)

RING = 256  # events that wait for a reader before a reply does


def greedy(**fields: Any) -> SamplingParams:
    defaults: dict[str, Any] = {"temperature": 0.0, "stop_ids": []}
    return SamplingParams(**defaults | fields)


def hot(**fields: Any) -> SamplingParams:
    """Draws from the whole vocabulary, so that replies do not repeat themselves."""
    defaults: dict[str, Any] = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "stop_ids": []}
    return SamplingParams(**defaults | fields)


def ids_of(tokens: Any) -> list[int]:
    return [token.id for token in tokens]


@pytest.fixture(scope="module")
def long_model() -> DummyModel:
    return dummy_model(max_positions=6000, layers=3)


@pytest.fixture
def long_engine(long_model: DummyModel) -> Any:
    with long_model.engine() as engine:
        yield engine


# ---- the usual -------------------------------------------------------------------------------------------------------


def test_a_greedy_reply(shared_engine: Engine) -> None:
    prompt = random_ids(30)
    generation = shared_engine.generate(prompt, sampling=greedy(max_new_tokens=25))
    tokens = list(generation)
    assert_greedy(shared_engine, prompt, ids_of(tokens))
    assert [token.index for token in tokens] == list(range(30, 55))
    assert not any(token.stop for token in tokens)
    assert all(token.ns > 0 for token in tokens)
    assert (generation.done, generation.finish_reason, generation.error) == (True, "length", None)
    assert generation.cache.tokens == [*prompt.tolist(), *ids_of(tokens)[:-1]]  # the last one was not needed yet
    assert list(generation) == []


def test_stats(shared_engine: Engine) -> None:
    cache = shared_engine.new_cache()
    prompt = random_ids(40)
    append(shared_engine, cache, prompt[:15], [15])
    generation = shared_engine.generate(prompt, cache, greedy(max_new_tokens=10))
    list(generation)
    stats = generation.stats
    assert (stats.prompt_tokens, stats.reused_tokens, stats.prefill_tokens, stats.new_tokens) == (40, 15, 25, 10)
    assert (generation.prefill_done, generation.prefill_total, generation.reused) == (25, 25, 15)
    assert 0 < stats.prefill_s <= stats.first_token_s
    assert stats.decode_s > 0
    assert stats.tokens_per_s == pytest.approx(9 / stats.decode_s)
    assert stats.prefill_tokens_per_s == pytest.approx(25 / stats.prefill_s)


def test_drain_never_blocks(shared_engine: Engine) -> None:
    generation = shared_engine.generate(random_ids(10), sampling=greedy(max_new_tokens=50))
    tokens: list[Token] = []
    while True:
        ended = generation.done
        batch = generation.drain(7)
        assert len(batch) <= 7
        tokens += batch
        if ended and not batch:
            break
        generation.wait(0.01)
    assert [token.index for token in tokens] == list(range(10, 60))
    assert generation.drain() == []
    with pytest.raises(ConfigError, match="max"):
        generation.drain(-1)


def test_wait(long_engine: Engine) -> None:
    generation = long_engine.generate(random_ids(3000), sampling=greedy(max_new_tokens=1))
    assert not generation.wait(0)
    assert generation.wait()
    assert len(generation.drain()) == 1
    assert generation.wait(0)  # it has ended


# ---- reasons to finish -----------------------------------------------------------------------------------------------


def test_the_checkpoints_end_tokens(shared_engine: Engine, model: DummyModel) -> None:
    """Stop ids by default are the model's; the stop token comes last, marked, and is not in the cache."""
    ends = model.config.eos_token_ids
    for seed in range(5):
        generation = shared_engine.generate(random_ids(8), sampling=hot(stop_ids=None, seed=seed))
        *text, last = list(generation)
        if generation.finish_reason == "length":
            continue
        assert generation.finish_reason == "stop"
        assert last.stop
        assert last.id in ends
        assert not any(token.stop or token.id in ends for token in text)
        assert generation.cache.tokens == [*random_ids(8).tolist(), *ids_of(text)]
        return
    raise AssertionError("no reply stopped")


def test_stop_ids_of_ones_own(shared_engine: Engine) -> None:
    prompt = random_ids(8)
    free = ids_of(shared_engine.generate(prompt, sampling=hot(max_new_tokens=100)))
    stops = {free[20], free[40]}
    first = min(free.index(stop) for stop in stops)
    generation = shared_engine.generate(prompt, sampling=hot(max_new_tokens=100, stop_ids=sorted(stops)))
    assert ids_of(generation) == free[: first + 1]
    assert generation.finish_reason == "stop"


def test_no_stop_ids_never_stop(shared_engine: Engine, model: DummyModel) -> None:
    generation = shared_engine.generate(random_ids(8), sampling=hot())
    tokens = list(generation)
    assert generation.finish_reason == "length"
    assert set(model.config.eos_token_ids) <= set(ids_of(tokens))  # drawn, and went on
    assert tokens[-1].index + 1 == shared_engine.context == 512


def test_the_first_token_may_stop(shared_engine: Engine) -> None:
    first = shared_engine.forward(random_ids(8))[-1].argmax()
    generation = shared_engine.generate(random_ids(8), sampling=greedy(stop_ids=[first]))
    (token,) = generation
    assert token.stop
    assert generation.finish_reason == "stop"


def test_the_contexts_end(model: DummyModel) -> None:
    with model.engine(context=40) as engine:
        assert engine.context == 40
        generation = engine.generate(random_ids(37), sampling=greedy())
        assert len(list(generation)) == 3
        assert generation.finish_reason == "length"
        assert len(list(engine.generate(random_ids(39), sampling=greedy()))) == 1
        for length in (40, 41, 1000):
            with pytest.raises(ContextOverflow, match=rf"{length}.*40"):
                engine.generate(random_ids(length))
        with pytest.raises(ContextOverflow, match="41"):
            engine.forward(random_ids(41))
        assert engine.forward(random_ids(40)).shape == (40, 101)


@pytest.mark.parametrize("bad", [[], [101], [-1], [1.5], [[1]], ["a"]], ids=str)
def test_a_prompt_that_cannot_be(shared_engine: Engine, bad: Any) -> None:
    with pytest.raises(ConfigError):
        shared_engine.generate(bad)


def test_stop_ids_outside_the_vocabulary(shared_engine: Engine) -> None:
    with pytest.raises(ConfigError, match=r"stop_ids.*101"):
        shared_engine.generate([1], sampling=SamplingParams(stop_ids=[101]))


# ---- stopping it -----------------------------------------------------------------------------------------------------


def test_cancel_while_decoding(shared_engine: Engine) -> None:
    prompt = random_ids(8)
    generation = shared_engine.generate(prompt, sampling=greedy())
    first = next(generation)
    generation.cancel()
    tokens = [first, *generation]
    assert generation.finish_reason == "cancelled"
    assert generation.error is None
    assert_greedy(shared_engine, prompt, ids_of(tokens))
    assert not generation.cache.busy
    held = generation.cache.tokens
    assert held == [*prompt.tolist(), *ids_of(tokens)][: len(held)]
    assert len(held) >= len(prompt) + len(tokens) - 1


def test_cancel_while_reading_the_prompt(long_engine: Engine) -> None:
    prompt = random_ids(5000)
    generation = long_engine.generate(prompt, sampling=greedy(max_new_tokens=3))
    eventually(lambda: generation.prefill_done > 0)
    generation.cancel()
    assert list(generation) == []
    assert generation.finish_reason == "cancelled"
    assert 0 < generation.prefill_done < generation.prefill_total == 5000
    assert generation.cache.tokens == prompt[: generation.prefill_done].tolist()
    again = long_engine.generate(prompt[:2000], generation.cache, greedy(max_new_tokens=3))
    assert ids_of(again) == ids_of(long_engine.generate(prompt[:2000], sampling=greedy(max_new_tokens=3)))
    assert again.reused == min(generation.prefill_done, 1999)


def test_progress_of_the_prompt(long_engine: Engine) -> None:
    generation = long_engine.generate(random_ids(4000), sampling=greedy(max_new_tokens=1))
    seen = {generation.prefill_done}
    while not generation.wait(0.001):
        seen.add(generation.prefill_done)
    assert len(seen) > 3
    assert all(done % 256 == 0 for done in seen - {4000})  # piece by piece
    assert generation.prefill_done == generation.prefill_total == 4000


def test_dropping_it_lets_go_of_the_cache(long_engine: Engine) -> None:
    cache = long_engine.new_cache()
    prompt = random_ids(4000)
    generation = long_engine.generate(prompt, cache, greedy())
    states = [cache.busy]
    del generation
    states.append(cache.busy)
    assert states == [True, False]
    generation = long_engine.generate(prompt[:100], cache, greedy())
    assert next(generation).index == 100
    del generation
    assert not cache.busy
    assert cache.tokens[:100] == prompt[:100].tolist()
    assert ids_of(long_engine.generate(prompt[:50], cache, greedy(max_new_tokens=2)))


def test_a_generation_keeps_its_engine(model: DummyModel) -> None:
    generation = model.engine().generate(random_ids(5), sampling=greedy(max_new_tokens=30))
    assert len(list(generation)) == 30
    cache = generation.cache
    del generation
    assert len(cache) == 34  # a cache alone still tells what it holds
    assert cache.fork(10).tokens == random_ids(5).tolist() + cache.tokens[5:10]


def test_closing_the_engine_ends_its_replies(long_model: DummyModel) -> None:
    engine = long_model.engine()
    reading = engine.generate(random_ids(5000), sampling=greedy())
    stalled = engine.generate(random_ids(5), sampling=greedy())
    engine.close()
    for generation in (reading, stalled):
        list(generation)
        assert generation.done
        assert generation.finish_reason == "cancelled"
        assert not generation.cache.busy
    step = StepRequest([1], reading.cache)
    for call in (
        engine.new_cache,
        lambda: engine.generate([1]),
        lambda: engine.generate([1], reading.cache),
        lambda: engine.forward([1]),
        lambda: engine.step([step]),
    ):
        with pytest.raises(DeviceError, match="closed"):
            call()
    engine.close()  # once more does no harm


def test_control_c_interrupts_the_wait(long_engine: Engine) -> None:
    """A signal that arrives during the wait for a token surfaces, and the reply goes on."""
    generation = long_engine.generate(random_ids(5000), sampling=greedy(max_new_tokens=1))
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer = threading.Timer(0.02, signal.raise_signal, [signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            while True:
                generation.wait(10)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert len(list(generation)) == 1


# ---- changing it -----------------------------------------------------------------------------------------------------


def test_update_takes_effect_while_it_runs(long_engine: Engine) -> None:
    generation = long_engine.generate(random_ids(8), sampling=hot())
    before = [next(generation) for _ in range(10)]
    generation.update(hot(vocab_limit=1, max_new_tokens=1000))
    tokens = before + list(generation)
    assert generation.finish_reason == "length"
    assert len(tokens) == 1000
    zeros = [token.id == 0 for token in tokens]
    assert all(zeros[-500:])
    assert not all(zeros[:10])
    with pytest.raises(ConfigError, match="stop_ids"):
        generation.update(SamplingParams(stop_ids=[101]))


def test_forced_tokens_come_next(long_engine: Engine) -> None:
    """Forced ids appear in one piece, and what is drawn afterwards follows from them."""
    prompt = random_ids(8)
    forced = [90, 17, 90, 17, 55, 90]
    generation = long_engine.generate(prompt, sampling=greedy(max_new_tokens=600))
    head = [next(generation) for _ in range(3)]
    generation.force(forced)
    ids = ids_of(head) + ids_of(generation)
    assert len(ids) == 600
    at = next(i for i in range(len(ids)) if ids[i : i + len(forced)] == forced)
    assert_greedy(long_engine, prompt, ids[:at])
    assert_greedy(long_engine, [*prompt.tolist(), *ids[: at + len(forced)]], ids[at + len(forced) :])
    with pytest.raises(ConfigError, match="101"):
        generation.force([101])


def test_what_is_forced_too_late_is_let_go(long_engine: Engine) -> None:
    """With `unless`, a reply that holds that token by then goes on as if nothing had been asked."""
    prompt = random_ids(8)
    alone = ids_of(long_engine.generate(prompt, sampling=greedy(max_new_tokens=300)))
    generation = long_engine.generate(prompt, sampling=greedy(max_new_tokens=300))
    head = [next(generation) for _ in range(3)]
    generation.force([90, 17], unless=head[1].id)
    assert ids_of(head) + ids_of(generation) == alone


def test_what_is_forced_in_time_comes_whole(long_engine: Engine) -> None:
    """The token that would have made it superfluous may be part of it, and the prompt does not count."""
    sampling = greedy(max_new_tokens=300)

    def alone(first: int) -> list[int]:
        return ids_of(long_engine.generate([first, *prompt.tolist()], sampling=sampling))

    prompt = random_ids(8)
    absent = next(id for id in range(100) if id not in alone(id))
    forced = [absent, 17, absent, 90]
    generation = long_engine.generate([absent, *prompt.tolist()], sampling=sampling)
    head = [next(generation) for _ in range(3)]
    generation.force(forced, unless=absent)
    ids = ids_of(head) + ids_of(generation)
    at = ids.index(absent)
    assert ids[at : at + len(forced)] == forced
    with pytest.raises(ConfigError, match="unless"):
        generation.force([1], unless=-1)


def test_a_forced_token_carries_its_own_logprob(long_engine: Engine) -> None:
    generation = long_engine.generate(random_ids(3000), sampling=greedy(max_new_tokens=2, top_logprobs=1))
    generation.force([42])
    first, second = list(generation)
    assert first.id == 42
    assert first.logprob <= first.top[0][1]
    assert second.logprob == second.top[0][1]


# ---- companions ------------------------------------------------------------------------------------------------------


def test_one_reply_a_cache(long_engine: Engine) -> None:
    cache = long_engine.new_cache()
    generation = long_engine.generate(random_ids(3000), cache, greedy(max_new_tokens=2))
    assert cache.busy
    with pytest.raises(EngineError, match="cache"):
        long_engine.generate([1, 2], cache)
    for change in (lambda: cache.truncate(0), lambda: append(long_engine, cache, [1], [1])):
        with pytest.raises(ConfigError, match="cache"):
            change()
    assert len(list(generation)) == 2
    assert not cache.busy


def test_replies_side_by_side(exact_engine: Engine) -> None:
    """Several at once, of different lengths and seeds, say what each says alone."""
    jobs = [(random_ids(5 + 60 * n, seed=n), hot(seed=n, max_new_tokens=20 + 10 * n, top_logprobs=2)) for n in range(5)]
    alone = [list(exact_engine.generate(prompt, sampling=sampling)) for prompt, sampling in jobs]
    running = [exact_engine.generate(prompt, sampling=sampling) for prompt, sampling in jobs]
    together = [list(generation) for generation in running]
    for a, b in zip(alone, together, strict=True):
        assert [(t.id, t.logprob, t.top) for t in a] == [(t.id, t.logprob, t.top) for t in b]


def test_replies_beside_explicit_steps(shared_engine: Engine) -> None:
    prompt = random_ids(20)
    alone = ids_of(shared_engine.generate(prompt, sampling=hot(max_new_tokens=150)))
    expected = shared_engine.forward(random_ids(70, seed=3))
    generation = shared_engine.generate(prompt, sampling=hot(max_new_tokens=150))
    for _ in range(5):
        assert (shared_engine.forward(random_ids(70, seed=3)) == expected).all()
    assert ids_of(generation) == alone


def test_replies_from_many_threads(shared_engine: Engine) -> None:
    expected = [ids_of(shared_engine.generate([n], sampling=hot(seed=n, max_new_tokens=60))) for n in range(6)]
    results: dict[int, list[int]] = {}

    def work(n: int) -> None:
        results[n] = ids_of(shared_engine.generate([n], sampling=hot(seed=n, max_new_tokens=60)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[n] for n in range(6)] == expected


def test_background_work_waits(long_engine: Engine) -> None:
    foreground = long_engine.generate(random_ids(3000), sampling=greedy(max_new_tokens=5))
    background = long_engine.generate(random_ids(10), sampling=greedy(max_new_tokens=5), background=True)
    first = next(background)
    assert foreground.done
    assert len([first, *background]) == len(list(foreground)) == 5


def test_background_work_yields(long_engine: Engine) -> None:
    """A reply that comes later goes first, between two pieces of the background's prompt."""
    background = long_engine.generate(random_ids(5000), sampling=greedy(max_new_tokens=1), background=True)
    eventually(lambda: background.prefill_done > 0)
    assert len(list(long_engine.generate(random_ids(10), sampling=greedy(max_new_tokens=20)))) == 20
    assert not background.done
    assert len(list(background)) == 1


def test_a_decode_goes_on_beside_a_long_prompt(long_engine: Engine) -> None:
    talking = long_engine.generate(random_ids(5), sampling=greedy(max_new_tokens=200))
    next(talking)
    reading = long_engine.generate(random_ids(5000), sampling=greedy(max_new_tokens=1))
    assert len([next(talking) for _ in range(5)]) == 5
    assert not reading.done
    assert len(list(reading)) == 1
    list(talking)


def test_nothing_is_lost_when_nobody_reads(long_engine: Engine) -> None:
    """A reply whose events nobody takes waits, without holding up others, and then goes on."""
    count = 4 * RING
    expected = ids_of(long_engine.generate(random_ids(6), sampling=hot(max_new_tokens=count)))
    generation = long_engine.generate(random_ids(6), sampling=hot(max_new_tokens=count))
    eventually(lambda: generation.stats.new_tokens == RING)
    assert len(list(long_engine.generate(random_ids(9), sampling=greedy(max_new_tokens=30)))) == 30
    assert generation.stats.new_tokens == RING
    assert not generation.done
    tokens = list(generation)
    assert ids_of(tokens) == expected
    assert [token.index for token in tokens] == list(range(6, 6 + count))


def test_a_stalled_reply_can_be_cancelled(long_engine: Engine) -> None:
    generation = long_engine.generate(random_ids(6), sampling=hot())
    eventually(lambda: generation.stats.new_tokens == RING)
    generation.cancel()
    assert len(list(generation)) == RING
    assert generation.finish_reason == "cancelled"


def test_a_conversation(exact_engine: Engine) -> None:
    """Turn after turn over one cache: only what is new is evaluated, and the text is that of a fresh cache."""
    cache = exact_engine.new_cache()
    context = random_ids(20).tolist()
    for turn in range(4):
        generation = exact_engine.generate(context, cache, hot(seed=turn, max_new_tokens=15))
        reply = ids_of(generation)
        fresh = ids_of(exact_engine.generate(context, sampling=hot(seed=turn, max_new_tokens=15)))
        assert reply == fresh
        if turn:
            assert generation.prefill_total == 10 + 1  # the question, and the reply's last token
        context = [*context, *reply, *random_ids(10, seed=turn).tolist()]
