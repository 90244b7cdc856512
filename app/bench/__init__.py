"""`qwen3-chat bench`: what this machine makes of a checkpoint."""

from qwen3_chat.app.bench.cli import build_parser, main

__all__ = ["build_parser", "main"]
