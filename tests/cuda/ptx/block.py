"""Runs a block of threads: always those at the lowest instruction, so that what diverged meets again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from ptx import arithmetic, warp
from ptx.arithmetic import TYPES, Values
from ptx.memory import Bytes, GlobalMemory, Index, SharedMemory
from ptx.module import Instruction, Kernel, Module, PtxError, size_of

Dim = tuple[int, int, int]


@dataclass(frozen=True)
class Launch:
    module: Module
    kernel: Kernel
    memory: GlobalMemory
    arguments: Sequence[bytes]
    grid: Dim
    block: Dim
    dynamic_shared: int
    only: Sequence[Dim] = ()


class Block:
    def __init__(self, launch: Launch, index: Dim) -> None:
        self.kernel = launch.kernel
        self.memory = launch.memory
        self.threads = prod(launch.block)
        self.number = index[0] + launch.grid[0] * (index[1] + launch.grid[1] * index[2])
        self._registers: dict[str, Values] = {}
        self._special = _special_registers(launch, index)
        self._symbols, shared_bytes = _place_shared(launch)
        self.shared = SharedMemory(shared_bytes, self.threads)
        self._parameters = _place_parameters(launch)
        self._local = np.full((self.threads, self.kernel.local_bytes), 0xFF, np.uint8)
        self.copies = warp.AsyncCopies(self.threads)
        self.issued = 0

    # ---- operands -------------------------------------------------------------------------------------------------

    def _type(self, register: str) -> str:
        declared = self.kernel.registers
        found = declared.get(register) or declared.get(register.rstrip("0123456789"))
        if not found:
            raise PtxError(f"{register} is not declared")
        return found

    def read(self, operand: str, type_: str, threads: Index) -> Values:
        """The operand's value for some threads, as that type."""
        dtype = TYPES[type_]
        if operand in self._special:
            return self._special[operand][threads].astype(dtype)
        if operand.startswith("%"):
            if operand not in self._registers:  # undefined, so something that a result shows: NaN
                return np.full(len(threads) * size_of(type_), 0xFF, np.uint8).view(dtype)
            raw = self._registers[operand][threads]
            if raw.dtype == np.bool_ or raw.dtype.itemsize == np.dtype(dtype).itemsize:
                return raw.view(dtype)
            return raw.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
        if operand in self._symbols:
            return np.full(len(threads), self._symbols[operand], dtype)
        if operand == "__local_depot0":
            return np.zeros(len(threads), dtype)
        if operand.startswith("0f"):
            return np.full(len(threads), int(operand[2:], 16), np.uint32).view(np.float32)
        bits = int(operand, 0) & (1 << 8 * size_of(type_)) - 1
        return np.full(len(threads), bits, f"u{size_of(type_)}").view(dtype)

    def write(self, operand: str, values: Values, threads: Index) -> None:
        if operand == "_":
            return
        type_ = self._type(operand)
        width = size_of(type_)
        storage = np.dtype(np.bool_) if type_ == "pred" else np.dtype(f"u{width}")
        register = self._registers.setdefault(operand, np.zeros(self.threads, storage))
        if values.dtype != storage:
            if values.dtype.itemsize != width:  # narrower: signs go on
                values = values.astype(f"{'i' if values.dtype.kind == 'i' else 'u'}{width}")
            values = values.view(storage)
        register[threads] = values

    def address(self, operand: str, threads: Index) -> Index:
        match = re.fullmatch(r"\[\s*([^+\s]+?)\s*(?:\+\s*(-?\w+))?\s*\]", operand)
        if not match:
            raise PtxError(f"cannot read the address {operand}")
        base, offset = match[1], int(match[2] or "0", 0)
        if base.startswith("%"):
            width = size_of(self._type(base))
            address: Index = self.read(base, f"u{8 * width}", threads).astype(np.int64) + offset
            return address & 0xFFFFFFFF if width == 4 else address
        return self.read(base, "u64", threads).astype(np.int64) + offset

    # ---- running --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        counters = np.zeros(self.threads, np.int64)
        live = np.ones(self.threads, bool)
        waiting = np.zeros(self.threads, bool)
        barrier = -1
        while live.any():
            ready = live & ~waiting
            if not ready.any():  # every thread that has not returned has arrived
                waiting[:] = False
                self.shared.barrier()
                continue
            counter = int(counters[ready].min())
            threads = np.nonzero(ready & (counters == counter))[0]
            if counter >= len(self.kernel.code):
                raise PtxError("ran beyond the last instruction")
            instruction = self.kernel.code[counter]
            counters[threads] += 1
            self.issued += 1
            if instruction.guard:
                threads = threads[self.read(instruction.guard, "pred", threads) ^ instruction.negated]
                if not len(threads):
                    continue
            match instruction.opcode:
                case ("bra", *_):
                    counters[threads] = self.kernel.labels[instruction.operands[0]]
                case ("ret" | "exit", *_):
                    live[threads] = False
                case ("bar" | "barrier", "sync" | "cta", *_):
                    if not waiting.any():
                        barrier = counter
                    elif barrier != counter:
                        raise PtxError("threads of a block wait at two barriers")
                    waiting[threads] = True
                case _:
                    self._step(instruction, threads)

    def _step(self, instruction: Instruction, threads: Index) -> None:
        try:
            with np.errstate(all="ignore"):
                self._execute(instruction, threads)
        except PtxError as error:
            raise PtxError(f"{self.kernel.name}, block {self.number}: {error} ({instruction})") from None
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            raise PtxError(f"cannot run '{instruction}': {type(error).__name__} {error}") from error

    def _execute(self, instruction: Instruction, threads: Index) -> None:
        opcode, operands = instruction.opcode, instruction.operands
        types = [part for part in opcode if part in TYPES]
        name, type_ = opcode[0], types[-1] if types else ""

        def value(position: int, as_type: str = type_) -> Values:
            return self.read(operands[position], as_type, threads)

        match name:
            case "ld" | "ldu":
                self._load(opcode, operands, type_, threads)
            case "st":
                self._store(opcode, operands, type_, threads)
            case "atom" | "red":
                self._atomic(opcode, operands, type_, threads)
            case "mov" if operands[0].startswith("{") or operands[1].startswith("{"):
                self._move_vector(operands, type_, threads)
            case "cvt" if len(operands) == 3:  # two f32 to a pair, the second operand low
                low, high = (arithmetic.round_bf16(value(i, "f32")).astype(np.uint32) for i in (2, 1))
                self.write(operands[0], low | high << np.uint32(16), threads)
            case "cvt":
                self.write(operands[0], arithmetic.convert(types[0], types[1], value(1, types[1]), opcode), threads)
            case "setp":
                result = arithmetic.compare(opcode, value(1), value(2))
                if opcode[2] in ("and", "or", "xor"):
                    result = arithmetic.BINARY[opcode[2]](result, value(3, "pred"))
                self.write(operands[0], result, threads)
            case "selp":
                self.write(operands[0], np.where(value(3, "pred"), value(1), value(2)), threads)
            case "mul" if not type_.startswith("f"):
                self.write(operands[0], arithmetic.multiply_add(opcode, type_, value(1), value(2))[1], threads)
            case "mad":
                wide, product = arithmetic.multiply_add(opcode, type_, value(1), value(2))
                self.write(operands[0], product + value(3, wide), threads)
            case "fma":  # exact before it is rounded: f64 holds the product of two f32
                exact = value(1).astype(np.float64) * value(2).astype(np.float64) + value(3).astype(np.float64)
                self.write(operands[0], exact.astype(np.float32), threads)
            case "shl" | "shr":
                as_type = type_.replace("b", "u")
                self.write(operands[0], arithmetic.shift(name, value(1, as_type), value(2, "u32")), threads)
            case "div" | "rem":
                self.write(operands[0], arithmetic.divide(name, value(1), value(2)), threads)
            case "prmt":
                self.write(operands[0], arithmetic.permute(value(1), value(2), value(3)), threads)
            case "lop3":
                result = arithmetic.look_up(value(1), value(2), value(3), int(operands[4], 0))
                self.write(operands[0], result, threads)
            case "bfi":
                result = arithmetic.insert(value(1), value(2), value(3, "u32"), value(4, "u32"))
                self.write(operands[0], result, threads)
            case "bfe":
                result = arithmetic.extract(value(1), value(2, "u32"), value(3, "u32"))
                self.write(operands[0], result, threads)
            case _ if name in arithmetic.BINARY:
                self.write(operands[0], arithmetic.BINARY[name](value(1), value(2)), threads)
            case _ if name in arithmetic.UNARY:
                self.write(operands[0], arithmetic.UNARY[name](value(1)), threads)
            case _ if name in warp.OPERATIONS:
                warp.OPERATIONS[name](self, opcode, operands, threads)
            case _:
                raise PtxError("this instruction is not known")

    def _move_vector(self, operands: Sequence[str], type_: str, threads: Index) -> None:
        to, source = (split(operand) for operand in operands)
        if len(to) > 1:
            raw = as_bytes(self.read(source[0], type_, threads))
            width = raw.shape[1] // len(to)
            for i, register in enumerate(to):
                self.write(register, _from_bytes(raw[:, i * width : (i + 1) * width], f"u{8 * width}"), threads)
            return
        part = f"u{8 * size_of(type_) // len(source)}"
        raw = np.concatenate([as_bytes(self.read(register, part, threads)) for register in source], axis=1)
        self.write(to[0], _from_bytes(raw, f"u{8 * size_of(type_)}"), threads)

    # ---- memory ---------------------------------------------------------------------------------------------------

    def _load(self, opcode: Sequence[str], operands: Sequence[str], type_: str, threads: Index) -> None:
        registers = split(operands[0])
        width = size_of(type_)
        size = width * len(registers)
        if "param" in opcode:
            match = re.fullmatch(r"\[(\w+)(?:\+(\d+))?\]", operands[1])
            begin = int(match[2] or 0)  # type: ignore[index]
            raw = np.tile(self._parameters[match[1]][begin : begin + size], (len(threads), 1))  # type: ignore[index]
        else:
            addresses = self.address(operands[1], threads)
            if "shared" in opcode:
                raw = self.shared.load(addresses, size, threads)
            elif "local" in opcode:
                raw = self._local[threads[:, None], addresses[:, None] + np.arange(size)]
            else:
                raw = self.memory.load(addresses, size, threads, self.number)
        for i, register in enumerate(registers):
            self.write(register, _from_bytes(raw[:, i * width : (i + 1) * width], type_), threads)

    def _store(self, opcode: Sequence[str], operands: Sequence[str], type_: str, threads: Index) -> None:
        raw = np.concatenate([as_bytes(self.read(r, type_, threads)) for r in split(operands[1])], axis=1)
        addresses = self.address(operands[0], threads)
        if "shared" in opcode:
            self.shared.store(addresses, raw, threads)
        elif "local" in opcode:
            self._local[threads[:, None], addresses[:, None] + np.arange(raw.shape[1])] = raw
        else:
            self.memory.store(addresses, raw, threads, self.number)

    def _atomic(self, opcode: Sequence[str], operands: Sequence[str], type_: str, threads: Index) -> None:
        if "global" not in opcode or "add" not in opcode:
            raise PtxError("this atomic operation is not known")
        has_result = opcode[0] == "atom"
        width = size_of(type_)
        for thread in threads:
            one = np.array([thread])
            places = self.memory.places(self.address(operands[1 if has_result else 0], one), width, one)
            old = _from_bytes(self.memory.bytes[places], type_)
            self.memory.bytes[places] = as_bytes(old + self.read(operands[-1], type_, one))
            if has_result:
                self.write(operands[0], old, one)


