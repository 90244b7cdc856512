"""YaRN: rotary frequencies for contexts longer than those a model was trained on (https://arxiv.org/abs/2309.00071)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen3_chat.models.errors import ConfigError
from qwen3_chat.models.files import describe

_DEFAULTS = {"beta_fast": 32.0, "beta_slow": 1.0}
_NUMBERS = ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor")
_NEUTRAL = {"truncate": True, "partial_rotary_factor": 1, "rope_theta": None, "rope_type": None, "type": None}


@dataclass(frozen=True, slots=True)
class YarnScaling:
    """How far the rotary frequencies are stretched, and which of them.

    Attributes:
        factor: context with scaling over context without.
        original_max_position_embeddings: tokens that the model was trained on.
        beta_fast: a frequency that turns at least so often within them is left alone.
        beta_slow: one that turns at most so often is divided by `factor`; in between, some of both.
        attention_factor: cosines and sines are multiplied by it; None: 0.1 ln(factor) + 1.

    Raises:
        ConfigError: a value is out of its range.
    """

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = _DEFAULTS["beta_fast"]
    beta_slow: float = _DEFAULTS["beta_slow"]
    attention_factor: float | None = None

    def __post_init__(self) -> None:
        if not self.factor >= 1:
            raise ConfigError(f"YaRN's factor is {self.factor:g}, expected a number from 1")
        if not self.beta_fast > self.beta_slow > 0:
            raise ConfigError(
                f"YaRN's beta_fast is {self.beta_fast:g} and beta_slow {self.beta_slow:g}, expected fast > slow > 0"
            )
        if self.attention_factor is not None and not self.attention_factor > 0:
            raise ConfigError(f"YaRN's attention_factor is {self.attention_factor:g}, expected a number above 0")

    @property
    def longest_context(self) -> int:
        """Tokens that the stretched frequencies are good for."""
        return int(self.factor * self.original_max_position_embeddings)

    @property
    def magnitude(self) -> float:
        """What cosines and sines are multiplied by."""
        return 0.1 * math.log(self.factor) + 1 if self.attention_factor is None else self.attention_factor

    def ramp(self, head_dim: int, theta: float) -> tuple[float, float]:
        """The pairs of a head between which the frequencies pass from untouched to divided by `factor`."""

        def pair(turns: float) -> float:  # that turns so often within the original context
            wavelengths = self.original_max_position_embeddings / (turns * 2 * math.pi)
            return head_dim * math.log(wavelengths) / (2 * math.log(theta))

        low = max(math.floor(pair(self.beta_fast)), 0)
        high = min(math.ceil(pair(self.beta_slow)), head_dim - 1)
        return low, high if high > low else low + 0.001


def parse_rope_scaling(rope: Mapping[str, Any], field: str) -> YarnScaling | None:
    """What an object of config.json says: None for plain RoPE. `field` is its name in errors.

    Raises:
        ConfigError: another kind of scaling, or a key that is missing, malformed or not known.
    """
    kinds = {key: rope[key] for key in ("rope_type", "type") if rope.get(key) is not None}
    for key, value in kinds.items():
        if value not in ("default", "yarn"):
            raise ConfigError(f'{field}.{key} is {describe(value)}, which is not supported, only "yarn" is')
    if len(set(kinds.values())) > 1:
        raise ConfigError(f"{field}.rope_type is {describe(rope['rope_type'])}, but {field}.type is "
                          f"{describe(rope['type'])}")  # fmt: skip
    yarn = "yarn" in kinds.values()
    for key, value in rope.items():
        known = value is None or key in ("rope_type", "type", "rope_theta") or (yarn and key in _NUMBERS)
        if not known and not (key in _NEUTRAL and value == _NEUTRAL[key]):
            raise ConfigError(f"{field}.{key} is {describe(value)}, which is not supported yet")
    if not yarn:
        return None

    def number(key: str) -> float:
        value = rope.get(key, _DEFAULTS.get(key))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ConfigError(f"{field}.{key} is {describe(value)}, expected a finite number above 0")
        return float(value)

    original = number("original_max_position_embeddings")
    if original != int(original) or original >= 2**31:
        raise ConfigError(f"{field}.original_max_position_embeddings is {original:g}, expected a whole number")
    return YarnScaling(
        factor=number("factor"),
        original_max_position_embeddings=int(original),
        beta_fast=number("beta_fast"),
        beta_slow=number("beta_slow"),
        attention_factor=None if rope.get("attention_factor") is None else number("attention_factor"),
    )
