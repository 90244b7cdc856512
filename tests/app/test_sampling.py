"""Flag, else generation_config.json, else the mode's default."""

from __future__ import annotations

import pytest

from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.sampling import draw_seed, resolve
from qwen3_chat.models.config import GenerationDefaults


@pytest.mark.parametrize(("thinking", "expected"), [(True, (0.6, 0.95, 20, 0.0)), (False, (0.7, 0.8, 20, 0.0))])
def test_the_modes_have_their_own_defaults(thinking: bool, expected: tuple[float, ...]) -> None:
    params = resolve(SamplingOptions(), GenerationDefaults(), thinking=thinking, vocab_limit=100)
    assert (params.temperature, params.top_p, params.top_k, params.min_p) == expected
    assert (params.presence_penalty, params.repetition_penalty) == (0.0, 1.0)
    assert (params.vocab_limit, params.max_new_tokens, params.stop_ids) == (100, None, None)


FIELDS = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "repetition_penalty")


@pytest.mark.parametrize("name", FIELDS)
def test_the_checkpoint_wins_over_the_mode_and_a_flag_over_both(name: str) -> None:
    least = 0.25 if name in ("top_p", "repetition_penalty") else 0  # zero is a value, not silence, where it is allowed
    of_file = GenerationDefaults(**{name: 1})
    untouched = resolve(SamplingOptions(seed=0), GenerationDefaults(), thinking=True, vocab_limit=100)
    by_file = resolve(SamplingOptions(seed=0), of_file, thinking=True, vocab_limit=100)
    by_flag = resolve(SamplingOptions(seed=0, **{name: least}), of_file, thinking=True, vocab_limit=100)
    assert getattr(by_file, name) == 1
    assert getattr(by_flag, name) == least
    for other in FIELDS:
        if other != name:
            assert getattr(by_flag, other) == getattr(untouched, other)


def test_a_seed_is_kept_or_drawn() -> None:
    assert resolve(SamplingOptions(seed=0), GenerationDefaults(), thinking=True, vocab_limit=1).seed == 0
    drawn = {
        resolve(SamplingOptions(), GenerationDefaults(), thinking=True, vocab_limit=1).seed for _ in range(8)
    }  # 8 equal draws: once in 2**224
    assert len(drawn) > 1
    assert 0 <= draw_seed() < 2**32


def test_the_limit_of_a_reply_is_passed_on() -> None:
    params = resolve(SamplingOptions(max_tokens=7), GenerationDefaults(), thinking=True, vocab_limit=1)
    assert params.max_new_tokens == 7
