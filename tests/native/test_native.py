"""Every native test program of the build, as one test each.

They lie in $QWEN3_NATIVE_TESTS, or where a development build puts them: build/native/tests/native.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = Path(os.environ.get("QWEN3_NATIVE_TESTS") or HERE.parents[1] / "build" / "native" / "tests" / "native")
NAMES = sorted(source.stem for source in [*HERE.glob("*_test.cpp"), *HERE.glob("*_test.c")])


def test_there_are_programs() -> None:
    assert "c_api_test" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_program(name: str) -> None:
    program = PROGRAMS / name
    if not program.is_file():
        pytest.fail(
            f"{program} is missing: build with -DQWEN3_BUILD_TESTS=ON and name its folder in QWEN3_NATIVE_TESTS"
        )
    result = subprocess.run([program], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stdout}{result.stderr}"
