"""A picture of the engine at one moment, as plain numbers: what the panel draws and a test can compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import ReplyStats
    from qwen3_chat.app.chat.prefix import Prefix, Span
    from qwen3_chat.engine import Engine, Profile

P99 = 0.99


@dataclass(frozen=True, slots=True)
class Segment:
    """One message's place in the KV cache. Tokens."""

    role: str
    reused: int  # found there when the newest reply began
    new: int  # computed since

    @property
    def tokens(self) -> int:
        """Of both kinds."""
        return self.reused + self.new


@dataclass(frozen=True, slots=True)
class KvView:
    """The cache of this conversation, and the pool that all caches share."""

    segments: tuple[Segment, ...]  # by message, from the first
    context: int  # tokens that fit
    prefix: Prefix | None  # what the newest prompt found; None: no prompt yet
    used: int  # bytes, all caches
    budget: int  # bytes
    pages_used: int
    pages_total: int

    @property
    def tokens(self) -> int:
        """Held for this conversation."""
        return sum(segment.tokens for segment in self.segments)

    @property
    def free(self) -> int:
        """Tokens that still fit into the context."""
        return max(0, self.context - self.tokens)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device's part of the last decode step, in ns."""

    name: str
    layers: float
    waiting: float  # of that in all_reduce, where devices wait for each other
    other: float  # what no layer owns


@dataclass(frozen=True, slots=True)
class EngineView:
    """Times in ns, sizes in bytes."""

    kv: KvView
    weights: int
    activations: int
    step_ns: int  # one decode step; 0: none yet
    verbs: tuple[str, ...]  # of a layer
    layers: tuple[tuple[float, ...], ...]  # [layers][verbs], mean over the devices
    others: tuple[tuple[str, float], ...]  # what no layer owns, the slowest device's
    devices: tuple[DeviceView, ...]
    history: tuple[tuple[float, ...], ...]  # [samples][layers]: whole layers, oldest first
    probe_share: float  # of a decode step
    stats: ReplyStats | None  # of the newest reply
    speeds: tuple[float, ...]  # tokens/s
    slowest_ns: float | None  # 99 of 100 decode steps of the newest reply took no longer
    read_speed: float | None  # bytes/s that decoding the newest reply has read
    memory_speed: float | None  # bytes/s that the machine can read; None: not measured yet, or read by a GPU
    on_cpu: bool

    @property
    def layer_totals(self) -> tuple[float, ...]:
        """Every layer's time."""
        return tuple(sum(layer) for layer in self.layers)

    @property
    def verb_totals(self) -> tuple[float, ...]:
        """Every verb's time, all layers together."""
        return tuple(sum(column) for column in zip(*self.layers, strict=True))

    @property
    def memory_share(self) -> float | None:
        """Of the machine's memory speed."""
        if self.read_speed is None or not self.memory_speed:
            return None
        return self.read_speed / self.memory_speed


@dataclass(frozen=True, slots=True)
class ReplyFigures:
    """What the newest reply has told: all of it known, or none."""

    stats: ReplyStats | None = None
    speeds: tuple[float, ...] = ()
    step_ns: tuple[int, ...] = ()  # of its decode steps, the last ones


def look(
    engine: Engine,
    reply: ReplyFigures,
    kv: KvView,
    history: Sequence[tuple[float, ...]] = (),
    memory_speed: float | None = None,
) -> EngineView:
    """Read memory and the profile of the last decode step."""
    memory, profile = engine.memory(), engine.profile(kind="decode")
    layers = layers_of(profile)
    if not layers and engine.config is not None:  # nothing measured yet, but they are there
        layers = ((0.0,) * len(profile.layer_verbs),) * engine.config.num_hidden_layers
    return EngineView(
        kv=kv,
        weights=memory.weights,
        activations=memory.activations,
        step_ns=int(profile.step_ns),
        verbs=tuple(profile.layer_verbs),
        layers=layers,
        others=tuple((verb, float(ns)) for verb, ns in profile.other_ns.items()),
        devices=devices_of(engine.devices, profile),
        history=tuple(history),
        probe_share=profile.probe_share,
        stats=reply.stats,
        speeds=reply.speeds,
        slowest_ns=percentile(reply.step_ns, P99),
        read_speed=read_speed(reply.stats, memory.weights_per_step, memory.kv_bytes_per_token),
        memory_speed=memory_speed,
        on_cpu=on_cpu(engine),
    )


def on_cpu(engine: Engine) -> bool:
    """All of its devices are the machine's own cores."""
    return all(device.startswith("cpu") for device in engine.devices)


def layers_of(profile: Profile) -> tuple[tuple[float, ...], ...]:
    """[layers][verbs] in ns. Devices run side by side and meet at every all-reduce: a layer takes what they mean."""
    if not profile.layer_ns.size:
        return ()
    return tuple(tuple(row) for row in profile.layer_ns.mean(axis=0).tolist())


def devices_of(names: Sequence[str], profile: Profile) -> tuple[DeviceView, ...]:
    """Each device's own part of the step; () before the first."""
    if not profile.layer_ns.size:
        return ()
    per_verb = profile.layer_ns.sum(axis=1)  # [devices, verbs]
    reduces = [at for at, verb in enumerate(profile.layer_verbs) if verb == "all_reduce"]
    return tuple(
        DeviceView(name, float(verbs.sum()), float(verbs[reduces].sum()), float(others.sum()))
        for name, verbs, others in zip(names, per_verb, profile.device_ns, strict=True)
    )


def read_speed(stats: ReplyStats | None, weights_per_step: int, kv_bytes_per_token: int) -> float | None:
    """Bytes a second that decoding reads: the weights once a token, and the keys and values of all before it."""
    if stats is None or stats.tokens_per_s is None:
        return None
    depth = stats.prompt_tokens + stats.new_tokens / 2  # on average
    return stats.tokens_per_s * (weights_per_step + depth * kv_bytes_per_token)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so many do not exceed (nearest rank); None without values."""
    ordered = sorted(values)
    return float(ordered[max(0, math.ceil(share * len(ordered)) - 1)]) if ordered else None


def segments_of(messages: Sequence[Span], reused: int) -> tuple[Segment, ...]:
    """How much of every message was found in the cache, if the first `reused` tokens were."""
    return tuple(
        Segment(span.role, min(max(0, reused - span.start), span.tokens), min(max(0, span.stop - reused), span.tokens))
        for span in messages
    )
