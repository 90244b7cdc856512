"""Decode and prefill of a random model of the 0.6B's shape on one GPU, beside transformers on the same one.

python speed.py cuda:0
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from checkpoints import make_checkpoint

from qwen3_chat.engine import Engine, SamplingParams

PROMPT, REPLY, REPEATS = 512, 256, 3  # tokens
SHAPE = {
    "hidden": 1024,
    "layers": 28,
    "heads": 16,
    "kv_heads": 8,
    "head_dim": 128,
    "intermediate": 3072,
    "vocab": 151936,
    "max_positions": 4096,
}


def copy_bytes_per_s(device: str) -> float:
    """Bytes read and written by the fastest copy inside the GPU's memory."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        torch.cuda.synchronize(device)

    return 2 * source.nbytes / best(copy)


def best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of several runs, after one that warms up."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def ours(folder: Path, device: str, ids: list[int]) -> tuple[float, float, int]:
    """Tokens a second of prefill and decode, and the bytes that a decode step must read."""
    greedy = SamplingParams(temperature=0, max_new_tokens=REPLY, stop_ids=[])
    with Engine.load(folder, device, context=PROMPT + REPLY + 64) as engine:
        found = []
        for _ in range(REPEATS + 1):
            generation = engine.generate(ids, sampling=greedy)
            for _ in generation:
                pass
            stats = generation.stats
            found.append((stats.prefill_tokens_per_s, stats.tokens_per_s))
        memory, profile = engine.memory(), engine.profile()
        needed = memory.weights_per_step + (PROMPT + REPLY // 2) * memory.kv_bytes_per_token
        shares = profile.layer_ns[0].sum(axis=0) / max(1, profile.layer_ns[0].sum())
        for verb, share in zip(profile.layer_verbs, shares, strict=True):
            print(f"  {verb:22}{share:6.1%} of a layer")
        print(f"  {profile.counts[0].launches} launches a token, the probe costs {profile.probe_share:.2%}")
    return max(prefill for prefill, _ in found), max(decode for _, decode in found), needed


def theirs(folder: Path, device: str, ids: list[int]) -> tuple[float, float]:
    """The same of transformers, in bfloat16."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device)
    prompt = torch.tensor([ids], device=device)

    def run(new: int) -> None:
        model.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
        torch.cuda.synchronize(device)

    with torch.inference_mode():
        first = best(lambda: run(1))
        whole = best(lambda: run(REPLY))
    return PROMPT / first, (REPLY - 1) / (whole - first)


def main(device: str) -> None:
    print(f"{torch.cuda.get_device_name(device)}, 0.6B shape in bf16, prompt {PROMPT}, reply {REPLY}")
    limit = copy_bytes_per_s(device)
    ids = [(37 * i + 11) % 150000 for i in range(PROMPT)]
    with tempfile.TemporaryDirectory() as folder:
        path = make_checkpoint(Path(folder) / "model", dtype="bfloat16", **SHAPE)
        prefill, decode, needed = ours(path, device, ids)
        rows = [("qwen3-chat", prefill, decode), ("transformers", *theirs(path, device, ids))]
    print(f"  device copy {limit / 1e9:.0f} GB/s, a token needs {needed / 1e9:.3f} GB")
    for name, first, second in rows:
        reads = second * needed
        print(
            f"  {name:14}{first:10.0f} tok/s prefill{second:8.1f} tok/s decode"
            f"{reads / 1e9:8.0f} GB/s, {reads / limit:.0%} of the copy"
        )


if __name__ == "__main__":
    main(sys.argv[1])
