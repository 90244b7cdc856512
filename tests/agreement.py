"""How close two results are, measured one way in every test."""

from __future__ import annotations

from typing import Any

import numpy as np


def relative_error(actual: Any, expected: Any) -> float:
    """max |actual - expected| / max |expected|: the largest error on the scale of the largest value."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        raise ValueError(f"shapes {actual.shape} and {expected.shape} differ")
    return float(np.abs(actual - expected).max() / np.abs(expected).max())
