"""Where the time of a step went, measured by every device on itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from qwen3_chat.engine import _core

__all__ = ["DeviceCounts", "Profile", "StepKind"]

StepKind: TypeAlias = Literal["prefill", "decode"]


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """What a GPU did in a step, counted from the shapes of what was launched. All 0 on a CPU."""

    launches: int  # kernels
    collectives: int  # sums over the devices
    bytes: int  # read and written in the device's memory, every operand of a kernel once


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The last timed step of one kind, and the sums over all steps of that kind.

    A step is a prefill when some request had more than one token in it, else a decode. On CPUs all are timed; on GPUs
    every prefill is, and one decode step of many, as time stamps keep it from running as one graph.
    """

    kind: StepKind
    tokens: int  # rows of the last step's batch; 0 = there was no such step yet
    step_ns: int  # wall time of the last step, sampling included
    layer_verbs: tuple[str, ...]
    layer_ns: npt.NDArray[np.int64]  # [devices, layers, layer_verbs] of the last step
    step_verbs: tuple[str, ...]
    device_ns: npt.NDArray[np.int64]  # [devices, step_verbs] of the last step: what no layer owns
    counts: tuple[DeviceCounts, ...]  # one a device, of the last step
    steps: int  # since the engine started or its profile was reset
    total_tokens: int
    total_ns: int
    replayed_steps: int  # decode steps that ran as captured graphs
    probe_share: float  # the probe's own cost as a share of decoding

    @property
    def layers(self) -> int:
        """Layers of the model; 0 before the first step."""
        return int(self.layer_ns.shape[1])

    @property
    def other_ns(self) -> dict[str, int]:
        """What no layer owns, by verb: the slowest device's time, since that is what the step waits for."""
        slowest = self.device_ns.max(axis=0, initial=0)
        return {verb: int(ns) for verb, ns in zip(self.step_verbs, slowest, strict=True)}

    @classmethod
    def from_native(cls, native: _core.Profile, kind: StepKind) -> Profile:
        """The part of the compiled engine's profile that is about one kind of step."""
        decode = kind == "decode"
        step = native.last_decode if decode else native.last_prefill
        return cls(
            kind=kind,
            tokens=step.tokens,
            step_ns=step.step_ns,
            layer_verbs=_core.LAYER_VERBS,
            layer_ns=step.layers(),
            step_verbs=_core.STEP_VERBS,
            device_ns=step.others(),
            counts=tuple(DeviceCounts(count.launches, count.collectives, count.bytes) for count in step.counts),
            steps=native.decode_steps if decode else native.prefill_steps,
            total_tokens=native.decode_tokens if decode else native.prefill_tokens,
            total_ns=native.decode_ns if decode else native.prefill_ns,
            replayed_steps=native.replayed_steps,
            probe_share=native.probe_share,
        )
