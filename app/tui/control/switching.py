"""Going on with another model: choosing it, and what becomes of the chat when it is there or cannot be had."""

from __future__ import annotations

from pathlib import Path

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.model import preflight
from qwen3_chat.app.chat.recent import RecentModels
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.failure import reason
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.welcome import Welcome
from qwen3_chat.models.errors import Qwen3Error


class Switching(Part):
    """The conversation stays; only who replies changes."""

    async def action_chat_model(self, path: str) -> None:
        """Go on with the model at this path, or choose one."""
        if path:
            await self._choose(Path(path).expanduser())
            return
        from qwen3_chat.app.chat.known_models import known_models
        from qwen3_chat.app.tui.screens.models import ModelsScreen

        try:
            listed = Config.load().models  # what was written there since the start counts, too
        except SettingsError as error:
            await self.transcript.add(Note("error", "The list of models cannot be read", str(error)))
            listed = {}
        self.chat.app.push_screen(ModelsScreen(known_models(listed), self.session.folder), self._chosen)

    async def _chosen(self, path: Path | None) -> None:
        if path is not None:
            await self._choose(path)

    async def _choose(self, path: Path) -> None:
        session = self.session
        if session.model is not None and path.resolve() == session.folder.resolve():
            self.chat.say("this model is loaded already")
            return
        if session.loader.running:
            self.chat.say(f"{session.folder.name} is still being loaded; {self._stop} cancels that")
            return
        try:
            preflight(path)
        except Qwen3Error as error:
            await self.transcript.add(Note("error", "This model cannot be opened", str(error)))
            return
        if session.model is None:
            await self._begin(path)
            return
        if session.busy:
            self.chat.say("first comes the reply that is being written, then the other model")
        self.chat.sending.after_reply(lambda: self._begin(path))

    @property
    def _stop(self) -> str:
        return self.chat.keymap.shown("turn.stop") or "/stop"

    async def _begin(self, path: Path) -> None:
        self.session.replace_model(path)
        self.chat.model_load.begin()

    async def adopted(self) -> None:
        """A model is there."""
        model = self.session.model
        assert model is not None
        if not model.is_demo:
            RecentModels().add(model.path)
        if self._has_history:
            engine = model.engine
            size = format.size(engine.memory().weights)
            context = format.exact(model.context)
            what = f"{model.name} goes on: {engine.weights} {size}, {context} tokens of context"
            await self.transcript.add(Note("info", what))

    @property
    def _has_history(self) -> bool:
        return any(not isinstance(entry, Welcome) for entry in self.transcript.entries)

    async def went_back(self, error: BaseException, name: str, *, cancelled: bool) -> None:
        """The other model, called `name`, did not come; the session goes on with the one before."""
        model = self.session.model
        if model is None:  # its memory was needed
            what_next = f"{self.session.folder.name} is loaded again"
            self.chat.model_load.begin()
        else:
            what_next = f"{model.name} is still there"
            self.chat.model_load.introduce()
        if cancelled:
            await self.transcript.add(Note("warning", f"Loading {name} was cancelled", what_next=what_next))
        else:
            await self.transcript.add(Note("error", f"{name} could not be loaded", reason(error), what_next))
