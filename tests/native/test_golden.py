"""The golden files are what make_golden.py writes now."""

from __future__ import annotations

import math

import make_golden
import numpy as np
import pytest


def test_the_folder_holds_every_model_and_nothing_else() -> None:
    assert sorted(file.stem for file in make_golden.FOLDER.iterdir()) == sorted(make_golden.MODELS)


@pytest.mark.parametrize("name", make_golden.MODELS)
def test_files_are_current(name: str) -> None:
    """Shape, ids and positions to the letter; logits as close as float32 on another machine can be."""
    stored = (make_golden.FOLDER / f"{name}.txt").read_text(encoding="ascii").split()
    made = make_golden.text_of(make_golden.make(name)).split()
    remedy = "run tests/native/make_golden.py"
    assert len(stored) == len(made), remedy
    first = made.index("rows")
    assert stored[:first] == made[:first], remedy
    assert np.allclose(
        np.array(stored[first + 1 :], np.float64), np.array(made[first + 1 :], np.float64), rtol=1e-4, atol=2e-5
    ), remedy


def test_the_logits_say_something() -> None:
    for name in make_golden.MODELS:
        golden = make_golden.make(name)
        assert 1 < golden.logits.std() < 5
        assert len(set(golden.logits.argmax(axis=1))) > len(make_golden.POSITIONS) / 2


def test_every_16_bit_type_holds_the_weights() -> None:
    import torch

    for config in make_golden.MODELS.values():
        for slot in make_golden.model_slots(config).values():
            values = torch.from_numpy(make_golden.tensor(slot.name, slot.index, slot.shape))
            assert math.prod(slot.shape) == values.numel()
            assert torch.equal(values.to(torch.bfloat16).float(), values)
            assert torch.equal(values.to(torch.float16).float(), values)
