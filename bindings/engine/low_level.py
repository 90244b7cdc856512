"""The original API, kept alive over the engine: functions over Qwen3Meta and Qwen3Weights.

`include/qwen3/c_api.h` is the same for C. Errors are exceptions here, and status codes there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qwen3_chat.engine.arguments import Ids, token_ids
from qwen3_chat.engine.engine import Engine, KVOption, LogitsRows, StepRequest
from qwen3_chat.engine.errors import ConfigError
from qwen3_chat.engine.kv_cache import KVCache
from qwen3_chat.engine.meta import Qwen3Meta
from qwen3_chat.engine.sampling import SamplingParams
from qwen3_chat.engine.weights import HostTensor, Qwen3Weights

__all__ = [
    "HostTensor",
    "Qwen3Meta",
    "Qwen3Weights",
    "create_qwen3_kv_cache",
    "create_qwen3_model",
    "destroy_qwen3_model",
    "drop_qwen3_kv_cache",
    "duplicate_qwen3_kv_cache",
    "forward_qwen3_batch",
    "infer_qwen3_batch",
]


def create_qwen3_model(
    meta: Qwen3Meta,
    weights: Qwen3Weights,
    device: str = "cpu",
    dev_ids: Sequence[int] = (0,),
    *,
    dt_logits: KVOption = "auto",
) -> Engine:
    """A model sharded over the devices `device:id`. `dt_logits` is the type of the KV cache."""
    return Engine.from_weights(meta, weights, [f"{device}:{index}" for index in dev_ids], kv=dt_logits)


def destroy_qwen3_model(model: Engine) -> None:
    """Free the model. Its caches cannot be used afterwards."""
    model.close()


def create_qwen3_kv_cache(model: Engine) -> KVCache:
    """An empty cache."""
    return model.new_cache()


def duplicate_qwen3_kv_cache(model: Engine, cache: KVCache, seq_len: int) -> KVCache:
    """The first `seq_len` tokens of a cache, sharing pages copy-on-write."""
    return cache.fork(seq_len)


def drop_qwen3_kv_cache(model: Engine, cache: KVCache) -> None:
    """Give the cache's pages back now; the object is an empty cache afterwards."""
    cache.truncate(0)


def infer_qwen3_batch(
    model: Engine,
    tokens: Ids,
    req_lens: Sequence[int],
    req_pos: Sequence[int],
    kv_caches: Sequence[KVCache],
    temperature: Sequence[float],
    topk: Sequence[int],
    topp: Sequence[float],
    seed: Sequence[int],
) -> list[int]:
    """One ragged step, prefill and decode mixed; returns the token drawn for each request.

    Args:
        tokens: [ntok] the requests' ids, one request after the other.
        req_lens: [nreq] how many of them belong to each request.
        req_pos: [nreq] where they begin in each cache; what lies behind is forgotten, a hole is a ConfigError.
        kv_caches: [nreq] each at most once.
        temperature, topk, topp, seed: [nreq] as in SamplingParams.
    """
    nreq = len(req_lens)
    for name, column in (("temperature", temperature), ("topk", topk), ("topp", topp), ("seed", seed)):
        _expect_length(name, column, nreq)
    sampling = [
        SamplingParams(temperature=t, top_k=k, top_p=p, seed=s)
        for t, k, p, s in zip(temperature, topk, topp, seed, strict=True)
    ]
    rows = _step(model, tokens, req_lens, req_pos, kv_caches, "last")
    return [
        model.sample(row, params, cache.tokens, len(cache))
        for row, params, cache in zip(rows, sampling, kv_caches, strict=True)
    ]


def forward_qwen3_batch(
    model: Engine,
    tokens: Ids,
    req_lens: Sequence[int],
    req_pos: Sequence[int],
    kv_caches: Sequence[KVCache],
) -> npt.NDArray[np.float32]:
    """The same step without sampling: logits of every token, float32 [ntok, dvoc]."""
    return np.concatenate(_step(model, tokens, req_lens, req_pos, kv_caches, "all"))


def _step(
    model: Engine,
    tokens: Ids,
    req_lens: Sequence[int],
    req_pos: Sequence[int],
    kv_caches: Sequence[KVCache],
    logits: LogitsRows,
) -> list[npt.NDArray[np.float32]]:
    ids = token_ids(tokens, "tokens")
    nreq = len(req_lens)
    _expect_length("req_pos", req_pos, nreq)
    _expect_length("kv_caches", kv_caches, nreq)
    if nreq == 0 or min(req_lens) < 1 or sum(req_lens) != len(ids):
        raise ConfigError(f"req_lens = {list(req_lens)}: expected positive lengths that sum to ntok = {len(ids)}")
    for index, (position, cache) in enumerate(zip(req_pos, kv_caches, strict=True)):
        if not 0 <= position <= len(cache):
            raise ConfigError(f"req_pos[{index}] = {position} leaves a hole: the cache holds {len(cache)} tokens")
    for position, cache in zip(req_pos, kv_caches, strict=True):
        cache.truncate(position)
    ends = np.cumsum(req_lens)
    requests = [
        StepRequest(ids[end - length : end], cache, logits)
        for end, length, cache in zip(ends, req_lens, kv_caches, strict=True)
    ]
    return [row for row in model.step(requests) if row is not None]


def _expect_length(name: str, column: Sequence[object], nreq: int) -> None:
    if len(column) != nreq:
        raise ConfigError(f"{name} has {len(column)} entries: expected one for each of the {nreq} requests")
