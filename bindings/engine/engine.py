"""A loaded model: forward passes, explicit steps, and replies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from qwen3_chat.engine import _core
from qwen3_chat.engine.arguments import Ids, device_list, integer, token_ids
from qwen3_chat.engine.errors import ConfigError, EngineError
from qwen3_chat.engine.generation import Generation
from qwen3_chat.engine.kv_cache import KVCache
from qwen3_chat.engine.meta import Qwen3Meta
from qwen3_chat.engine.profile import Profile, StepKind
from qwen3_chat.engine.sampling import SamplingParams
from qwen3_chat.engine.weights import QuantizedTensor, Qwen3Weights, set_encoded

if TYPE_CHECKING:
    from qwen3_chat.models.config import Qwen3Config

__all__ = ["Engine", "Memory", "Progress", "StepRequest", "default_devices", "gpu_obstacle", "why_no_gpu"]

Logits: TypeAlias = npt.NDArray[np.float32]
ProgressCallback: TypeAlias = "Callable[[Progress], bool | None]"
LogitsRows: TypeAlias = Literal["last", "all", "none"]
WeightsOption: TypeAlias = Literal["auto", "f32", "f16", "bf16", "int8", "int4"]
KVOption: TypeAlias = Literal["auto", "f32", "bf16"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load has come."""

    stage: str  # "map", "repack" or "warm-up"
    done: int  # bytes
    total: int  # bytes


@dataclass(frozen=True, slots=True)
class Memory:
    """What the engine holds. Bytes, over all devices, unless said otherwise."""

    weights: int
    weights_per_step: (
        int  # what a step of one token reads: not an embedding table apart from the head, nor idle experts
    )
    activations: int
    kv_used: int
    kv_budget: int
    kv_pages_used: int  # pages
    kv_pages_total: int  # pages
    page_tokens: int  # tokens a page holds
    kv_bytes_per_token: int


@dataclass(frozen=True, slots=True, eq=False)
class StepRequest:
    """One row group of an explicit batch: tokens to append to a cache, and which logits to return."""

    tokens: Ids
    cache: KVCache
    logits: LogitsRows = "last"


class Engine:
    """A model sharded over devices, with its own thread, request queue and KV pages.

    Made by `Engine.load` or `Engine.from_weights`. Close it, or use `with`, to give the memory back.
    """

    def __init__(self, native: _core.Engine, meta: Qwen3Meta, config: Qwen3Config | None, load_seconds: float) -> None:
        """Wrap what the compiled engine made; `load` and `from_weights` call this."""
        self._native = native
        self._meta = meta
        self._config = config
        self._load_seconds = load_seconds

    @classmethod
    def load(
        cls,
        path: Path | str,
        devices: str | Sequence[str] = "auto",
        weights: WeightsOption = "auto",
        kv: KVOption = "auto",
        context: int | None = None,
        threads: int | None = None,
        kv_budget: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> Engine:
        """Load a checkpoint folder or a GGUF file. Blocks, without holding the interpreter.

        Args:
            devices: "auto" (`default_devices`), "cuda:0,cuda:1", "cpu:0" or a list of such names; one share of the
                model each. GPUs and CPUs do not mix.
            weights: the type the weights are kept in; "auto" is the file's own, for quantized files the integers that
                each matrix comes closest to, and on GPUs always bf16.
            kv: the type of keys and values; "auto" is f32 for f32 weights, else bf16.
            context: tokens that prompt and reply may take together; None is the checkpoint's own limit. More than
                that, up to four times the context of its training, stretches the rotary frequencies by YaRN.
            threads: over all CPU devices together; None is every physical core this process may use.
            kv_budget: bytes for keys and values; None is half the free memory, at most four contexts.
            progress: called from this call with a Progress; returning False cancels the load.

        Raises ConfigError, CheckpointError, DeviceError, OutOfMemory, Cancelled, and what `progress` raises.
        """
        from qwen3_chat.models.checkpoint import Checkpoint
        from qwen3_chat.models.tensors import RawTensor

        began = time.perf_counter()
        with Checkpoint.open(path) as checkpoint:
            config = checkpoint.config
            if context is not None:
                config = config.for_context(integer(context, "context", 1, 2**31 - 1))
            meta = Qwen3Meta.from_config(config)
            views = _core.Weights(meta.nlayer, meta.expert_count)
            for slot, index, raw in checkpoint.weights():
                if isinstance(raw, RawTensor):
                    views.set(slot, index, raw.data, raw.dtype.lower(), list(raw.shape), raw.mapped)
                else:
                    set_encoded(views, slot, index, QuantizedTensor.of(raw), mapped=True)
            native = _create(meta, views, devices, weights, kv, context, threads, kv_budget, progress)
            del views, raw  # they look into the mapped file, which closes now
        return cls(native, meta, config, time.perf_counter() - began)

    @classmethod
    def from_weights(
        cls,
        meta: Qwen3Meta,
        weights: Qwen3Weights,
        devices: str | Sequence[str] = "auto",
        *,
        weights_dtype: WeightsOption = "auto",
        kv: KVOption = "auto",
        context: int | None = None,
        threads: int | None = None,
        kv_budget: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> Engine:
        """A model from arrays in memory, read in place; they may be freed afterwards. Arguments as in `load`."""
        began = time.perf_counter()
        views = weights.native(meta.nlayer, meta.expert_count)
        native = _create(meta, views, devices, weights_dtype, kv, context, threads, kv_budget, progress)
        return cls(native, meta, None, time.perf_counter() - began)

    @property
    def meta(self) -> Qwen3Meta:
        """The model's shape."""
        return self._meta

    @property
    def config(self) -> Qwen3Config | None:
        """The checkpoint's config.json; None for weights from memory."""
        return self._config

    @property
    def load_seconds(self) -> float:
        """How long loading took."""
        return self._load_seconds

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may take together."""
        return self._native.context()

    @property
    def devices(self) -> tuple[str, ...]:
        """One name a shard."""
        return tuple(self._native.devices())

    @property
    def weights(self) -> str:
        """The type that most of the weights are kept in: f32, f16, bf16, int8 or int4."""
        return self._native.weights_dtype()

    @property
    def kv(self) -> str:
        """The type of keys and values: f32 or bf16."""
        return self._native.kv_dtype()

    @property
    def threads(self) -> int:
        """Compute threads over all CPU devices."""
        return self._native.threads()

    @property
    def isa(self) -> str:
        """The instruction set that the kernels run on: avx512, sm_90 or such."""
        return self._native.isa()

    def new_cache(self) -> KVCache:
        """An empty KV cache. It takes memory as it fills, page by page."""
        return self._native.new_cache()

    def forward(self, ids: Ids) -> Logits:
        """Logits of every position of `ids`, on a cache of its own: float32 [n, vocab]. Blocks."""
        return self._native.forward(token_ids(ids))

    def step(self, requests: Sequence[StepRequest]) -> list[Logits | None]:
        """One ragged batch: append each request's tokens to its cache. Blocks.

        Returns, for each request, float32 logits: [vocab] after its last token, [n, vocab] for all of them, or None.
        All or nothing: on an error no cache has changed. A cache may appear once.
        """
        for request in requests:
            if request.logits not in _ROWS:
                raise ConfigError(f"logits = {request.logits!r}: expected last, all or none")
            if not isinstance(request.cache, KVCache):
                raise ConfigError(f"cache = {request.cache!r}: expected one made by new_cache()")
        return self._native.step(
            [token_ids(request.tokens, "tokens") for request in requests],
            [request.cache for request in requests],
            [_ROWS[request.logits] for request in requests],
        )

    def generate(
        self,
        ids: Ids,
        cache: KVCache | None = None,
        sampling: SamplingParams | None = None,
        *,
        background: bool = False,
    ) -> Generation:
        """Queue a reply to the context `ids` and return at once.

        What `cache` already holds of `ids` is reused, the rest of it forgotten; None is a fresh cache. A background
        reply runs only while no other does. `sampling` is `SamplingParams()` by default.

        Raises ConfigError (an id outside the vocabulary), ContextOverflow (no room for a new token), EngineError (the
        cache belongs to a reply that still runs), DeviceError (closed).
        """
        if cache is None:
            cache = self.new_cache()
        elif cache.busy:
            raise EngineError("the cache belongs to a reply that still runs: wait for it, cancel it, or fork the cache")
        sampling = sampling or SamplingParams()
        native = self._native.generate(token_ids(ids), cache, sampling.native(), background)
        return Generation(native, cache)

    def sample(self, logits: Logits, sampling: SamplingParams, context: Ids = (), prompt_tokens: int = 0) -> int:
        """Draw one token from logits [vocab] exactly as a reply would whose context is `context` so far.

        The first `prompt_tokens` of the context are the prompt, the others the reply.
        """
        row = np.ascontiguousarray(logits, dtype=np.float32)
        if row.ndim != 1:
            raise ConfigError(f"logits: expected one row, got {row.ndim} axes")
        ids = token_ids(context, "context")
        return self._native.sample(row, sampling.native(), ids, integer(prompt_tokens, "prompt_tokens", 0, len(ids)))

    def memory(self) -> Memory:
        """What the engine holds right now."""
        native = self._native.memory()
        return Memory(
            weights=native.weights,
            weights_per_step=native.weights_per_step,
            activations=native.activations,
            kv_used=native.kv_used,
            kv_budget=native.kv_budget,
            kv_pages_used=native.kv_pages_used,
            kv_pages_total=native.kv_pages_total,
            page_tokens=_core.PAGE_TOKENS,
            kv_bytes_per_token=native.kv_bytes_per_token,
        )

    def profile(self, reset: bool = False, kind: StepKind = "decode") -> Profile:
        """Where the time of the last step of this kind went. `reset` then starts all counts anew."""
        if kind not in ("prefill", "decode"):
            raise ConfigError(f"kind = {kind!r}: expected prefill or decode")
        profile = Profile.from_native(self._native.profile(), kind, self._meta.expert_count)
        if reset:
            self._native.reset_profile()
        return profile

    def close(self) -> None:
        """Cancel what runs, stop the threads and free the memory. Later calls raise DeviceError. Blocks."""
        self._native.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


def default_devices(query_heads: int, threads: int | None = None, *, gpus: bool = True) -> tuple[str, ...]:
    """The devices that "auto" stands for: every GPU; where there is none, one CPU device a NUMA node.

    No more than there are query heads, or on CPUs threads. `gpus`: False where `gpu_obstacle` keeps a model from them.
    """
    heads = integer(query_heads, "query_heads", 1, 2**31 - 1)
    return tuple(_core.default_devices(heads, _threads(threads), gpus))


def why_no_gpu() -> str | None:
    """What keeps this machine from GPUs, and what to do about it. None: it has some."""
    return _core.why_no_gpu()


def gpu_obstacle(meta: Qwen3Meta, weights: WeightsOption = "auto") -> str | None:
    """What keeps such a model, with its weights kept so, from any GPU. None: nothing."""
    return _core.gpu_obstacle(meta.native(), None if weights == "auto" else weights)


def _threads(threads: int | None) -> int:
    """As the compiled engine takes it: 0 is every core."""
    return 0 if threads is None else integer(threads, "threads", 1, 4096)


_ROWS = {"none": _core.LogitsRows.none, "last": _core.LogitsRows.last, "all": _core.LogitsRows.all}


def _create(
    meta: Qwen3Meta,
    views: _core.Weights,
    devices: str | Sequence[str],
    weights: str,
    kv: str,
    context: int | None,
    threads: int | None,
    kv_budget: int | None,
    progress: ProgressCallback | None,
) -> _core.Engine:
    def report(stage: str, done: int, total: int) -> bool | None:
        return progress(Progress(stage, done, total)) if progress else None

    return _core.Engine.create(
        meta.native(),
        views,
        devices=device_list(devices),
        weights_dtype=None if weights == "auto" else weights,
        kv_dtype=None if kv == "auto" else kv,
        context=0 if context is None else integer(context, "context", 1, 2**31 - 1),
        threads=_threads(threads),
        kv_budget=0 if kv_budget is None else integer(kv_budget, "kv_budget", 1, 2**63 - 1),
        progress=report if progress else None,
    )
