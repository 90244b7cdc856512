"""Qwen3 for training on a CPU: the matrices that read the same input are one, and every norm is one kernel.

On small matrices and a busy machine this is several times as fast as transformers' own modules.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (the name the field uses)
from torch import Tensor, nn

__all__ = ["Network"]

EPSILON = 1e-6


class _Layer(nn.Module):
    def __init__(self, hidden: int, intermediate: int, heads: int, kv_heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.norm_in = nn.Parameter(torch.ones(hidden))
        self.norm_q = nn.Parameter(torch.ones(head_dim))
        self.norm_k = nn.Parameter(torch.ones(head_dim))
        self.norm_mlp = nn.Parameter(torch.ones(hidden))
        self.qkv = _matrix((heads + 2 * kv_heads) * head_dim, hidden)
        self.o = _matrix(hidden, heads * head_dim)
        self.gate_up = _matrix(2 * intermediate, hidden)
        self.down = _matrix(hidden, intermediate)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # x [batch, length, hidden]
        batch, length, _ = x.shape
        qkv = F.linear(_normed(x, self.norm_in), self.qkv).view(batch, length, -1, self.head_dim)
        q, k, v = torch.split(qkv, [self.heads, self.kv_heads, self.kv_heads], 2)  # [batch, length, heads, head_dim]
        q, k = _turned(_normed(q, self.norm_q), cos, sin), _turned(_normed(k, self.norm_k), cos, sin)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + F.linear(mixed.transpose(1, 2).reshape(batch, length, -1), self.o)
        gate, up = F.linear(_normed(x, self.norm_mlp), self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)

    def weights(self) -> dict[str, Tensor]:
        q, k, v = torch.split(self.qkv, [count * self.head_dim for count in (self.heads, self.kv_heads, self.kv_heads)])
        gate, up = self.gate_up.chunk(2)
        return {
            "input_layernorm.weight": self.norm_in,
            "self_attn.q_proj.weight": q,
            "self_attn.k_proj.weight": k,
            "self_attn.v_proj.weight": v,
            "self_attn.q_norm.weight": self.norm_q,
            "self_attn.k_norm.weight": self.norm_k,
            "self_attn.o_proj.weight": self.o,
            "post_attention_layernorm.weight": self.norm_mlp,
            "mlp.gate_proj.weight": gate,
            "mlp.up_proj.weight": up,
            "mlp.down_proj.weight": self.down,
        }


class Network(nn.Module):
    """A dense Qwen3 whose head is its embedding."""

    def __init__(
        self,
        *,
        vocab: int,
        hidden: int,
        layers: int,
        intermediate: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        theta: float,
        longest: int,
    ) -> None:
        """`longest`: tokens of a sequence; `theta` is RoPE's base."""
        super().__init__()
        self.embedding = _matrix(vocab, hidden)
        self.layers = nn.ModuleList(_Layer(hidden, intermediate, heads, kv_heads, head_dim) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(hidden))
        angles = torch.outer(torch.arange(longest), theta ** (-torch.arange(0, head_dim, 2) / head_dim))
        self.cos, self.sin = angles.cos()[:, None], angles.sin()[:, None]  # [longest, 1, head_dim / 2]

    def forward(self, ids: Tensor) -> Tensor:
        """Ids [batch, length] to hidden states after the last norm [batch, length, hidden]."""
        x = F.embedding(ids, self.embedding)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return _normed(x, self.norm)

    def weights(self) -> dict[str, Tensor]:
        """The tensors under the names that a checkpoint has, in bf16."""
        named: dict[str, Tensor] = {"model.embed_tokens.weight": self.embedding, "model.norm.weight": self.norm}
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, _Layer)
            named |= {f"model.layers.{index}.{name}": tensor for name, tensor in layer.weights().items()}
        return {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in named.items()}


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * 0.03)


def _normed(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, weight.shape, weight, EPSILON)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on halves, as Qwen3 has it."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
