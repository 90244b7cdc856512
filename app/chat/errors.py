"""Errors that only the application can make."""

from __future__ import annotations

from qwen3_chat.models.errors import Qwen3Error

__all__ = ["OptionError"]


class OptionError(Qwen3Error):
    """A flag has a value that cannot be, or that this checkpoint cannot honour. The message names the flag."""
