"""What PTX computes from registers alone: one numpy expression per instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ptx.module import PtxError, size_of

Values = NDArray[Any]

TYPES: dict[str, type[np.generic]] = {
    **{f"{kind}{bits}": getattr(np, f"uint{bits}") for kind in "bu" for bits in (8, 16, 32, 64)},
    **{f"s{bits}": getattr(np, f"int{bits}") for bits in (8, 16, 32, 64)},
    "f32": np.float32,
    "f64": np.float64,
    "pred": np.bool_,
    "bf16": np.uint16,
    "bf16x2": np.uint32,
}

BINARY: dict[str, Callable[[Values, Values], Values]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "min": np.fmin,
    "max": np.fmax,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
UNARY: dict[str, Callable[[Values], Values]] = {
    "not": np.invert,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: np.float32(1) / np.sqrt(x),
    "rcp": lambda x: np.float32(1) / x,
    "ex2": np.exp2,
    "lg2": np.log2,
    "mov": lambda x: x,
    "cvta": lambda x: x,
}
COMPARE: dict[str, Callable[[Values, Values], Values]] = {
    "lt": np.less,
    "lo": np.less,
    "le": np.less_equal,
    "ls": np.less_equal,
    "gt": np.greater,
    "hi": np.greater,
    "ge": np.greater_equal,
    "hs": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


def round_bf16(x: Values) -> Values:
    """f32 to the bits of a bf16, to nearest even."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + np.uint64(0x7FFF) + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)
    return np.where(np.isnan(x.astype(np.float32)), np.uint64(0x7FFF), rounded).astype(np.uint16)


def widen_bf16(bits: Values) -> Values:
    """The bits of a bf16 to f32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def compare(opcode: tuple[str, ...], x: Values, y: Values) -> Values:
    """setp: an unordered comparison ends in u and holds for NaN."""
    name = opcode[1]
    if name in COMPARE:
        return COMPARE[name](x, y)
    if name.endswith("u") and name[:-1] in COMPARE:
        unordered = np.isnan(x.astype(np.float64)) | np.isnan(y.astype(np.float64))
        return np.logical_or(COMPARE[name[:-1]](x, y), unordered)
    raise PtxError(f"comparison {name}")


def shift(name: str, x: Values, count: Values) -> Values:
    bits = 8 * x.dtype.itemsize
    clamped = np.minimum(count, bits).astype(np.uint64)
    safe = np.minimum(clamped, bits - 1).astype(x.dtype)
    if name == "shr":
        signed = x.dtype.kind == "i"
        return np.where((clamped >= bits) & (not signed), np.zeros_like(x), x >> safe).astype(x.dtype)
    return np.where(clamped >= bits, np.zeros_like(x), x << safe).astype(x.dtype)


def divide(name: str, x: Values, y: Values) -> Values:
    if x.dtype.kind == "f":
        return x / y
    # Towards zero; a division by zero gives all ones, like the hardware.
    safe = np.where(y == 0, np.ones_like(y), y)
    quotient = np.abs(x.astype(object)) // np.abs(safe.astype(object))
    signs = np.sign(x.astype(object)) * np.sign(safe.astype(object))
    exact = np.array([int(q * s) for q, s in zip(quotient, signs, strict=True)], dtype=object)
    if name == "div":
        return exact.astype(x.dtype)
    return np.asarray(x.astype(object) - exact * safe.astype(object), x.dtype)


def convert(to: str, source: str, x: Values, opcode: tuple[str, ...]) -> Values:
    """cvt of one value."""
    if to == "bf16":
        return round_bf16(x)
    if source == "bf16":
        return widen_bf16(x)
    if source.startswith("f") and not to.startswith("f"):
        rounded = np.trunc(x) if "rzi" in opcode else np.rint(x)
        limits = np.iinfo(np.dtype(TYPES[to]))
        return np.clip(rounded.astype(np.float64), limits.min, limits.max).astype(TYPES[to])
    return x.astype(TYPES[to])


def multiply_add(opcode: tuple[str, ...], type_: str, x: Values, y: Values) -> tuple[str, Values]:
    """The product of mul and mad, and its type: its low half, its high half, or all of it."""
    if "wide" in opcode:
        wide = WIDER[type_]
        return wide, x.astype(TYPES[wide]) * y.astype(TYPES[wide])
    if "hi" in opcode:
        bits = 8 * size_of(type_)
        product = [int(a) * int(b) >> bits for a, b in zip(x, y, strict=True)]
        return type_, np.array([p & (1 << bits) - 1 for p in product], TYPES[f"u{bits}"]).view(TYPES[type_])
    return type_, x * y


def permute(x: Values, y: Values, selector: Values) -> Values:
    """prmt in its default mode: bytes of the pair, each named by a nibble; the nibble's top bit repeats the sign."""
    pair = x.astype(np.uint64) | y.astype(np.uint64) << np.uint64(32)
    result = np.zeros(x.shape, np.uint64)
    for byte in range(4):
        nibble = selector.astype(np.uint64) >> np.uint64(4 * byte) & np.uint64(15)
        value = pair >> (nibble & np.uint64(7)) * np.uint64(8) & np.uint64(255)
        sign = np.where(value >> np.uint64(7), np.uint64(255), np.uint64(0))
        result |= np.where(nibble & np.uint64(8), sign, value) << np.uint64(8 * byte)
    return result.astype(np.uint32)


def look_up(a: Values, b: Values, c: Values, table: int) -> Values:
    """lop3: any function of three bits."""
    result = np.zeros_like(a)
    for row in range(8):
        if table >> row & 1:
            result |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
    return result


def extract(x: Values, position: Values, length: Values) -> Values:
    """bfe without a sign."""
    shifted = shift("shr", x, position)
    mask = (np.uint64(1) << np.minimum(length, 63).astype(np.uint64)) - np.uint64(1)
    return np.asarray(np.bitwise_and(shifted, mask.astype(x.dtype)), x.dtype)


def insert(x: Values, into: Values, position: Values, length: Values) -> Values:
    """bfi: the low bits of x at a position of another."""
    ones = (np.uint64(1) << np.minimum(length, 63).astype(np.uint64)) - np.uint64(1)
    mask = shift("shl", ones.astype(x.dtype), position)
    return (into & ~mask) | (shift("shl", x, position) & mask)
