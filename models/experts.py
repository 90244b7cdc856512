"""Mixture of experts: which layers have one, and how many of its experts a token takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen3_chat.models.errors import ConfigError
from qwen3_chat.models.files import describe, is_integer

MOST_EXPERTS = 4096  # far above any model


@dataclass(frozen=True, slots=True)
class Experts:
    """The experts of every sparse layer; each is an MLP of its own, and a router picks some for every token.

    Attributes:
        count: of a layer.
        per_token: how many a token takes, those that the router finds likeliest.
        intermediate_size: neurons of one.
        normalised: the weights of those taken are scaled to sum to 1.
        dense_layers: layers that have a single MLP instead, ascending.

    Raises:
        ConfigError: a field is out of range.
    """

    count: int
    per_token: int
    intermediate_size: int
    normalised: bool = True
    dense_layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, value, most in (
            ("num_experts", self.count, MOST_EXPERTS),
            ("num_experts_per_tok", self.per_token, self.count),
            ("moe_intermediate_size", self.intermediate_size, 2**31 - 1),
        ):
            if not is_integer(value) or not 1 <= value <= most:
                bound = f"{most} (num_experts)" if name == "num_experts_per_tok" else str(most)
                raise ConfigError(f"{name} is {describe(value)}, expected a whole number from 1 to {bound}")
        if not isinstance(self.normalised, bool):
            raise ConfigError(f"norm_topk_prob is {describe(self.normalised)}, expected true or false")

    @classmethod
    def from_config(cls, data: Mapping[str, Any], layers: int) -> Experts:
        """The experts that a config.json describes, under either name of their number.

        Raises:
            ConfigError: a field is missing, malformed or contradictory.
        """
        count, other = data.get("num_experts"), data.get("num_local_experts")
        if count is not None and other is not None and count != other:
            raise ConfigError(f"num_experts is {describe(count)}, but num_local_experts is {describe(other)}")
        values: dict[str, Any] = {
            "num_experts": other if count is None else count,
            **{name: data.get(name) for name in ("num_experts_per_tok", "moe_intermediate_size")},
        }
        for name, value in values.items():
            if value is None:
                raise ConfigError(f"{name} is missing")
        step = 1 if data.get("decoder_sparse_step") is None else data["decoder_sparse_step"]
        if not is_integer(step) or step < 1:
            raise ConfigError(f"decoder_sparse_step is {describe(step)}, expected a whole number above 0")
        dense = data.get("mlp_only_layers") or []
        if not isinstance(dense, list) or not all(is_integer(layer) and 0 <= layer < layers for layer in dense):
            raise ConfigError(f"mlp_only_layers is {describe(dense)}, expected a list of layers from 0 to {layers - 1}")
        return cls(
            count=values["num_experts"],
            per_token=values["num_experts_per_tok"],
            intermediate_size=values["moe_intermediate_size"],
            normalised=False if data.get("norm_topk_prob") is None else data["norm_topk_prob"],
            dense_layers=tuple(layer for layer in range(layers) if layer in dense or (layer + 1) % step),
        )
