"""The reference as a GPU rounds it: bfloat16 weights, keys and values, and bfloat16 operands of the tensor cores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import torch
from dummy_models import Array, DummyModel, Ids
from torch import Tensor

from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.reference import KVCache, Reference, rotate


class RoundedCache(KVCache):
    """The reference's cache as bfloat16 pages hold it."""

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return super().append(layer, _round(keys), _round(values))


class RoundedReference(Reference):
    """Rounds what the tensor cores take: in projections of steps with many rows, in attention of several tokens."""

    def __init__(
        self, config: Qwen3Config, weights: Mapping[str, Tensor], *, projections: bool, attention: bool
    ) -> None:
        super().__init__(config, weights)
        self.projections, self.attention = projections, attention

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return super()._linear(_round(x) if self.projections else x, name)

    def _attention(self, layer: int, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache) -> Tensor:
        if not self.attention:
            return super()._attention(layer, x, cos, sin, cache)
        prefix = f"model.layers.{layer}.self_attn."
        n, dh = x.shape[0], self.config.head_dim
        nh, nkvh = self.config.num_attention_heads, self.config.num_key_value_heads
        q = self._norm(self._linear(x, prefix + "q_proj").view(n, nh, dh), prefix + "q_norm")
        k = self._norm(self._linear(x, prefix + "k_proj").view(n, nkvh, dh), prefix + "k_norm")
        v = self._linear(x, prefix + "v_proj").view(n, nkvh, dh)
        keys, values = cache.append(layer, rotate(k, cos, sin), v)
        keys = keys.repeat_interleave(nh // nkvh, dim=1)
        values = values.repeat_interleave(nh // nkvh, dim=1)

        # Powers of two, so that the scale goes into the queries; weights are rounded after their sum is taken.
        queries = _round(rotate(q, cos, sin) * (math.log2(math.e) * dh**-0.5))
        scores = torch.einsum("qhd,khd->hqk", queries, keys)
        seen = torch.ones(n, keys.shape[0], dtype=torch.bool).tril(keys.shape[0] - n)
        scores = scores.masked_fill(~seen, float("-inf"))
        weights = (scores - scores.amax(-1, keepdim=True)).exp2()
        out = torch.einsum("hqk,khd->qhd", _round(weights), values) / weights.sum(-1).T[..., None]
        return self._linear(out.reshape(n, nh * dh), prefix + "o_proj")


def in_bf16(model: DummyModel) -> DummyModel:
    """The model with its matrices rounded as a GPU keeps them; norms stay float32."""
    rounded = {
        name: array if array.ndim == 1 else _round(torch.tensor(array)).numpy() for name, array in model.tensors.items()
    }
    return dataclasses.replace(model, tensors=rounded)


def gpu_logits(model: DummyModel, ids: Ids, *, projections: bool, attention: bool) -> Array:
    """What a GPU should say, the tensor cores used for what is True: float32 [n, vocab]."""
    state = {name: torch.from_numpy(array) for name, array in in_bf16(model).tensors.items()}
    reference = RoundedReference(model.config, state, projections=projections, attention=attention)
    return np.asarray(reference.forward(ids.tolist(), RoundedCache(model.config)), dtype=np.float32)


def prefill_logits(model: DummyModel, ids: Ids) -> Array:
    """Of a prompt in steps of more than 8 rows."""
    return gpu_logits(model, ids, projections=True, attention=True)


def decode_logits(model: DummyModel, ids: Ids) -> Array:
    """Of tokens one by one, with few companions: nothing is rounded but weights, keys and values."""
    return gpu_logits(model, ids, projections=False, attention=False)


def _round(x: Tensor) -> Tensor:
    return x.bfloat16().float()
