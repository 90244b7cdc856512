"""`qwen3-chat doctor`: what is there, what is missing, and what helps. It changes nothing."""

from qwen3_chat.app.doctor.cli import build_parser, main

__all__ = ["build_parser", "main"]
