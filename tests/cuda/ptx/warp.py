"""What the lanes of a warp do together: shuffles, matrix loads and products, and asynchronous copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ptx.arithmetic import Values, widen_bf16
from ptx.memory import Index
from ptx.module import PtxError

if TYPE_CHECKING:
    from ptx.block import Block

ALL = 0xFFFFFFFF


def _converged(block: Block, threads: Index, masks: Values) -> None:
    """Every lane that a mask names must be here."""
    for number in np.unique(threads // 32):
        of_warp = threads // 32 == number
        here = int(np.bitwise_or.reduce(1 << (threads[of_warp] % 32)))
        existing = (1 << min(32, block.threads - 32 * int(number))) - 1
        for mask in np.unique(masks[of_warp]):
            missing = int(mask) & existing & ~here
            if missing:
                raise PtxError(f"lanes {missing:08x} of warp {number} are elsewhere")


def _all_lanes(block: Block, threads: Index) -> None:
    _converged(block, threads, np.full(len(threads), ALL, np.uint32))
    if len(threads) % 32:
        raise PtxError("a warp that is not whole")


def shuffle(block: Block, opcode: Sequence[str], operands: Sequence[str], threads: Index) -> None:
    mode = opcode[2]
    argument = block.read(operands[2], "u32", threads).astype(np.int64)
    clamp = block.read(operands[3], "u32", threads).astype(np.int64)
    _converged(block, threads, block.read(operands[4], "u32", threads))
    values = np.zeros(block.threads, np.uint32)
    values[threads] = block.read(operands[1], "u32", threads)
    lane = threads % 32
    segment = clamp >> 8 & 31
    low, high = lane & segment, (lane & segment) | (clamp & 31 & ~segment)
    source = {
        "bfly": lane ^ argument,
        "idx": low | (argument & 31 & ~segment),
        "down": lane + argument,
        "up": lane - argument,
    }[mode]
    inside = source >= low if mode == "up" else source <= high
    source = np.where(inside, source, lane)
    destination, *predicate = operands[0].split("|")
    block.write(destination, values[threads - lane + source], threads)
    if predicate:
        block.write(predicate[0], inside, threads)


def barrier(block: Block, opcode: Sequence[str], operands: Sequence[str], threads: Index) -> None:
    if tuple(opcode[:3]) != ("bar", "warp", "sync"):
        raise PtxError("this barrier is not known")
    _converged(block, threads, block.read(operands[0], "u32", threads))
    block.shared.warp_barrier(np.unique(threads // 32))


def ldmatrix(block: Block, opcode: Sequence[str], operands: Sequence[str], threads: Index) -> None:
    _all_lanes(block, threads)
    registers = [register.strip() for register in operands[0].strip("{}").split(",")]
    addresses = block.address(operands[1], threads)
    if (addresses % 16).any():
        raise PtxError("a row that is not on 16 bytes")
    lane, base = np.arange(len(threads)) % 32, np.arange(len(threads)) // 32 * 32
    for matrix, register in enumerate(registers):
        rows = addresses[base[:, None] + 8 * matrix + np.arange(8)]  # of this lane's warp
        if "trans" in opcode:
            halves = [
                block.shared.load(np.take_along_axis(rows, row[:, None], 1)[:, 0] + 2 * (lane // 4), 2, threads)
                for row in (lane % 4 * 2, lane % 4 * 2 + 1)
            ]
            raw = np.concatenate(halves, axis=1)
        else:
            row = np.take_along_axis(rows, (lane // 4)[:, None], 1)[:, 0]
            raw = block.shared.load(row + 4 * (lane % 4), 4, threads)
        block.write(register, np.ascontiguousarray(raw).view(np.uint32).ravel(), threads)


def mma(block: Block, opcode: Sequence[str], operands: Sequence[str], threads: Index) -> None:
    if not {"m16n8k16", "row", "col", "bf16", "f32"} <= set(opcode):
        raise PtxError("this matrix product is not known")
    _all_lanes(block, threads)
    to, a, b, c = ([register.strip() for register in operand.strip("{}").split(",")] for operand in operands)
    lane = np.arange(32)
    group, quad = lane // 4, lane % 4

    def pair(register: str, of_warp: Index) -> Values:
        bits = block.read(register, "u32", of_warp)
        return np.stack([widen_bf16(bits & np.uint32(0xFFFF)), widen_bf16(bits >> np.uint32(16))], axis=1)

    for first in range(0, len(threads), 32):
        of_warp = threads[first : first + 32]
        left, right, total = np.zeros((16, 16)), np.zeros((16, 8)), np.zeros((16, 8))
        for i in range(4):
            row, column = group + 8 * (i % 2), 2 * quad + 8 * (i // 2)
            left[row, column], left[row, column + 1] = pair(a[i], of_warp).T
        for i in range(2):
            row = 2 * quad + 8 * i
            right[row, group], right[row + 1, group] = pair(b[i], of_warp).T
        for i in range(4):
            total[group + 8 * (i // 2), 2 * quad + i % 2] = block.read(c[i], "f32", of_warp)
        result = (total + left @ right).astype(np.float32)
        for i in range(4):
            block.write(to[i], result[group + 8 * (i // 2), 2 * quad + i % 2], of_warp)


class AsyncCopies:
    """Copies that each thread has begun: (to, from or None for zeros, bytes), in groups."""

    def __init__(self, threads: int) -> None:
        self._open: list[list[tuple[int, int | None, int]]] = [[] for _ in range(threads)]
        self._groups: list[list[list[tuple[int, int | None, int]]]] = [[] for _ in range(threads)]

    def begin(self, thread: int, to: int, source: int | None, size: int) -> None:
        self._open[thread].append((to, source, size))

    def commit(self, threads: Index) -> None:
        for thread in threads:
            self._groups[thread].append(self._open[thread])
            self._open[thread] = []

    def finished(self, thread: int, pending: int) -> list[tuple[int, int | None, int]]:
        done = []
        while len(self._groups[thread]) > pending:
            done += self._groups[thread].pop(0)
        return done


def async_copy(block: Block, opcode: Sequence[str], operands: Sequence[str], threads: Index) -> None:
    if opcode[1] != "async":
        raise PtxError("this copy is not known")
    if opcode[2] == "commit_group":
        block.copies.commit(threads)
        return
    if opcode[2] == "wait_group":
        _finish_copies(block, threads, int(operands[0]))
        return
    to, source = block.address(operands[0], threads), block.address(operands[1], threads)
    size = int(operands[2])
    read = block.read(operands[3], "u32", threads) if len(operands) > 3 else np.full(len(threads), size)
    block.shared.begin_copies(to, size, threads)
    for i, thread in enumerate(threads):
        if read[i] not in (0, size):
            raise PtxError("a copy that is partly zeros")
        block.copies.begin(int(thread), int(to[i]), int(source[i]) if read[i] else None, size)


def _finish_copies(block: Block, threads: Index, pending: int) -> None:
    finished = [(thread, copy) for thread in threads for copy in block.copies.finished(int(thread), pending)]
    for thread, (to, source, size) in finished:
        who = np.array([thread])
        raw = np.zeros((1, size), np.uint8)
        if source is not None:
            raw = block.memory.load(np.array([source]), size, who, block.number)
        block.shared.store(np.array([to]), raw, who)


OPERATIONS: dict[str, Callable[[Block, Sequence[str], Sequence[str], Index], None]] = {
    "shfl": shuffle,
    "bar": barrier,
    "ldmatrix": ldmatrix,
    "mma": mma,
    "cp": async_copy,
}
