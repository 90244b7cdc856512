"""The model on its way in: how far it is, which one it is, and why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.failure import load_note
from qwen3_chat.app.tui.widgets.header import HeaderLine
from qwen3_chat.app.tui.widgets.welcome import ModelFacts, Welcome

if TYPE_CHECKING:
    from qwen3_chat.app.tui.screens.chat import ChatScreen


class Loading(Part):
    """Looks at the loader, whose thread does the work."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self.failed = False

    @property
    def _welcome(self) -> Welcome | None:
        found = self.chat.query(Welcome)
        return found.first() if found else None

    async def poll(self) -> None:
        """Called by the timer until there is a model."""
        loader = self.session.loader
        if self.session.model is not None:
            return
        if loader.model is not None and not loader.running:
            self.session.adopt(loader.model)
            self.introduce()
            await self.chat.switching.adopted()
        elif loader.error is not None and not loader.running:
            if not self.failed:
                self.failed = True
                await self._show_failure(loader.error)
        elif welcome := self._welcome:
            welcome.show_loading(loader.stage)

    def begin(self) -> None:
        """Another model is on its way in."""
        self.failed = False
        header = self.chat.query_one(HeaderLine)
        header.model, header.details = self.session.place.name, "loading"
        if welcome := self._welcome:
            welcome.show_folder(str(self.session.place))
        self.chat.refresh_meters()

    def introduce(self) -> None:
        """Say in the header and the empty chat which model this is, if it is there."""
        model = self.session.model
        if model is None:
            return
        engine = model.engine
        devices = _devices(engine.devices)
        header = self.chat.query_one(HeaderLine)
        header.model, header.details = model.name, f"{engine.weights} · {devices}"
        if welcome := self._welcome:
            weights = f"{engine.weights} {format.size(engine.memory().weights)}"
            welcome.show_ready(ModelFacts(model.name, weights, devices, model.context, model.is_demo))
        self.chat.refresh_meters()
        self.chat.budget_line.measure()

    def cancel(self) -> bool:
        """Ask the loader to stop. False if nothing is loaded any more."""
        if not self.session.loader.running:
            return False
        self.session.loader.cancel()
        self.chat.say("cancelling the load")
        return True

    async def _show_failure(self, error: BaseException) -> None:
        self.chat.sending.take_back_all()  # it was for this model
        cancelled, name = self.session.loader.cancelled, self.session.place.name
        if self.session.model_before():
            self.failed = False
            await self.chat.switching.went_back(error, name, cancelled=cancelled)
            return
        if welcome := self._welcome:
            welcome.show_failed()
        keys = self.chat.keymap.shown("chat.model"), self.chat.keymap.shown("app.quit_chat")
        await self.transcript.add(load_note(error, keys, cancelled=cancelled))


def _devices(names: tuple[str, ...]) -> str:
    """`cpu:0`, or `2 cpu` for several."""
    if len(names) == 1:
        return names[0]
    kinds = sorted({name.partition(":")[0] for name in names})
    return " + ".join(f"{sum(name.startswith(kind) for name in names)} {kind}" for kind in kinds)
