"""Bytes and pages: what the engine says it holds is what it holds, and running out is an error one can survive."""

from __future__ import annotations

from typing import Any

import pytest
from dummy_models import DummyModel, append, dummy_model, random_ids

from qwen3_chat.engine import Engine, OutOfMemory, SamplingParams, StepRequest

PAGE = 64  # tokens


def greedy(**fields: Any) -> SamplingParams:
    defaults: dict[str, Any] = {"temperature": 0.0, "stop_ids": []}
    return SamplingParams(**defaults | fields)


@pytest.mark.parametrize(("kv", "size"), [("f32", 4), ("bf16", 2)])
def test_bytes_per_token(model: DummyModel, kv: str, size: int) -> None:
    with model.engine(kv=kv) as engine:
        memory = engine.memory()
        shape = model.config
        per_token = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * size
        assert memory.kv_bytes_per_token == per_token
        assert memory.page_tokens == PAGE
        assert memory.kv_pages_total * PAGE * per_token <= memory.kv_budget
        assert (memory.kv_used, memory.kv_pages_used) == (0, 0)


def test_weights_are_counted(model: DummyModel) -> None:
    count = sum(array.size for array in model.tensors.values())
    with model.engine() as wide, model.engine(weights_dtype="bf16") as narrow:
        assert 4 * count <= wide.memory().weights < 5 * count
        assert 2 * count <= narrow.memory().weights < 3 * count


def test_a_tied_head_is_kept_once() -> None:
    untied, tied = dummy_model(hidden=64, vocab=512, tied=False), dummy_model(hidden=64, vocab=512, tied=True)
    with untied.engine() as a, tied.engine() as b:
        assert a.memory().weights - b.memory().weights == 4 * 64 * 512


@pytest.mark.parametrize("devices", ["cpu:0", "cpu:0,cpu:1"])
def test_a_step_reads_a_row_of_the_embedding_not_the_table(devices: str) -> None:
    untied, tied = dummy_model(hidden=64, vocab=512, tied=False), dummy_model(hidden=64, vocab=512, tied=True)
    with untied.engine(devices) as a, tied.engine(devices) as b:
        assert b.memory().weights_per_step == b.memory().weights == a.memory().weights_per_step


def test_pages_come_and_go(engine: Engine) -> None:
    def used() -> int:
        memory = engine.memory()
        assert memory.kv_used == memory.kv_pages_used * PAGE * memory.kv_bytes_per_token
        return memory.kv_pages_used

    cache = engine.new_cache()
    assert (used(), cache.pages, cache.bytes) == (0, 0, 0)
    append(engine, cache, random_ids(64), [64])
    assert (used(), cache.pages) == (1, 1)
    append(engine, cache, random_ids(66), [1, 65])
    assert (used(), cache.pages) == (3, 3)
    assert cache.bytes == engine.memory().kv_used

    fork = cache.fork()
    assert (used(), fork.pages) == (3, 3)
    append(engine, fork, [1], [1])  # its last page is shared and half full: now it is its own
    assert (used(), fork.pages) == (4, 3)
    aligned = cache.fork(128)
    append(engine, aligned, [1], [1])  # begins a page: nothing to copy
    assert (used(), aligned.pages) == (5, 3)

    cache.truncate(65)
    assert (used(), cache.pages) == (4, 2)
    del cache
    assert used() == 4  # both pages are the forks', too
    fork.truncate(0)
    assert used() == 3
    del aligned
    assert used() == 0


def test_a_forward_pass_leaves_nothing(engine: Engine) -> None:
    engine.forward(random_ids(200))
    assert engine.memory().kv_pages_used == 0


def test_a_reply_without_a_cache_leaves_nothing(engine: Engine) -> None:
    generation = engine.generate(random_ids(100), sampling=greedy(max_new_tokens=40))
    list(generation)
    assert engine.memory().kv_pages_used == 3
    del generation
    assert engine.memory().kv_pages_used == 0


def small_engine(model: DummyModel, pages: int) -> Engine:
    with model.engine() as engine:
        page_bytes = PAGE * engine.memory().kv_bytes_per_token
    engine = model.engine(kv_budget=pages * page_bytes)
    assert engine.memory().kv_pages_total == pages
    assert engine.memory().kv_budget == pages * page_bytes
    return engine


def test_a_step_beyond_the_budget(model: DummyModel) -> None:
    with small_engine(model, 3) as engine:
        cache, other = engine.new_cache(), engine.new_cache()
        ids = random_ids(130)
        append(engine, cache, ids[:100], [100])
        with pytest.raises(OutOfMemory, match=r"tokens fit.* for 192 tokens"):
            engine.step([StepRequest(ids[100:], cache, "last"), StepRequest(ids[:70], other, "last")])
        assert (len(cache), len(other), engine.memory().kv_pages_used) == (100, 0, 2)  # all or nothing
        assert (append(engine, cache, ids[100:], [30]) == engine_logits(model, ids)[100:]).all()
        with pytest.raises(OutOfMemory):
            engine.step([StepRequest([1], other, "last")])
        cache.truncate(0)
        append(engine, other, ids, [130])


def engine_logits(model: DummyModel, ids: Any) -> Any:
    with model.engine() as engine:
        return engine.forward(ids)


def test_a_forward_pass_beyond_the_budget(model: DummyModel) -> None:
    with small_engine(model, 2) as engine:
        with pytest.raises(OutOfMemory, match=r"\b128 tokens fit\b"):
            engine.forward(random_ids(129))
        assert engine.memory().kv_pages_used == 0
        assert engine.forward(random_ids(128)).shape == (128, 101)


def test_a_reply_beyond_the_budget(model: DummyModel) -> None:
    """It ends with an error that says what fits; its cache keeps what it held, and the engine goes on."""
    with small_engine(model, 2) as engine:
        prompt = random_ids(100)
        generation = engine.generate(prompt, sampling=greedy())
        tokens: list[int] = []
        with pytest.raises(OutOfMemory, match="tokens"):
            for token in generation:
                tokens.append(token.id)
        assert generation.finish_reason == "error"
        assert isinstance(generation.error, OutOfMemory)
        assert len(tokens) == 128 - 100 + 1  # the last one found no room
        assert generation.cache.tokens == [*prompt.tolist(), *tokens[:-1]]
        assert not generation.cache.busy
        del generation
        assert len(list(engine.generate(prompt, sampling=greedy(max_new_tokens=20)))) == 20


def test_a_prompt_beyond_the_budget(model: DummyModel) -> None:
    with small_engine(model, 1) as engine:
        with pytest.raises(OutOfMemory, match=r"\b64 tokens fit\b"):
            list(engine.generate(random_ids(65), sampling=greedy()))
        assert len(list(engine.generate(random_ids(60), sampling=greedy(max_new_tokens=4)))) == 4


def test_a_neighbour_survives_what_does_not_fit(model: DummyModel) -> None:
    with small_engine(model, 3) as engine:
        alone = [token.id for token in engine.generate(random_ids(10), sampling=greedy(max_new_tokens=50))]
        small = engine.generate(random_ids(10), sampling=greedy(max_new_tokens=50))
        large = engine.generate(random_ids(190), sampling=greedy())
        assert [token.id for token in small] == alone
        with pytest.raises(OutOfMemory):
            list(large)


def test_a_budget_below_one_page(model: DummyModel) -> None:
    with pytest.raises(OutOfMemory, match=r"1 bytes.*64 tokens"):
        model.engine(kv_budget=1)


def test_the_default_budget_is_at_most_four_contexts(shared_engine: Engine) -> None:
    memory = shared_engine.memory()
    assert PAGE <= memory.kv_pages_total * PAGE <= 4 * (shared_engine.context + PAGE)
    assert memory.activations >= 0
