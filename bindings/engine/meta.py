"""The shape of a Qwen3 model, under the names of the original API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwen3_chat.engine import _core
from qwen3_chat.engine.arguments import integer, real, token_ids
from qwen3_chat.models.experts import Experts
from qwen3_chat.models.rope_scaling import YarnScaling

if TYPE_CHECKING:
    from qwen3_chat.models.config import Qwen3Config

__all__ = ["Qwen3Meta"]

_SIZES = ("nlayer", "d", "nh", "nkvh", "dh", "di", "dctx", "dvoc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Qwen3Meta:
    """The shape of a Qwen3 model. Raises ConfigError naming the field that is wrong."""

    nlayer: int  # transformer layers
    d: int  # hidden size
    nh: int  # query heads
    nkvh: int  # key / value heads; divides nh
    dh: int  # head dimension, of its own: never d / nh
    di: int  # intermediate size of the MLP of a layer without experts
    dctx: int  # longest context the model was made for, tokens
    dvoc: int  # vocabulary size, padding rows included
    epsilon: float = 1e-6
    theta: float = 1e6  # RoPE base
    end_tokens: Sequence[int] = ()
    tie_embd: bool = False  # the head is input_embd
    yarn: YarnScaling | None = None  # of the rotary frequencies
    experts: Experts | None = None  # None: a dense model

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "end_tokens", tuple(token_ids(self.end_tokens, "end_tokens").tolist()))
        self.native().validate()

    @classmethod
    def from_config(cls, config: Qwen3Config) -> Qwen3Meta:
        """The shape that a checkpoint's config.json describes."""
        return cls(
            nlayer=config.num_hidden_layers,
            d=config.hidden_size,
            nh=config.num_attention_heads,
            nkvh=config.num_key_value_heads,
            dh=config.head_dim,
            di=config.intermediate_size,
            dctx=config.longest_context,
            dvoc=config.vocab_size,
            epsilon=config.rms_norm_eps,
            theta=config.rope_theta,
            end_tokens=config.eos_token_ids,
            tie_embd=config.tie_word_embeddings,
            yarn=config.rope_scaling,
            experts=config.experts,
        )

    @property
    def expert_count(self) -> int:
        """Experts of a sparse layer; 0 for a dense model."""
        return self.experts.count if self.experts else 0

    @property
    def sparse_layers(self) -> int:
        """Layers that have experts."""
        return self.nlayer - len(self.experts.dense_layers) if self.experts else 0

    def native(self) -> _core.Meta:
        """The same for the compiled engine."""
        nlayer, d, nh, nkvh, dh, di, dctx, dvoc = (integer(getattr(self, name), name, 1, 2**31 - 1) for name in _SIZES)
        return _core.Meta(
            nlayer=nlayer,
            d=d,
            nh=nh,
            nkvh=nkvh,
            dh=dh,
            di=di,
            dctx=dctx,
            dvoc=dvoc,
            epsilon=real(self.epsilon, "epsilon"),
            theta=real(self.theta, "theta"),
            end_tokens=list(self.end_tokens),
            tie_embd=bool(self.tie_embd),
            yarn=self._native_yarn(),
            experts=self._native_experts(),
        )

    def _native_yarn(self) -> _core.YarnScaling:
        yarn = self.yarn or YarnScaling(1.0, 1)
        return _core.YarnScaling(
            factor=real(yarn.factor, "yarn.factor"),
            original_dctx=integer(yarn.original_max_position_embeddings, "yarn.original_dctx", 1, 2**31 - 1),
            beta_fast=real(yarn.beta_fast, "yarn.beta_fast"),
            beta_slow=real(yarn.beta_slow, "yarn.beta_slow"),
            attention_factor=real(yarn.attention_factor or 0.0, "yarn.attention_factor"),
        )

    def _native_experts(self) -> _core.Experts:
        experts = self.experts
        return _core.Experts(
            count=experts.count if experts else 0,
            per_token=experts.per_token if experts else 0,
            di=experts.intermediate_size if experts else 0,
            normalised=experts is None or experts.normalised,
            dense_layers=experts.dense_layers if experts else (),
        )
