"""Going on with another model: choosing it, and what becomes of the chat when it is there or cannot be had."""

from __future__ import annotations

from pathlib import Path

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.hub import HubName, find
from qwen3_chat.app.chat.model import preflight
from qwen3_chat.app.chat.recent import RecentModels
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.failure import reason
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.models.errors import Qwen3Error


class Switching(Part):
    """The conversation stays; only who replies changes."""

    async def action_chat_model(self, typed: str) -> None:
        """Go on with the model of this path or name, or choose one."""
        if typed:
            await self._choose(find(typed))
            return
        from qwen3_chat.app.chat.known_models import known_models
        from qwen3_chat.app.tui.screens.models import ModelsScreen

        try:
            listed = Config.load().models  # what was written there since the start counts, too
        except SettingsError as error:
            await self.transcript.add(Note("error", "The list of models cannot be read", str(error)))
            listed = {}
        current = self.session.model.path if self.session.model is not None else None
        self.chat.app.push_screen(ModelsScreen(known_models(listed), current), self._chosen)

    async def _chosen(self, place: Path | HubName | None) -> None:
        if place is not None:
            await self._choose(place)

    async def _choose(self, place: Path | HubName) -> None:
        session = self.session
        if session.model is not None and isinstance(place, Path) and _same(place, session.model.path):
            self.chat.say("this model is loaded already")
            return
        if session.loader.running:
            self.chat.say(f"{session.place.name} is still being loaded; {self._stop} cancels that")
            return
        try:
            if isinstance(place, Path):
                preflight(place)
        except Qwen3Error as error:
            await self.transcript.add(Note("error", "This model cannot be opened", str(error)))
            return
        if session.model is None:
            self._begin(place)
            return
        if session.busy:
            self.chat.say("first comes the reply that is being written, then the other model")
        self.chat.sending.after_reply(lambda: self._begin_next(place))

    @property
    def _stop(self) -> str:
        return self.chat.keymap.shown("turn.stop") or "/stop"

    async def _begin_next(self, place: Path | HubName) -> None:
        self._begin(place)

    def _begin(self, place: Path | HubName) -> None:
        self.session.replace_model(place)
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
        return any(isinstance(entry, UserMessage | AssistantMessage) for entry in self.transcript.entries)

    async def went_back(self, error: BaseException, name: str, *, cancelled: bool) -> None:
        """The other model, called `name`, did not come; the session goes on with the one before."""
        model = self.session.model
        if model is None:  # its memory was needed
            what_next = f"{self.session.place.name} is loaded again"
            self.chat.model_load.begin()
        else:
            what_next = f"{model.name} is still there"
            self.chat.model_load.introduce()
        if cancelled:
            await self.transcript.add(Note("warning", f"Loading {name} was cancelled", what_next=what_next))
        else:
            await self.transcript.add(Note("error", f"{name} could not be loaded", reason(error), what_next))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.expanduser().samefile(other.expanduser())
    except (OSError, RuntimeError):  # one of them is not there
        return False
