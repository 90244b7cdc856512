"""The profile: every layer and verb of the last step, measured."""

from __future__ import annotations

import numpy as np
import pytest
from dummy_models import DummyModel, append, dummy_model, random_ids

from qwen3_chat.engine import ConfigError, Engine, SamplingParams

LAYER_VERBS = (
    "norm_qkv",
    "qk_norm_rope_append",
    "attention",
    "o_residual",
    "norm_gate_up_silu",
    "down_residual",
    "all_reduce",
)


def reply(engine: Engine, prompt: int, new: int) -> None:
    list(engine.generate(random_ids(prompt), sampling=SamplingParams(max_new_tokens=new, stop_ids=[])))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("layers", [1, 3])
def test_shapes_and_times(layers: int, count: int) -> None:
    devices = ",".join(f"cpu:{index}" for index in range(count))
    with dummy_model(layers=layers).engine(devices, threads=count) as engine:
        reply(engine, 100, 20)
        for kind, tokens in (("prefill", 100), ("decode", 1)):
            profile = engine.profile(kind=kind)  # type: ignore[arg-type]
            assert (profile.kind, profile.tokens, profile.layers) == (kind, tokens, layers)
            assert profile.layer_verbs == LAYER_VERBS
            assert profile.layer_ns.shape == (count, layers, len(LAYER_VERBS))
            assert profile.layer_ns.dtype == np.int64
            assert (profile.layer_ns[:, :, :-1] > 0).all()
            assert (profile.layer_ns >= 0).all()
            if count > 1:
                assert (profile.layer_ns[:, :, -1] > 0).all()
            assert set(profile.other_ns) == set(profile.step_verbs) == {"begin_step", "embed", "norm_head", "sample"}
            assert profile.other_ns["norm_head"] > 0
            assert profile.other_ns["sample"] > 0
            measured = profile.layer_ns.sum(axis=(1, 2)) + profile.device_ns.sum(axis=1)
            assert (measured <= profile.step_ns).all()  # parts never exceed the whole
        assert 0 <= profile.probe_share < 1


def test_counts(model: DummyModel) -> None:
    with model.engine() as engine:
        assert engine.profile().steps == engine.profile(kind="prefill").steps == 0
        assert engine.profile().tokens == 0
        assert sum(engine.profile().other_ns.values()) == 0
        reply(engine, 300, 10)  # the prompt in chunks of 256 tokens, the first token out of the last of them
        prefill, decode = engine.profile(kind="prefill"), engine.profile(reset=True)
        assert (prefill.steps, prefill.total_tokens) == (2, 300)
        assert (decode.steps, decode.total_tokens) == (9, 9)
        assert prefill.total_ns >= prefill.step_ns > 0
        assert decode.total_ns >= decode.step_ns > 0
        assert engine.profile().steps == engine.profile(kind="prefill").steps == 0


def test_explicit_steps_count(model: DummyModel) -> None:
    with model.engine() as engine:
        append(engine, engine.new_cache(), random_ids(12), [10, 1, 1])
        assert engine.profile(kind="prefill").total_tokens == 10
        assert engine.profile().total_tokens == 2


def test_the_times_are_ones_own(model: DummyModel) -> None:
    """The arrays are copies: what was read does not change as the engine goes on."""
    with model.engine() as engine:
        reply(engine, 5, 5)
        profile = engine.profile()
        before = profile.layer_ns.copy()
        reply(engine, 50, 50)
        assert np.array_equal(profile.layer_ns, before)
        profile.layer_ns[:] = 0
        assert engine.profile().layer_ns.sum() > 0


def test_an_unknown_kind(shared_engine: Engine) -> None:
    with pytest.raises(ConfigError, match="kind = 'warm-up'"):
        shared_engine.profile(kind="warm-up")  # type: ignore[arg-type]
