"""On CPUs a token's logits do not depend, to the last bit, on how the work was cut or on what ran beside it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from dummy_models import Array, DummyModel, Ids, append, dummy_model, random_ids

from qwen3_chat.engine import Engine, KVCache, SamplingParams, StepRequest

GREEDY = SamplingParams(temperature=0, max_new_tokens=12, stop_ids=[], top_logprobs=3)


def pieces(total: int, *sizes: int) -> list[int]:
    """`sizes` over and over until they sum to `total`."""
    result: list[int] = []
    for size in itertools.cycle(sizes):
        result.append(min(size, total - sum(result)))
        if sum(result) == total:
            return result
    raise AssertionError


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 128, 129])
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (7,), (16, 1), (63,), (64,), (65, 1)], ids=str)
def test_any_chunking(exact_engine: Engine, length: int, sizes: tuple[int, ...]) -> None:
    ids = random_ids(length)
    whole = exact_engine.forward(ids)
    assert np.array_equal(append(exact_engine, exact_engine.new_cache(), ids, pieces(length, *sizes)), whole)


def test_chunks_of_a_long_prompt(exact_engine: Engine) -> None:
    """Longer than the engine's own chunks, so that `forward` and a reply's prefill are cut, too."""
    ids = random_ids(500)
    whole = exact_engine.forward(ids)
    assert np.array_equal(append(exact_engine, exact_engine.new_cache(), ids, pieces(500, 33, 190)), whole)
    reply = list(exact_engine.generate(ids, sampling=GREEDY))
    assert reply[0].id == whole[-1].argmax()


def test_batch_companions(exact_engine: Engine) -> None:
    """Prefills and decodes mixed in one ragged batch, in any order."""
    lengths = [1, 66, 5, 1, 130, 17]
    prefixes = [70, 3, 0, 1, 0, 63]
    requests: list[tuple[Ids, KVCache, Array]] = []
    for seed, (length, prefix) in enumerate(zip(lengths, prefixes, strict=True)):
        ids = random_ids(prefix + length, seed=seed)
        cache = exact_engine.new_cache()
        if prefix:
            exact_engine.step([StepRequest(ids[:prefix], cache, "none")])
        alone = append(exact_engine, cache.fork(), ids[prefix:], [length])
        assert np.array_equal(alone, exact_engine.forward(ids)[prefix:])
        requests.append((ids[prefix:], cache, alone))
    for order in (range(6), reversed(range(6)), [3, 0, 4], [1, 5]):
        chosen = [requests[index] for index in order]
        batch = exact_engine.step([StepRequest(ids, cache.fork(), "all") for ids, cache, _ in chosen])
        for logits, (_, _, alone) in zip(batch, chosen, strict=True):
            assert logits is not None
            assert np.array_equal(logits, alone)


def test_which_logits_are_asked_for(exact_engine: Engine) -> None:
    a, b, c = (random_ids(length, seed=length) for length in (9, 70, 4))
    requests = [
        StepRequest(a, exact_engine.new_cache(), "last"),
        StepRequest(b, exact_engine.new_cache(), "none"),
        StepRequest(c, exact_engine.new_cache(), "all"),
    ]
    last, none, everything = exact_engine.step(requests)
    assert none is None
    assert last is not None
    assert everything is not None
    assert np.array_equal(last, exact_engine.forward(a)[-1])
    assert np.array_equal(everything, exact_engine.forward(c))
    assert [len(request.cache) for request in requests] == [9, 70, 4]


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1"])
@pytest.mark.parametrize(
    "shape",
    [{}, {"heads": 8, "kv_heads": 1, "head_dim": 10, "hidden": 70, "intermediate": 333, "vocab": 1001}],
    ids=str,
)
def test_thread_counts(shape: dict[str, Any], devices: str) -> None:
    model = dummy_model(**shape)
    ids = random_ids(130)
    results = []
    for threads in (1, 2, 3, 5):
        with model.engine(devices, threads=threads) as engine:
            results.append(append(engine, engine.new_cache(), ids, pieces(130, 100, 1)))
    for other in results[1:]:
        assert np.array_equal(other, results[0])


def test_half_width_pages_too() -> None:
    with dummy_model().engine(weights_dtype="bf16", kv="bf16") as engine:
        ids = random_ids(131)
        whole = engine.forward(ids)
        assert np.array_equal(append(engine, engine.new_cache(), ids, pieces(131, 1, 30)), whole)


@pytest.mark.parametrize("at", [1, 63, 64, 65, 100, 128])
def test_shared_pages(exact_engine: Engine, at: int) -> None:
    """A fork goes its own way over shared pages, and neither side notices the other."""
    first, second = random_ids(140, seed=1), random_ids(140, seed=2)
    second[:at] = first[:at]
    expected_first, expected_second = exact_engine.forward(first), exact_engine.forward(second)

    origin = exact_engine.new_cache()
    append(exact_engine, origin, first[:130], [130])
    fork = origin.fork(at)
    assert fork.tokens == first[:at].tolist()
    assert np.array_equal(append(exact_engine, fork, second[at:], pieces(140 - at, 20, 1)), expected_second[at:])
    assert np.array_equal(append(exact_engine, origin, first[130:], pieces(10, 1)), expected_first[130:])
    assert (origin.tokens, fork.tokens) == (first.tolist(), second.tolist())


def test_forks_of_forks(exact_engine: Engine) -> None:
    ids = random_ids(100)
    expected = exact_engine.forward(ids)
    cache = exact_engine.new_cache()
    append(exact_engine, cache, ids[:90], [90])
    generations = [cache]
    for _ in range(4):
        generations.append(generations[-1].fork())
    batch = exact_engine.step([StepRequest(ids[90:], fork, "all") for fork in generations])
    for logits in batch:
        assert logits is not None
        assert np.array_equal(logits, expected[90:])


@pytest.mark.parametrize("keep", [0, 1, 63, 64, 65, 99])
def test_truncated_and_appended_again(exact_engine: Engine, keep: int) -> None:
    ids = random_ids(150)
    cache = exact_engine.new_cache()
    append(exact_engine, cache, [*ids[:keep], *random_ids(100, seed=9)], [keep + 100])
    cache.truncate(keep)
    assert (len(cache), cache.tokens) == (keep, ids[:keep].tolist())
    assert np.array_equal(
        append(exact_engine, cache, ids[keep:], pieces(150 - keep, 70, 1)), exact_engine.forward(ids)[keep:]
    )


@pytest.mark.parametrize("common", [0, 1, 63, 64, 65, 100])
def test_prefix_reuse(model: DummyModel, exact_engine: Engine, common: int) -> None:
    """A reply over a cache that holds part of its prompt is the reply over an empty one."""
    old, new = random_ids(100, seed=1), random_ids(120, seed=2)
    new[:common] = old[:common]
    if common < 100:
        new[common] = (old[common] + 1) % model.config.vocab_size
    cache = exact_engine.new_cache()
    append(exact_engine, cache, old, [100])
    reused = exact_engine.generate(new, cache, GREEDY)
    with_cache, fresh = list(reused), list(exact_engine.generate(new, sampling=GREEDY))
    assert (reused.reused, reused.prefill_total, reused.prefill_done) == (common, 120 - common, 120 - common)
    assert [(t.id, t.logprob, t.top) for t in with_cache] == [(t.id, t.logprob, t.top) for t in fresh]
    assert cache.tokens[:120] == new.tolist()


def test_a_cache_that_holds_the_whole_prompt(exact_engine: Engine) -> None:
    """The last token is evaluated again, since its logits are not kept."""
    ids = random_ids(70)
    cache = exact_engine.new_cache()
    append(exact_engine, cache, ids, [70])
    generation = exact_engine.generate(ids, cache, GREEDY)
    assert [t.id for t in generation] == [t.id for t in exact_engine.generate(ids, sampling=GREEDY)]
    assert generation.reused == 69


def test_two_engines_agree(model: DummyModel, exact_engine: Engine) -> None:
    ids = random_ids(100)
    with model.engine(weights_dtype=exact_engine.weights) as other:
        assert np.array_equal(other.forward(ids), exact_engine.forward(ids))
