"""Errors that only the application can make."""

from __future__ import annotations

from qwen3_chat.models.errors import CheckpointError, Qwen3Error

__all__ = ["AttachmentError", "HistoryError", "HubError", "OptionError", "SettingsError"]


class HistoryError(Qwen3Error):
    """The saved chats cannot be read or written. The message names the file; the chat itself goes on unsaved."""


class OptionError(Qwen3Error):
    """A flag has a value that cannot be, or that this checkpoint cannot honour. The message names the flag."""


class SettingsError(OptionError):
    """The configuration file holds what cannot be used. The message names the file, the key and what helps."""


class AttachmentError(Qwen3Error):
    """A file that a message mentions cannot be attached. The message names the file and what helps."""


class HubError(CheckpointError):
    """A model cannot be had from the hub. The message names it, and what helps."""
