"""Qwen3 in plain PyTorch, float32: the specification in code, and the oracle of the tests.

Written to be read beside the engine's forward pass, not to be fast. Shapes: n new tokens, t tokens in the cache before
them, h = hidden_size, dh = head_dim, nh query heads, nkvh KV heads, di = intermediate_size (moe_intermediate_size of an
expert), E experts of which a token takes k, V = vocab_size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.rope_scaling import YarnScaling


class KVCache:
    """Rotated keys and values of the tokens seen so far, per layer [t, nkvh, dh]."""

    def __init__(self, config: Qwen3Config) -> None:
        empty = torch.empty(0, config.num_key_value_heads, config.head_dim)
        self.keys = [empty] * config.num_hidden_layers
        self.values = [empty] * config.num_hidden_layers

    def __len__(self) -> int:
        return self.keys[0].shape[0]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add n tokens to a layer; return all of its keys and values, [t + n, nkvh, dh]."""
        self.keys[layer] = torch.cat((self.keys[layer], keys))
        self.values[layer] = torch.cat((self.values[layer], values))
        return self.keys[layer], self.values[layer]

    def truncate(self, length: int) -> None:
        """Keep the first `length` tokens."""
        self.keys = [keys[:length] for keys in self.keys]
        self.values = [values[:length] for values in self.values]

    def fork(self) -> KVCache:
        """A cache of the same tokens that goes its own way."""
        copy = KVCache.__new__(KVCache)
        copy.keys, copy.values = list(self.keys), list(self.values)
        return copy


class Reference:
    """A Qwen3 model.

    Attributes:
        config: its shape.
        weights: float32 tensors by the name they have in a checkpoint, "model.embed_tokens.weight" and so on.
    """

    def __init__(self, config: Qwen3Config, weights: Mapping[str, Tensor]) -> None:
        self.config = config
        self.weights = {name: tensor.to(torch.float32) for name, tensor in weights.items()}

    @classmethod
    def from_checkpoint(cls, checkpoint: str | Path | Checkpoint) -> Reference:
        """Read a checkpoint, bfloat16 and float16 weights widened to float32.

        Raises:
            ConfigError, CheckpointError: as `Checkpoint.open`.
        """
        if isinstance(checkpoint, Checkpoint):
            weights = {raw.name: torch.from_numpy(raw.float32()) for raw in checkpoint.tensors()}
            return cls(checkpoint.config, weights)
        with Checkpoint.open(checkpoint) as opened:
            return cls.from_checkpoint(opened)

    @torch.no_grad()
    def forward(self, ids: Sequence[int], cache: KVCache | None = None) -> Tensor:
        """Logits [n, V] for the token after each of `ids`.

        Args:
            ids: n token ids.
            cache: the tokens before them; `ids` are appended to it. None: they are the first.
        """
        cache = KVCache(self.config) if cache is None else cache
        positions = torch.arange(len(cache), len(cache) + len(ids))
        cos, sin = rotary_tables(positions, self.config.head_dim, self.config.rope_theta, self.config.rope_scaling)
        x = self.weights["model.embed_tokens.weight"][torch.tensor(ids)]  # [n, h]
        for layer in range(self.config.num_hidden_layers):
            x = x + self._attention(layer, self._norm(x, f"model.layers.{layer}.input_layernorm"), cos, sin, cache)
            mlp = self._experts if self.config.is_sparse(layer) else self._mlp
            x = x + mlp(f"model.layers.{layer}.mlp.", self._norm(x, f"model.layers.{layer}.post_attention_layernorm"))
        x = self._norm(x, "model.norm")
        head = "model.embed_tokens" if self.config.tie_word_embeddings else "lm_head"
        return self._linear(x, head)

    def _attention(self, layer: int, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache) -> Tensor:
        """Grouped-query attention of [n, h] over the cache and themselves -> [n, h]."""
        prefix = f"model.layers.{layer}.self_attn."
        n, dh = x.shape[0], self.config.head_dim
        nh, nkvh = self.config.num_attention_heads, self.config.num_key_value_heads

        # Every head's query and key is normalised over its own dh, and only then rotated.
        q = self._norm(self._linear(x, prefix + "q_proj").view(n, nh, dh), prefix + "q_norm")
        k = self._norm(self._linear(x, prefix + "k_proj").view(n, nkvh, dh), prefix + "k_norm")
        v = self._linear(x, prefix + "v_proj").view(n, nkvh, dh)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)

        keys, values = cache.append(layer, k, v)  # [t + n, nkvh, dh]
        keys = keys.repeat_interleave(nh // nkvh, dim=1)  # query head i reads KV head i // (nh / nkvh)
        values = values.repeat_interleave(nh // nkvh, dim=1)

        scores = torch.einsum("qhd,khd->hqk", q, keys) * dh**-0.5  # [nh, n, t + n]
        seen = torch.ones(n, keys.shape[0], dtype=torch.bool).tril(keys.shape[0] - n)
        probabilities = scores.masked_fill(~seen, float("-inf")).softmax(dim=-1)
        out = torch.einsum("hqk,khd->qhd", probabilities, values)
        return self._linear(out.reshape(n, nh * dh), prefix + "o_proj")

    def _mlp(self, prefix: str, x: Tensor) -> Tensor:
        """SwiGLU: [n, h] -> [n, di] -> [n, h]."""
        gate = torch.nn.functional.silu(self._linear(x, prefix + "gate_proj"))
        return self._linear(gate * self._linear(x, prefix + "up_proj"), prefix + "down_proj")

    def _experts(self, prefix: str, x: Tensor) -> Tensor:
        """Of every token the k likeliest experts' MLPs, weighted: [n, h] -> [n, h]."""
        experts = self.config.experts
        assert experts is not None
        probabilities = self._route(x, prefix + "gate").softmax(dim=-1)  # over all experts, [n, E]
        weights, chosen = probabilities.topk(experts.per_token)  # [n, k]
        if experts.normalised:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(x)
        for expert in sorted(set(chosen.flatten().tolist())):
            token, place = torch.where(chosen == expert)
            out[token] += weights[token, place, None] * self._mlp(f"{prefix}experts.{expert}.", x[token])
        return out

    def _route(self, x: Tensor, name: str) -> Tensor:
        """The router's logits, always of unrounded activations."""
        return x @ self.weights[name + ".weight"].T

    def _norm(self, x: Tensor, name: str) -> Tensor:
        """RMSNorm over the last dimension (https://arxiv.org/abs/1910.07467)."""
        mean_square = x.pow(2).mean(dim=-1, keepdim=True)
        return self.weights[name + ".weight"] * (x * torch.rsqrt(mean_square + self.config.rms_norm_eps))

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.weights[name + ".weight"].T  # stored [out, in]


def rotary_tables(
    positions: Tensor, head_dim: int, theta: float, scaling: YarnScaling | None = None
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotation angles, each [n, dh / 2] (https://arxiv.org/abs/2104.09864)."""
    frequencies = 1.0 / theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    magnitude = 1.0
    if scaling is not None:  # slow ones are divided by the factor, fast ones kept
        low, high = scaling.ramp(head_dim, theta)
        slow = ((torch.arange(head_dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
        frequencies = frequencies / scaling.factor * slow + frequencies * (1 - slow)
        magnitude = scaling.magnitude
    angles = positions.to(torch.float32)[:, None] * frequencies
    return angles.cos() * magnitude, angles.sin() * magnitude


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on [n, heads, dh]: element i of the first half is paired with element i of the second (NeoX)."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]  # the same for every head
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
