"""Device memory and the shared memory of a block, with what may be read, written and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ptx.module import PtxError

Bytes = NDArray[np.uint8]
Index = NDArray[np.int64]

NOBODY, SEVERAL = -1, -2


def _first(threads: Index, wrong: NDArray[np.bool_]) -> int:
    return int(threads[np.nonzero(wrong)[0][0]])


def check_aligned(addresses: Index, size: int, threads: Index, what: str) -> None:
    wrong = addresses % size != 0
    if wrong.any():
        raise PtxError(f"misaligned access of {size} bytes to {what} memory by thread {_first(threads, wrong)}")


class GlobalMemory:
    """Allocations with gaps between them, at any address. Two blocks of a launch may not meet in a byte that one of
    them writes, but by atomics."""

    def __init__(self, capacity: int = 16 << 20) -> None:
        self.bytes: Bytes = np.zeros(capacity, np.uint8)
        self._writer = np.full(capacity, NOBODY, np.int64)
        self._reader = np.full(capacity, NOBODY, np.int64)
        self._used = 0
        self._begins = np.zeros(0, np.int64)  # addresses, ascending
        self._ends = np.zeros(0, np.int64)
        self._offsets = np.zeros(0, np.int64)  # of each allocation in `bytes`
        self._next = 1 << 32

    def allocate(self, values: NDArray[np.generic], address: int | None = None) -> int:
        """The address of a copy: the one that is given, or one on 256 bytes."""
        raw = np.ascontiguousarray(values).view(np.uint8).ravel()
        if self._used + raw.size > self.bytes.size:
            raise MemoryError("the interpreter's device memory is too small")
        if address is None:
            address = self._next
            self._next = (address + raw.size + 511) // 256 * 256
        slot = int(np.searchsorted(self._begins, address))
        self._begins = np.insert(self._begins, slot, address)
        self._ends = np.insert(self._ends, slot, address + raw.size)
        self._offsets = np.insert(self._offsets, slot, self._used)
        self.bytes[self._used : self._used + raw.size] = raw
        self._used += raw.size
        return address

    def read_back(self, address: int, like: NDArray[np.generic]) -> NDArray[np.generic]:
        begin = int(self._offsets[np.searchsorted(self._begins, address)])
        return self.bytes[begin : begin + like.nbytes].view(like.dtype).reshape(like.shape).copy()

    def begin_launch(self) -> None:
        self._writer[:] = NOBODY
        self._reader[:] = NOBODY

    def places(self, addresses: Index, size: int, threads: Index) -> Index:
        """[threads, size]: where in `bytes` the accesses lie."""
        check_aligned(addresses, size, threads, "global")
        slots = np.searchsorted(self._begins, addresses, side="right") - 1
        wrong = (slots < 0) | (addresses + size > self._ends[slots])
        if wrong.any():
            raise PtxError(f"access out of bounds to global memory by thread {_first(threads, wrong)}")
        result: Index = (addresses - self._begins[slots] + self._offsets[slots])[:, None] + np.arange(size)
        return result

    def load(self, addresses: Index, size: int, threads: Index, block: int) -> Bytes:
        """[threads, size]"""
        places = self.places(addresses, size, threads)
        writer = self._writer[places]
        if ((writer != NOBODY) & (writer != block)).any():
            raise PtxError("race between blocks: one reads what another writes")
        reader = self._reader[places]
        self._reader[places] = np.where((reader == NOBODY) | (reader == block), block, SEVERAL)
        return self.bytes[places]

    def store(self, addresses: Index, values: Bytes, threads: Index, block: int) -> None:
        places = self.places(addresses, values.shape[1], threads)
        writer, reader = self._writer[places], self._reader[places]
        if ((writer != NOBODY) & (writer != block)).any():
            raise PtxError("race between blocks: both write")
        if ((reader != NOBODY) & (reader != block)).any():
            raise PtxError("race between blocks: one writes what another reads")
        self._writer[places] = block
        self.bytes[places] = values


@dataclass
class _Accesses:
    """Of every byte: the lowest and the highest thread that touched it since the block's last barrier, when that was,
    and how many barriers that thread's warp had passed."""

    low: Index
    high: Index
    barriers: Index
    warp_barriers: Index

    @classmethod
    def none(cls, size: int) -> _Accesses:
        return cls(*(np.full(size, NOBODY, np.int64) for _ in range(4)))

    def add(self, places: Index, threads: Index, barriers: int, warp_barriers: Index) -> None:
        owners = np.broadcast_to(threads[:, None], places.shape)
        old = self.barriers[places] != barriers
        self.low[places[old]] = owners[old]
        self.high[places[old]] = owners[old]
        np.minimum.at(self.low, places, owners)
        np.maximum.at(self.high, places, owners)
        self.barriers[places] = barriers
        self.warp_barriers[places] = warp_barriers[owners // 32]

    def unordered(self, places: Index, threads: Index, barriers: int, warp_barriers: Index) -> NDArray[np.bool_]:
        """Which threads nothing orders behind another's access to one of their places."""
        owners = threads[:, None]
        low, high = self.low[places], self.high[places]
        recent = (self.barriers[places] == barriers) & ((low != owners) | (high != owners))
        one_warp = (low // 32 == owners // 32) & (high // 32 == owners // 32)
        met = one_warp & (self.warp_barriers[places] < warp_barriers[owners // 32])
        result: NDArray[np.bool_] = (recent & ~met).any(axis=1)
        return result


class SharedMemory:
    """A block's shared memory. A byte may be read only after it was written, and by another thread only after both met
    at a barrier (of their warp, if they are in the same one)."""

    def __init__(self, size: int, threads: int) -> None:
        self._bytes: Bytes = np.zeros(size, np.uint8)
        self._written = np.zeros(size, bool)
        self._barriers = 0  # that the block has passed
        self._warp_barriers = np.zeros((threads + 31) // 32, np.int64)
        self._writes = _Accesses.none(size)
        self._reads = _Accesses.none(size)

    def barrier(self) -> None:
        self._barriers += 1

    def warp_barrier(self, warps: Index) -> None:
        self._warp_barriers[warps] += 1

    def _places(self, addresses: Index, size: int, align: int, threads: Index) -> Index:
        check_aligned(addresses, align, threads, "shared")
        wrong = (addresses < 0) | (addresses + size > self._bytes.size)
        if wrong.any():
            raise PtxError(f"access out of bounds to shared memory by thread {_first(threads, wrong)}")
        places: Index = addresses[:, None] + np.arange(size)
        return places

    def _check(self, history: _Accesses, places: Index, threads: Index, what: str) -> None:
        wrong = history.unordered(places, threads, self._barriers, self._warp_barriers)
        if wrong.any():
            raise PtxError(f"race in shared memory: thread {_first(threads, wrong)} {what}")

    def load(self, addresses: Index, size: int, threads: Index) -> Bytes:
        """[threads, size]"""
        places = self._places(addresses, size, size, threads)
        empty: NDArray[np.bool_] = ~np.all(self._written[places], axis=1)
        if empty.any():
            raise PtxError(f"thread {_first(threads, empty)} reads shared memory that holds nothing yet")
        self._check(self._writes, places, threads, "reads what another writes")
        self._reads.add(places, threads, self._barriers, self._warp_barriers)
        return self._bytes[places]

    def _check_write(self, places: Index, threads: Index) -> None:
        if np.unique(places).size != places.size:
            raise PtxError("race in shared memory: threads write the same place at once")
        self._check(self._writes, places, threads, "overwrites what another writes")
        self._check(self._reads, places, threads, "overwrites what another reads")

    def store(self, addresses: Index, values: Bytes, threads: Index) -> None:
        places = self._places(addresses, values.shape[1], values.shape[1], threads)
        self._check_write(places, threads)
        self._bytes[places] = values
        self._written[places] = True
        self._writes.add(places, threads, self._barriers, self._warp_barriers)

    def begin_copies(self, addresses: Index, size: int, threads: Index) -> None:
        """Until its wait, what an asynchronous copy goes to holds nothing."""
        places = self._places(addresses, size, size, threads)
        self._check_write(places, threads)
        self._written[places] = False
