"""A module and its memory, to launch kernels by name as a host program would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ptx.block import Dim, Launch, run_grid
from ptx.memory import GlobalMemory
from ptx.module import Kernel, Module, PtxError

Argument = int | float | bytes


class Device:
    def __init__(self, ptx: Path) -> None:
        self.module = Module.parse(ptx.read_text())
        self.memory = GlobalMemory()

    def put(self, values: NDArray[np.generic], address: int | None = None) -> int:
        """The address of a copy: the one that is given, or any."""
        return self.memory.allocate(values, address)

    def get(self, address: int, like: NDArray[np.generic]) -> NDArray[np.generic]:
        return self.memory.read_back(address, like)

    def launch(
        self,
        parts: Sequence[str],
        grid: Sequence[int],
        threads: int,
        arguments: Sequence[Argument],
        dynamic_shared: int = 0,
        only: Sequence[Dim] = (),
    ) -> int:
        """Runs the kernel whose mangled name contains all parts, all blocks of the grid or only some; returns how many
        instructions were issued."""
        kernel = self.module.find(*parts)
        if len(arguments) != len(kernel.parameters):
            raise PtxError(f"{kernel.name} takes {len(kernel.parameters)} arguments, not {len(arguments)}")
        x, y, z = (*grid, 1, 1)[:3]
        packed = _pack(kernel, arguments)
        return run_grid(
            Launch(self.module, kernel, self.memory, packed, (x, y, z), (threads, 1, 1), dynamic_shared, only)
        )


def _pack(kernel: Kernel, arguments: Sequence[Argument]) -> list[bytes]:
    """The bytes of each argument: an integer or an address in the parameter's size, a float as f32."""
    packed = []
    for (_, size), argument in zip(kernel.parameters, arguments, strict=True):
        match argument:
            case bytes():
                packed.append(argument)
            case float():
                packed.append(np.float32(argument).tobytes())
            case int():
                packed.append(argument.to_bytes(size, "little"))
    return packed
