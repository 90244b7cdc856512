"""Does a checkpoint fit into memory? Answered before loading, with a flag that helps where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.gpus import free_bytes
from qwen3_chat.app.chat.options import EngineOptions

if TYPE_CHECKING:
    from qwen3_chat.models.checkpoint import WeightCounts
    from qwen3_chat.models.config import Qwen3Config

__all__ = ["MemoryPlan", "available_bytes", "free_memory", "plan"]

BYTES = {"f32": 4, "f16": 2, "bf16": 2, "int8": 8.5 / 8, "int4": 4.5 / 8}  # integers with their groups' scales
VOCABULARY = {**BYTES, "int4": BYTES["int8"]}  # embedding and head
SMALLER = {"f32": "bf16", "f16": "int8", "bf16": "int8", "int8": "int4"}
HEADROOM = 300 << 20  # bytes beside weights and KV: Python, activations, logits
LEAST_CONTEXT = 512  # tokens: below this there is no chat to be had
PAGE = 64  # tokens of a KV page
CACHES = 4  # whole contexts that the KV budget holds where memory allows: branches, and a second conversation


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What will be loaded, and how much the KV cache may take."""

    context: int  # tokens
    kv_budget: int | None  # bytes; None: as the engine finds room
    weights: int  # bytes
    kv_per_token: int  # bytes, over all devices


def free_memory(devices: str) -> int | None:
    """What these devices (names, as in "cuda:0,cuda:1") can hold together, in bytes. None: unknown."""
    return free_bytes(devices.count(",") + 1) if devices.startswith("cuda:") else available_bytes()


def available_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that can be had without swapping: MemAvailable, or what the control group leaves. None: unknown."""
    found = []
    for line in _lines(proc / "meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            found.append(int(value.split()[0]) * 1024)
    own = next((line.split(":", 2)[2] for line in _lines(proc / "self/cgroup") if line.startswith("0::")), "/")
    group = cgroup / own.strip().lstrip("/")
    for folder in (group, *group.parents):  # a limit anywhere above holds, too
        if not folder.is_relative_to(cgroup):
            break
        limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and used is not None:
            stat = dict(line.split(maxsplit=1) for line in _lines(folder / "memory.stat"))
            found.append(max(0, limit - used + int(stat.get("inactive_file", 0))))
    limit, used = _number(cgroup / "memory/memory.limit_in_bytes"), _number(cgroup / "memory/memory.usage_in_bytes")
    if limit is not None and used is not None:  # cgroup v1
        found.append(max(0, limit - used))
    return min(found) if found else None


def plan(config: Qwen3Config, counts: WeightCounts, options: EngineOptions, available: int | None) -> MemoryPlan:
    """Choose context and KV budget for a checkpoint of so many weights in `available` bytes of memory.

    A context that was asked for is kept or refused. One that was not is the model's own, or the most that fits.
    Raises OptionError if --context or --devices exceed what the model was made for, OutOfMemory if it cannot fit.
    """
    longest, most = config.longest_context, config.most_context
    if options.context is not None and options.context > max(longest, most):
        stretched = f", or {most} with YaRN" if most > longest else ""
        raise OptionError(
            f"--context {options.context} is more than the {longest} tokens that this model was made for{stretched}"
        )
    devices = options.devices.count(",") + 1
    if devices > config.num_attention_heads:
        raise OptionError(
            f"--devices names {devices} devices, and the model has {config.num_attention_heads} query heads to share "
            "out; name fewer"
        )
    held = counts.kept if options.weights == "auto" else options.weights
    weights = _weight_bytes(config, counts, options.weights)
    kv = ("f32" if held == "f32" else "bf16") if options.kv == "auto" else options.kv
    heads = config.num_key_value_heads + devices - 1  # a seam may lie inside a group of queries that shares a KV head
    per_token = int(2 * config.num_hidden_layers * heads * config.head_dim * BYTES[kv])
    context = options.context or longest
    if available is None:
        return MemoryPlan(context, None, weights, per_token)

    room = available - HEADROOM - weights
    if options.context is None:
        fitting = max(0, room) // per_token // PAGE * PAGE
        context = min(longest, max(fitting, min(LEAST_CONTEXT, longest)))
    needed = _pages(context) * per_token
    if needed > room:
        remedies = []
        smaller = max(0, room) // per_token // PAGE * PAGE
        if options.context is not None and smaller >= LEAST_CONTEXT:
            remedies.append(f"--context {smaller}")
        if kv == "f32" != held:
            remedies.append("--kv bf16")
        elif options.devices.startswith("cuda"):  # GPUs keep bf16
            remedies.append("--devices cpu:0")
        elif held in SMALLER:
            remedies.append(f"--weights {SMALLER[held]}")
        remedy = "try " + " or ".join(remedies) if remedies else "close other programs or take a smaller model"
        from qwen3_chat.engine import OutOfMemory

        raise OutOfMemory(
            f"needs {_gib(weights + HEADROOM)} GiB for the weights and {_gib(needed)} GiB for a context of {context} "
            f"tokens, {_gib(available)} GiB are free; {remedy}"
        )
    return MemoryPlan(context, min(CACHES * needed, max(needed, room // 2)), weights, per_token)


def _weight_bytes(config: Qwen3Config, counts: WeightCounts, asked: str) -> int:
    """Bytes of the weights as the engine keeps them for `--weights asked`."""
    held = counts.kept if asked == "auto" else asked
    vocabulary = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    body = counts.weights - vocabulary
    if asked == "auto" and counts.quantized:  # each matrix in the integers that it comes closest to
        four = counts.four_bit
        return int(four * BYTES["int4"] + (body - four) * BYTES["int8"] + vocabulary * VOCABULARY["int8"])
    return int(body * BYTES[held] + vocabulary * VOCABULARY[held])


def _pages(tokens: int) -> int:
    """Tokens, rounded up to whole pages."""
    return -(-tokens // PAGE) * PAGE


def _gib(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """The number in a file; None if there is no file or it says "max"."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None
