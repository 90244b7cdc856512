"""nvcc for the tests: compiles a file, or skips the test and says why."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENGINE = HERE.parents[1] / "engine_cpp"
ARCHITECTURES = (pytest.param("sm_80", marks=pytest.mark.full), "sm_120")
"""The oldest and the newest that the backend is compiled for."""


def nvcc() -> str:
    """The compiler; skips the test where there is none."""
    path = shutil.which("nvcc")
    if path is None:
        pytest.skip("nvcc is not installed: what it makes of the kernels is not checked here")
    return path


def compile_with(source: Path, architecture: str, *options: str, output: Path) -> str:
    """Compiles one file; returns what the compiler said."""
    command = [nvcc(), "-std=c++20", f"-I{ENGINE}", f"-arch={architecture}", *options, str(source), "-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="qwen3-ptx-")


@functools.cache
def ptx_of(source: Path, architecture: str) -> Path:
    """The PTX of one file, compiled once a session."""
    output = Path(_folder().name) / f"{source.stem}.{architecture}.ptx"
    compile_with(source, architecture, "-ptx", output=output)
    return output


@functools.cache
def cubin_of(source: Path, architecture: str) -> tuple[Path, str]:
    """The machine code of one file, compiled once a session, and what ptxas says of its registers."""
    output = Path(_folder().name) / f"{source.stem}.{architecture}.cubin"
    return output, compile_with(source, architecture, "-cubin", "-Xptxas=-v", output=output)
