"""The reference as a GPU rounds it: bfloat16 weights, and in steps of many rows bfloat16 operands of every product."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from dummy_models import Array, DummyModel, Ids
from torch import Tensor

from qwen3_chat.models.reference import KVCache, Reference


class RoundedCache(KVCache):
    """The reference's cache as bfloat16 pages hold it."""

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return super().append(layer, _round(keys), _round(values))


class RoundedReference(Reference):
    """Rounds what enters a projection, as the tensor cores take it."""

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return super()._linear(_round(x), name)


def in_bf16(model: DummyModel) -> DummyModel:
    """The model with its matrices rounded as a GPU keeps them; norms stay float32."""
    rounded = {
        name: array if array.ndim == 1 else _round(torch.tensor(array)).numpy() for name, array in model.tensors.items()
    }
    return dataclasses.replace(model, tensors=rounded)


def gpu_logits(model: DummyModel, ids: Ids, *, many_rows: bool) -> Array:
    """What a GPU should say, with bfloat16 keys and values: float32 [n, vocab]."""
    state = {name: torch.from_numpy(array) for name, array in in_bf16(model).tensors.items()}
    reference = (RoundedReference if many_rows else Reference)(model.config, state)
    return np.asarray(reference.forward(ids.tolist(), RoundedCache(model.config)), dtype=np.float32)


def _round(x: Tensor) -> Tensor:
    return x.bfloat16().float()
