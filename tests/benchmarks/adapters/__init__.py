"""One file an engine: nothing else here imports an engine. Each has a class `Adapter`, made once a worker process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

__all__ = ["AdapterBase", "Options", "Timing"]


class Options(NamedTuple):
    """What every engine is told."""

    path: Path  # of the model in the engine's own format
    weights: str  # "bf16", "int8" or "int4"; peers have it in their files already
    threads: int
    context: int  # tokens that the longest run takes


class Timing(NamedTuple):
    """How long one run took."""

    first_token_s: float  # from the request to the first token
    decode_s: float  # from the first token to the last one


class AdapterBase(Protocol):
    """An engine with its model loaded."""

    vocabulary: int
    settings: str  # version and what was chosen, for the report

    def __init__(self, options: Options) -> None: ...

    def run(self, prompt: list[int], new_tokens: int) -> Timing:
        """Evaluate the prompt and decode greedily: one token, then `new_tokens` more. No run reuses another's."""
        ...
