"""The small trained Qwen3 checkpoint that ships with the package, so that a chat works with nothing downloaded."""

from pathlib import Path

__all__ = ["path"]


def path() -> Path:
    """Return the folder of the bundled checkpoint: config.json, tokenizer files and one bf16 safetensors file."""
    return Path(__file__).parent / "checkpoint"
