"""The CPU kernels for each instruction set that this machine has."""

from __future__ import annotations

import numpy as np
import pytest
from dummy_models import append, dummy_model, random_ids, relative_error, rms_error
from rounded import rounded_logits

from qwen3_chat.engine import ConfigError

ISAS = ("portable", "avx2", "avx512")


def choose(monkeypatch: pytest.MonkeyPatch, isa: str) -> None:
    monkeypatch.setenv("QWEN3_ISA", isa)


@pytest.mark.parametrize("weights", ["f32", "f16", "bf16", "int8", "int4"])
@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set(monkeypatch: pytest.MonkeyPatch, isa: str, weights: str) -> None:
    model = dummy_model(hidden=70, head_dim=18, intermediate=101, vocab=151)
    integers = weights in ("int8", "int4")
    if not integers:  # weights that are exact in every type, so that one reference serves all
        for name, array in model.tensors.items():
            model = model.changed(name, (np.round(array * 16) / 16).astype(np.float32))
    ids = random_ids(90, 151)
    choose(monkeypatch, isa)
    try:
        engine = model.engine(weights_dtype=weights, kv="f32")
    except ConfigError as error:
        if isa == "portable":
            raise
        pytest.skip(str(error))
    with engine:
        assert engine.isa == isa
        whole = engine.forward(ids)
        if integers:
            exact, rounded = model.logits(ids), rounded_logits(model, ids, weights)
            assert rms_error(whole, rounded) <= 0.6 * rms_error(rounded, exact)
        else:
            assert relative_error(whole, model.logits(ids)) <= 1e-5
        assert np.array_equal(append(engine, engine.new_cache(), ids, [64] + [1] * 20 + [6]), whole)


def test_an_unknown_instruction_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "mmx")
    with pytest.raises(ConfigError, match=r"QWEN3_ISA.*mmx.*portable"):
        dummy_model().engine()


def test_the_widest_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QWEN3_ISA", raising=False)
    with dummy_model().engine() as engine:
        assert engine.isa in ISAS
