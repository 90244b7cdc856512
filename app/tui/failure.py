"""A failed load in words: what happened, why, and what to do next."""

from __future__ import annotations

from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.models.errors import Qwen3Error


def load_note(error: BaseException, keys: tuple[str, str], *, cancelled: bool) -> Note:
    """The note for the transcript. `keys`: of choosing another model, and of quitting; "" for one that has none."""
    ways = " · ".join(f"{key} {what}" for key, what in zip(keys, ("chooses a model", "quits"), strict=True) if key)
    if cancelled:
        return Note("warning", "Loading was cancelled", what_next=ways)
    return Note("error", "The model could not be loaded", reason(error), ways)


def reason(error: BaseException) -> str:
    """Why it failed; what nobody has foreseen is to be reported."""
    if isinstance(error, Qwen3Error | MemoryError):
        return str(error) or "out of memory"
    return f"unexpected {type(error).__name__}: {error}; please report it, with what --debug shows"
