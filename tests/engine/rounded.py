"""The reference with the engine's integer weights: what int8 and int4 round, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from dummy_models import Array, DummyModel, Ids
from torch import Tensor

from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.reference import Reference

GROUP = 32
VOCABULARY = ("model.embed_tokens.weight", "lm_head.weight")


class RoundedReference(Reference):
    """Matrices rounded in groups of 32 inputs that share a bfloat16 scale; activations to int8 in the same groups."""

    def __init__(self, config: Qwen3Config, weights: Mapping[str, Tensor], kept: str) -> None:
        super().__init__(config, weights)
        for name, weight in self.weights.items():
            if weight.ndim == 2 and not name.endswith(".mlp.gate.weight"):  # a router stays as it is
                four = kept == "int4" and name not in VOCABULARY
                self.weights[name] = _in_groups(weight, round_int4 if four else round_int8)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return super()._linear(_in_groups(x, round_activations), name)


def rounded_logits(model: DummyModel, ids: Ids, kept: str) -> Array:
    """What the reference says with weights kept as int8 or int4: float32 [n, vocab]."""
    state = {name: torch.from_numpy(array) for name, array in model.tensors.items()}
    return np.asarray(RoundedReference(model.config, state, kept).forward(ids.tolist()), dtype=np.float32)


def round_int8(w: Tensor) -> Tensor:
    """Groups [..., 32]: 127 steps to the largest."""
    scale = (w.abs().amax(-1, keepdim=True) * (1 / 127)).bfloat16().float()
    return scale * (w * _inverse(scale)).round().clamp(-127, 127)


def round_int4(w: Tensor) -> Tensor:
    """Groups [..., 32]: of nine scales the one with the least squared error, each as good as its rounding allows."""
    extreme = w.gather(-1, w.abs().argmax(-1, keepdim=True))
    best_gain = torch.full_like(extreme, -1)
    best = torch.zeros_like(w)
    for levels in (7 + 0.2 * candidate for candidate in range(9)):
        q = (w * torch.where(extreme == 0, 0, -levels / extreme)).round().clamp(-8, 7)
        wq, qq = (w * q).sum(-1, keepdim=True), (q * q).sum(-1, keepdim=True)
        scale = torch.where(qq > 0, wq / qq, 0)
        better = scale * wq > best_gain
        best_gain = torch.where(better, scale * wq, best_gain)
        best = torch.where(better, scale.bfloat16().float() * q, best)
    return best


def round_activations(x: Tensor) -> Tensor:
    """Groups [..., 32]: 127 steps to the largest, the scale in float32."""
    scale = x.abs().amax(-1, keepdim=True) / 127
    return scale * (x * _inverse(scale)).round()


def _inverse(x: Tensor) -> Tensor:
    return torch.where(x == 0, 0, 1 / x)


def _in_groups(x: Tensor, rounding: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply to groups of the last dimension, the last one filled up with zeros."""
    columns = x.shape[-1]
    padded = torch.nn.functional.pad(x, (0, -columns % GROUP))
    rounded = rounding(padded.unflatten(-1, (-1, GROUP))).flatten(-2)
    return rounded[..., :columns]
