"""What the engine told of every token of a reply, column by column: compact in memory, and appendable on disk."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

__all__ = ["TokenTrace", "Told", "Top", "pack_ids", "unpack_ids"]

Top: TypeAlias = tuple[tuple[int, float], ...]  # the likeliest (id, logprob), best first

_UNKNOWN = float("nan")


class _Token(Protocol):
    @property
    def logprob(self) -> float: ...
    @property
    def ns(self) -> int: ...
    @property
    def top(self) -> Top: ...


@dataclass(frozen=True, slots=True)
class Told:
    """One row by itself."""

    logprob: float
    ns: int
    top: Top


class TokenTrace:
    """Row n is about token n. What was never told (a text written by hand) is NaN, 0 and ()."""

    __slots__ = ("logprobs", "step_ns", "tops")

    def __init__(self, logprobs: Sequence[float] = (), step_ns: Sequence[int] = (), tops: Sequence[Top] = ()) -> None:
        self.logprobs = array("f", logprobs)  # natural log; the engine computes it in f32
        self.step_ns = array("Q", step_ns)  # duration of the step that made the token
        self.tops = list(tops)

    def __len__(self) -> int:
        """Tokens it tells of."""
        return len(self.logprobs)

    def add(self, token: _Token, *, at: int) -> None:
        """Tell of token number `at`; those before it that nobody told of stay unknown."""
        missing = at - len(self)
        self.logprobs.extend([_UNKNOWN] * missing)
        self.step_ns.extend([0] * missing)
        self.tops.extend([()] * missing)
        self.logprobs.append(token.logprob)
        self.step_ns.append(token.ns)
        self.tops.append(token.top)

    def copy(self, upto: int | None = None) -> TokenTrace:
        """One of its own with the same rows, at most so many."""
        return TokenTrace(self.logprobs[:upto], self.step_ns[:upto], self.tops[:upto])

    def pack(self, start: int = 0) -> tuple[bytes, bytes, bytes]:
        """Rows from `start` on as three blobs; the blobs of later rows may be put behind those of earlier ones."""
        rows = len(self) - start
        tops = b"".join(
            struct.pack("<B", len(top)) + b"".join(struct.pack("<If", *pair) for pair in top)
            for top in self.tops[start:]
        )
        return (
            struct.pack(f"<{rows}f", *self.logprobs[start:]),
            struct.pack(f"<{rows}Q", *self.step_ns[start:]),
            tops,
        )

    @classmethod
    def unpack(cls, logprobs: bytes, step_ns: bytes, tops: bytes) -> TokenTrace:
        """What `pack` made. Raises struct.error for bytes that it cannot have made."""
        return cls(
            struct.unpack(f"<{len(logprobs) // 4}f", logprobs),
            struct.unpack(f"<{len(step_ns) // 8}Q", step_ns),
            list(_unpack_tops(tops)),
        )


def _unpack_tops(data: bytes) -> Iterator[Top]:
    place = 0
    while place < len(data):
        end = place + 1 + 8 * data[place]
        yield tuple(struct.iter_unpack("<If", data[place + 1 : end]))
        place = end


def pack_ids(ids: Sequence[int]) -> bytes:
    """Token ids as u32."""
    return struct.pack(f"<{len(ids)}I", *ids)


def unpack_ids(data: bytes) -> list[int]:
    """What `pack_ids` made. Raises struct.error."""
    return list(struct.unpack(f"<{len(data) // 4}I", data))
