from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "safetensors", "textual"}


@pytest.mark.parametrize(
    "module",
    [
        "errors",
        "files",
        "config",
        "checkpoint",
        "formats.safetensors",
        "tokenizer",
        "chat_template",
        "template_sandbox",
    ],
)
def test_reading_a_checkpoint_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, qwen3_chat.models.{module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(result.stdout.split())
