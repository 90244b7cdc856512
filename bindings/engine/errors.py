"""What can go wrong in the engine, each worded for the person who reads it. The C++ errors arrive as these classes."""

from qwen3_chat.models.errors import CheckpointError, ConfigError, Qwen3Error

__all__ = [
    "Cancelled",
    "CheckpointError",
    "ConfigError",
    "ContextOverflow",
    "DeviceError",
    "EngineError",
    "OutOfMemory",
    "Qwen3Error",
]


class EngineError(Qwen3Error):
    """The engine cannot do what it was asked to do."""


class DeviceError(EngineError):
    """A device does not exist, cannot hold its share of the model, failed during a step, or is closed."""


class OutOfMemory(EngineError):  # noqa: N818
    """The machine's memory or the KV budget is exhausted."""


class ContextOverflow(EngineError):  # noqa: N818
    """More tokens than the context holds."""


class Cancelled(EngineError):  # noqa: N818
    """The caller asked to stop, for instance from the progress callback of a load."""
