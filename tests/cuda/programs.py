"""The programs that tests/cuda/CMakeLists.txt builds: where they lie and how they are run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = Path(os.environ.get("QWEN3_NATIVE_TESTS") or HERE.parents[1] / "build" / "native" / "tests" / "native")
PROGRAMS = NATIVE.parent / "cuda"

ORDERS = ("forward", "reverse", "random")
"""In which threads of a block run between two barriers, and blocks of a grid."""


def run(name: str, *arguments: str, order: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Runs a program over the emulator; fails the test when it was not built."""
    program = PROGRAMS / name
    if not program.is_file():
        pytest.fail(f"{program} is missing: build with -DQWEN3_BUILD_TESTS=ON -DQWEN3_CUDA_EMU=ON, by GCC")
    environment: Mapping[str, str] = {**os.environ, "QWEN3_EMU_ORDER": order}
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )
