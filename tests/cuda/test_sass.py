"""The machine code of the kernels: tensor cores and asynchronous copies where they belong, wide loads, no spills.

The backend's own build fails on a spill in any kernel; here the instances of ptx/instances.cu are looked at.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from nvcc import ARCHITECTURES, cubin_of

INSTANCES = Path(__file__).parent / "ptx" / "instances.cu"
GEMVS = ("norm_qkv", "project_residual", "norm_gate_up_silu", "norm_head")


def nvdisasm() -> str:
    """The disassembler, of the CUDA toolkit or of its package; skips the test where there is none."""
    if path := shutil.which("nvdisasm"):
        return path
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nvdisasm":
            return str(file.locate())
    pytest.skip("nvdisasm is not installed (pip install nvidia-cuda-nvdisasm): machine code is not looked at here")


@functools.cache
def kernels(architecture: str) -> dict[str, set[str]]:
    """Opcodes with their suffixes, by mangled kernel name."""
    cubin, _ = cubin_of(INSTANCES, architecture)
    text = subprocess.run([nvdisasm(), "-c", str(cubin)], capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^\.text\.(\w+):$", text, flags=re.MULTILINE)
    pattern = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]*)", flags=re.MULTILINE)
    return {name: set(pattern.findall(body)) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def opcodes(architecture: str, part: str) -> set[str]:
    found = [codes for name, codes in kernels(architecture).items() if part in name]
    assert len(found) == 1, part
    return found[0]


def has(codes: set[str], prefix: str) -> bool:
    return any(code.startswith(prefix) for code in codes)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_registers_are_not_spilled(architecture: str) -> None:
    _, said = cubin_of(INSTANCES, architecture)
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill", said)]
    assert len(spills) >= 2 * 13 and not any(spills), said


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_kernel_has_local_memory(architecture: str) -> None:
    for name, codes in kernels(architecture).items():
        assert not has(codes, "STL") and not has(codes, "LDL"), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_prefill_runs_on_tensor_cores(architecture: str) -> None:
    codes = opcodes(architecture, "attention_prefill")
    for prefix in ("HMMA.16816.F32.BF16", "LDSM.16.M88.4", "LDSM.16.MT88.4", "LDGSTS.E.BYPASS.128"):
        assert has(codes, prefix), f"{prefix} is not among {sorted(codes)}"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", [*GEMVS, "attention_decode", "copy_pages"])
def test_loads_of_weights_and_pages_are_wide(kernel: str, architecture: str) -> None:
    assert has(opcodes(architecture, kernel), "LDG.E.128")
