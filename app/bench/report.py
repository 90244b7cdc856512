"""The figures of one run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured of one way to load the checkpoint, under the names that --json prints."""

    model: str
    weights: str
    kv: str
    devices: tuple[str, ...]
    threads: int
    isa: str
    checkpoint_bytes: int
    repeats: int  # rounds that the medians are of
    # Starting.
    load_s: float
    start_s: float  # from the start of the process to the first token
    first_token_s: float  # after loading, for a prompt of one token
    # The machine's limits in the same rounds.
    read_gb_per_s: float  # streaming reads
    fp32_gflop_per_s: float  # fused multiply-adds, counted as two
    int8_gop_per_s: float  # the same for products of int8
    # Prefill.
    prompt_tokens: int
    prefill_tokens_per_s: float
    prefill_yardstick: str  # the arithmetic that the share is of: int8 for integer weights, else fp32
    prefill_share: float  # attention counted
    prefill_ratio: float  # to the first variant's speed, round by round
    # Decode.
    depth: int  # tokens in the cache where decoding begins
    decode_tokens_per_s: float
    bytes_per_token: int  # weights, keys and values that one step reads, half-way through the reply
    decode_share: float  # of read_gb_per_s
    decode_ratio: float  # to the first variant's speed, round by round
    # The last decode step.
    sample_share: float
    probe_share: float  # what the profiler itself costs
    verb_ns: dict[str, int]  # over all layers, the slowest device
    layer_ns: float  # median over layers
    layers_ns: tuple[int, ...]  # each layer, the slowest device
    prefill_verb_ns: dict[str, int]  # of the last step of the prompt
    # Memory.
    weights_bytes: int
    kv_peak_bytes: int
    peak_rss_bytes: int  # of the process, with this variant alone in it
