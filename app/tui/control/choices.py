"""What the person decides about the next replies: thinking, sampling, the system prompt."""

from __future__ import annotations

from dataclasses import replace

from qwen3_chat.app.settings.schema import BY_NAME
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.header import HeaderLine

_BUDGET = BY_NAME["thinking-budget"].kind


class Choices(Part):
    """Switches, and the overlays for what needs more than a switch."""

    def action_turn_thinking(self) -> None:
        """Turn thinking over for the next reply."""
        self._wish(self.session.thinking is False)

    async def action_turn_think(self, message: str) -> None:
        """Think from now on; send the message, if there is one."""
        self._wish(True)
        if message:
            await self.chat.sending.send(message)

    async def action_turn_no_think(self, message: str) -> None:
        """Answer at once from now on; send the message, if there is one."""
        self._wish(False)
        if message:
            await self.chat.sending.send(message)

    def _wish(self, thinking: bool) -> None:
        self.session.thinking = thinking
        self.chat.say("the next reply thinks first" if thinking else "the next reply does not think")
        self.chat.budget_line.measure()

    def action_turn_budget(self, tokens: str) -> None:
        """Set, say or lift the thinking budget; the reply that runs heeds it, too."""
        if tokens in ("off", "none"):
            self.session.change_sampling(replace(self.session.sampling, thinking_budget=None))
        elif tokens:
            try:
                budget = int(_BUDGET.parse(tokens))
            except ValueError as error:
                self.chat.say(f"/budget: {error}", 6.0)
                return
            self.session.change_sampling(replace(self.session.sampling, thinking_budget=budget))
        budget_now = self.session.sampling.thinking_budget
        if budget_now is None:
            self.chat.say("thinking has no budget; /budget 500 gives it one")
        else:
            self.chat.say(
                f"after {format.exact(budget_now)} tokens of thinking the answer begins; /budget off lifts it"
            )

    def action_turn_sampling(self) -> None:
        """The panel; what is changed there holds at once."""
        from qwen3_chat.app.tui.screens.sampling import SamplingScreen

        def changed() -> None:
            self.chat.budget_line.measure()  # the longest reply is part of the budget

        self.chat.app.push_screen(SamplingScreen(self.session, changed))

    def action_chat_system(self, text: str) -> None:
        """Set the system prompt, or open its editor."""
        if text:
            self._set_system(text)
            return
        from qwen3_chat.app.tui.screens.system_prompt import SystemPromptScreen

        def done(written: str | None) -> None:
            if written is not None:
                self._set_system(written)

        self.chat.app.push_screen(SystemPromptScreen(self.session.conversation.system or "", self.chat.keymap), done)

    def _set_system(self, text: str) -> None:
        self.session.conversation.system = text.strip() or None
        self.show_system()
        self.session.rest()
        self.chat.budget_line.measure()
        self.chat.say("the next reply heeds the new system prompt" if text.strip() else "no system prompt any more")

    def show_system(self) -> None:
        """In the header."""
        self.chat.query_one(HeaderLine).system = self.session.conversation.system or ""
