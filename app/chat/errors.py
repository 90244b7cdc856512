"""Errors that only the application can make."""

from __future__ import annotations

from qwen3_chat.models.errors import Qwen3Error

__all__ = ["AttachmentError", "OptionError", "SettingsError"]


class OptionError(Qwen3Error):
    """A flag has a value that cannot be, or that this checkpoint cannot honour. The message names the flag."""


class SettingsError(OptionError):
    """The configuration file holds what cannot be used. The message names the file, the key and what helps."""


class AttachmentError(Qwen3Error):
    """A file that a message mentions cannot be attached. The message names the file and what helps."""
