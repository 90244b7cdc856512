"""What the command line asked for, as values. None means "not said": the checkpoint or the mode decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qwen3_chat.app.chat.hub import HubName

__all__ = ["ChatOptions", "EngineOptions", "KVType", "SamplingOptions", "WeightsType"]

WeightsType = Literal["auto", "f32", "f16", "bf16", "int8", "int4"]
KVType = Literal["auto", "f32", "bf16"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a checkpoint is loaded. Field by field the flags of the same names."""

    devices: str = "auto"  # "auto" or a comma-separated list such as "cpu:0,cpu:1"
    weights: WeightsType = "auto"
    kv: KVType = "auto"
    context: int | None = None  # tokens; None: the most that the model and the memory allow
    threads: int | None = None  # in all, over all CPU devices; None: every allowed physical core


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling flags as given. `sampling.resolve` fills what was left open."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None  # None: a new one is drawn for every reply
    max_tokens: int | None = None  # new tokens of one reply; None: up to the context's end
    thinking_budget: int | None = None  # tokens of thinking, after which the answer is begun; None: as the model likes


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Everything that an interface (full screen, line mode, one shot) needs to start.

    `model` exists and looks like a checkpoint: `model.preflight` has seen it before any screen opens. Or it is a model
    of the hub, which is downloaded before it is loaded.
    """

    model: Path | HubName
    engine: EngineOptions = field(default_factory=EngineOptions)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    thinking: bool | None = None  # --think / --no-think; None: think if the template can
    system: str | None = None
    is_demo: bool = False  # `model` is the bundled demo checkpoint
    continue_last: bool = False  # -c: go on with the chat that was used last
    resume: str | None = None  # -r: go on with the chat whose id begins so
    save: bool = True  # False: --no-save, nothing of this run is kept
    verbose: bool = False
    debug: bool = False  # show tracebacks
