"""A picture of the engine at one moment, as plain numbers: what the panel draws and a test can compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import ReplyStats
    from qwen3_chat.engine import Engine

# Where a layer's time goes, as the panel shades it. A verb that is new to the app counts as "other".
_PARTS = {
    "norm_qkv": "attention",
    "qk_norm_rope_append": "attention",
    "attention": "attention",
    "o_residual": "attention",
    "norm_gate_up_silu": "MLP",
    "down_residual": "MLP",
    "all_reduce": "all-reduce",
}
PARTS = ("attention", "MLP", "all-reduce", "other")


@dataclass(frozen=True, slots=True)
class EngineView:
    """Times in ns, sizes in bytes."""

    kv_used: int
    kv_budget: int
    pages_used: int
    pages_total: int
    weights: int
    activations: int
    step_ns: int  # one decode step; 0: none yet
    layers: tuple[tuple[float, ...], ...]  # [layers][len(PARTS)], mean over the devices
    verbs: tuple[tuple[str, float], ...]  # every verb with its ns in the step, layers summed
    stats: ReplyStats | None  # of the newest reply
    speeds: tuple[float, ...]  # tokens/s


def look(engine: Engine, stats: ReplyStats | None, speeds: tuple[float, ...]) -> EngineView:
    """Read memory and the profile of the last decode step."""
    memory = engine.memory()
    profile = engine.profile(kind="decode")
    # Devices run side by side and meet at every all-reduce, so their mean is what a layer takes.
    times = profile.layer_ns.mean(axis=0) if profile.layer_ns.size else []  # [layers, layer_verbs]
    parts = [PARTS.index(_PARTS.get(verb, "other")) for verb in profile.layer_verbs]
    layers = []
    for row in times:
        sums = [0.0] * len(PARTS)
        for part, ns in zip(parts, row, strict=True):
            sums[part] += float(ns)
        layers.append(tuple(sums))
    if not layers and engine.config is not None:
        layers = [(0.0,) * len(PARTS)] * engine.config.num_hidden_layers  # nothing measured yet, but they are there
    per_verb = [(verb, sum(float(row[at]) for row in times)) for at, verb in enumerate(profile.layer_verbs)]
    per_verb += [(verb, float(ns)) for verb, ns in profile.other_ns.items()]
    return EngineView(
        kv_used=memory.kv_used,
        kv_budget=memory.kv_budget,
        pages_used=memory.kv_pages_used,
        pages_total=memory.kv_pages_total,
        weights=memory.weights,
        activations=memory.activations,
        step_ns=int(profile.step_ns),
        layers=tuple(layers),
        verbs=tuple(per_verb),
        stats=stats,
        speeds=speeds,
    )