def split(operand: str) -> list[str]:
    """The registers of a vector, or the one that there is."""
    return [register.strip() for register in operand.strip("{}").split(",")]


def as_bytes(values: Values) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


def _from_bytes(raw: Bytes, type_: str) -> Values:
    return np.ascontiguousarray(raw).view(TYPES[type_]).ravel()


def _special_registers(launch: Launch, index: Dim) -> dict[str, NDArray[np.int64]]:
    thread = np.arange(prod(launch.block))
    x, y, _ = launch.block
    special = {"%tid.x": thread % x, "%tid.y": thread // x % y, "%tid.z": thread // (x * y), "%laneid": thread % 32}
    for axis, name in enumerate("xyz"):
        for register, values in (("ntid", launch.block), ("nctaid", launch.grid), ("ctaid", index)):
            special[f"%{register}.{name}"] = np.full(thread.size, values[axis])
    return special


def _place_shared(launch: Launch) -> tuple[dict[str, int], int]:
    """Addresses of the shared arrays that the kernel names, each no better aligned than it declares."""
    named = {operand.strip("[]").split("+")[0] for i in launch.kernel.code for operand in i.operands}
    symbols: dict[str, int] = {}
    top = 0
    for name, array in sorted(launch.module.shared.items(), key=lambda item: item[1].size == 0):
        if name not in named:
            continue
        top = (top + array.align - 1) // array.align * array.align
        if top % (2 * array.align) == 0:
            top += array.align
        symbols[name] = top
        top += array.size or launch.dynamic_shared
    return symbols, top


def _place_parameters(launch: Launch) -> dict[str, Bytes]:
    if len(launch.arguments) != len(launch.kernel.parameters):
        raise PtxError(f"{launch.kernel.name} takes {len(launch.kernel.parameters)} arguments")
    placed = {}
    for (name, size), argument in zip(launch.kernel.parameters, launch.arguments, strict=True):
        if len(argument) != size:
            raise PtxError(f"{name} has {size} bytes, not {len(argument)}")
        placed[name] = np.frombuffer(argument, np.uint8)
    return placed


def run_grid(launch: Launch) -> int:
    """Runs every block of the grid, or those that the launch names; returns how many instructions were issued."""
    launch.memory.begin_launch()
    width, height, depth = launch.grid
    everything = ((x, y, z) for z in range(depth) for y in range(height) for x in range(width))
    issued = 0
    for index in launch.only or everything:
        block = Block(launch, index)
        block.run()
        issued += block.issued
    return issued
