"""A failed load in words: what happened, why, and what to do next."""

from __future__ import annotations

from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.models.errors import Qwen3Error


def load_note(error: BaseException, *, cancelled: bool) -> Note:
    """The note for the transcript."""
    if cancelled:
        return Note("warning", "Loading was cancelled", what_next="ctrl+q quits; start again to load the model")
    if isinstance(error, Qwen3Error | MemoryError):
        why = str(error) or "out of memory"
        return Note("error", "The model could not be loaded", why, "ctrl+q quits; start again once that is put right")
    why = f"unexpected {type(error).__name__}: {error}"
    return Note(
        "error", "The model could not be loaded", why, "ctrl+q quits; please report it, with what --debug shows"
    )
