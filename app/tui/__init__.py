"""The full-screen chat. The only package that imports Textual; `run` is its door."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.options import ChatOptions
    from qwen3_chat.app.settings.resolve import Settings

__all__ = ["run"]


def run(options: ChatOptions, settings: Settings) -> int:
    """Open the chat and stay until the person leaves. Returns the process's exit code.

    Raises SettingsError before anything is drawn, if the configuration file cannot be used. If the model could not be
    loaded, that error is raised once the window is closed: the screen has shown it, and the caller turns it into an
    exit code as for every other front.
    """
    from qwen3_chat.app.chat.folders import folder
    from qwen3_chat.app.chat.history import open_chat
    from qwen3_chat.app.chat.prompt_history import PromptHistory
    from qwen3_chat.app.streams import warn
    from qwen3_chat.app.tui.app import ChatApp
    from qwen3_chat.app.tui.keymap import Keymap
    from qwen3_chat.app.tui.session import Session

    keymap = Keymap.from_config(settings.config)
    session = Session(options, opened=open_chat(options))
    prompts = PromptHistory(folder("state") / "prompts.jsonl")
    app = ChatApp(options, session, keymap=keymap, history=prompts, settings=settings)
    try:
        app.run()
        failure = app.session.failure  # closing cancels, and what was cancelled has not failed
    finally:
        app.session.close()
    if app.session.keeper.problem is not None:
        warn(f"{app.session.keeper.problem}; not all of this chat is saved")
    if failure is not None:
        raise failure
    return app.return_code or 0
