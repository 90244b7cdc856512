"""The token lens: which reply it shows, where its cursor goes, and branching at an alternative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.branching import branch_at
from qwen3_chat.app.chat.lens import TokenFacts, facts
from qwen3_chat.app.chat.sampling import resolve
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.render.tokens import token_text
from qwen3_chat.app.tui.widgets.token_lens import LensTitle, LensView, TokenDetail, TokenLens, TokenText
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Message
    from qwen3_chat.app.tui.screens.chat import ChatScreen
    from qwen3_chat.engine import SamplingParams


class Lens(Part):
    """One reply at a time, and one alternative of the token under the cursor."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self._message: Message | None = None
        self._facts: TokenFacts | None = None
        self._chosen = 0  # of the alternatives

    @property
    def _panel(self) -> TokenLens:
        return self.chat.query_one(TokenLens)

    @property
    def _text(self) -> TokenText:
        return self.chat.query_one(TokenText)

    # Opening and closing

    def action_view_lens(self) -> None:
        """Open it on the message under the cursor, else on the newest reply; close it again."""
        if self._panel.is_open:
            self.close()
            return
        target = self.chat.messages.cursor
        self._message = target.message if target is not None and self._is_reply(target.message) else self._newest()
        if self._message is None:
            self.chat.say("there is no reply yet to look at")
            return
        self._toggle()
        self.refresh()
        self.chat.set_focus(self._text)

    def _toggle(self) -> None:
        self._panel.toggle()
        self.chat.set_class(self._panel.is_open, "-lens")

    def close(self) -> bool:
        """Close it. False if it was not open."""
        if not self._panel.is_open:
            return False
        self._toggle()
        self.chat.set_focus(self.prompt.area)
        return True

    def follow(self, message: Message) -> None:
        """Another reply is being written: look at that one, if anyone looks; at its newest token, if it has some."""
        if self._panel.is_open:
            self._message = message
            self.refresh()
            self.action_lens_last()

    def forget(self) -> None:
        """The chat is left."""
        self._message = self._newest()
        if self._panel.is_open:
            self.refresh()

    @staticmethod
    def _is_reply(message: Message | None) -> bool:
        return message is not None and message.role != "user" and bool(message.token_ids)

    def _newest(self) -> Message | None:
        return next((each for each in reversed(self.session.conversation.path()) if self._is_reply(each)), None)

    # What is shown

    def refresh(self) -> None:
        """Show the reply as it is now."""
        model = self.session.model
        if model is None or not self._panel.is_open:
            return
        if self._text.show(self._message, model.tokenizer):
            self._chosen = 0
        self.describe()

    def describe(self) -> None:
        """Say what is known of the token under the cursor."""
        model, message, index = self.session.model, self._message, self._text.cursor
        detail, title = self.chat.query_one(TokenDetail), self.chat.query_one(LensTitle)
        if model is None or message is None or index >= len(message.token_ids):
            self._facts, detail.view, title.detail = None, None, ""
            detail.empty = "no reply here has tokens to look at"
            return
        known = facts(message, index, self._sampling(message), model.tokenizer.vocab_size)
        if self._facts is None or (self._facts.index, self._facts.id) != (known.index, known.id):
            self._chosen = next((at for at, one in enumerate(known.alternatives) if not one.drawn), 0)
        self._facts = known
        ids = {known.id, *(one.id for one in known.alternatives)}
        title.detail = f"{format.exact(len(message.token_ids))} of the reply"
        detail.view = LensView(
            facts=known,
            tokens=len(message.token_ids),
            names={id: token_text(model.tokenizer, id) for id in ids},
            chosen=self._chosen,
            filters=_filters(self._sampling(message)),
            hint=self._hint(known),
        )

    def _sampling(self, message: Message) -> SamplingParams:
        """As it was for the reply that was made last; for older ones, as it is set now."""
        turn = self.session.turn
        if turn is not None and turn.message is message:
            return turn.sampling
        model = self.session.model
        assert model is not None
        thinking = model.thinks(message.thought)
        return resolve(self.session.sampling, model.defaults, thinking=thinking, vocab_limit=model.tokenizer.vocab_size)

    def _hint(self, known: TokenFacts) -> str:
        shown = self.chat.keymap.shown
        if len(known.alternatives) < 2:
            return f"no alternatives are known; {shown('lens.score')} measures the reply anew"
        return f"{shown('lens.lower')} chooses, {shown('lens.branch')} branches at ▸"

    # What is measured on demand

    def action_lens_score(self) -> None:
        """Measure a reply that is shown without its alternatives."""
        message = self._message
        if message is None or self.session.scoring is not None:
            return
        if all(message.trace.tops) and len(message.trace) == len(message.token_ids):
            self.chat.say("every token of it is measured")
        elif not self.session.ready:
            self.chat.say("the engine is busy; try again when the reply has ended")
        else:
            try:
                self.session.score(message)
            except (ValueError, Qwen3Error) as error:
                self.chat.say(str(error), 6.0)
            self.refresh()

    def poll(self) -> None:
        """Called by the timer: what was measured is shown."""
        scoring = self.session.scoring
        if scoring is None:
            return
        if self.session.take_scores():
            if scoring.error is not None:
                self.chat.say(f"not measured: {scoring.error}", 6.0)
            self.refresh()
        elif self._panel.is_open and scoring.message is self._message:
            of = format.exact(len(scoring.message.token_ids))
            self.chat.query_one(LensTitle).detail = f"measuring {format.exact(scoring.measured)} of {of}"

    # The cursor

    def action_lens_next(self) -> None:
        """One token on."""
        self._text.cursor += 1

    def action_lens_previous(self) -> None:
        """One token back."""
        self._text.cursor -= 1

    def action_lens_down(self) -> None:
        """A line down."""
        self._text.step_line(1)

    def action_lens_up(self) -> None:
        """A line up."""
        self._text.step_line(-1)

    def action_lens_first(self) -> None:
        """To the first token."""
        self._text.cursor = 0

    def action_lens_last(self) -> None:
        """To the last token."""
        self._text.cursor = len(self._message.token_ids) - 1 if self._message is not None else 0

    def action_lens_surprise(self) -> None:
        """To the next token that surprises."""
        self._text.step_surprise(1)

    def action_lens_surprise_before(self) -> None:
        """To the one before."""
        self._text.step_surprise(-1)

    # The alternatives

    def action_lens_lower(self) -> None:
        """The next less likely alternative."""
        self._choose(self._chosen + 1)

    def action_lens_higher(self) -> None:
        """The next likelier alternative."""
        self._choose(self._chosen - 1)

    def _choose(self, place: int) -> None:
        if self._facts is not None and self._facts.alternatives:
            self._chosen = max(0, min(place, len(self._facts.alternatives) - 1))
            self.describe()

    def action_lens_branch(self) -> None:
        """A new version of the reply that goes on from the chosen alternative."""
        message, known = self._message, self._facts
        if message is None or known is None or not known.alternatives:
            self.chat.say("there is no alternative to branch at")
            return
        token = known.alternatives[self._chosen].id
        if known.alternatives[self._chosen].drawn:
            self.chat.say("this is the token that stands there; choose another one")
            return
        index = known.index
        self.chat.sending.at_once(lambda: self._branch(message, index, token))

    async def _branch(self, message: Message, index: int, token: int) -> None:
        model = self.session.model
        assert model is not None
        try:
            branched = branch_at(model, self.session.conversation, message, index, token)
        except (ValueError, Qwen3Error) as error:
            self.chat.say(str(error), 6.0)
            return
        if branched.state == "streaming":
            await self.chat.following.follow(self.session.reply(branched))
        else:
            await self.chat.show_path()
            self.follow(branched)


def _filters(sampling: SamplingParams) -> str:
    """The settings that decide which tokens can be drawn."""
    words = [f"T {sampling.temperature:g}"]
    words += [f"top_k {sampling.top_k}"] if sampling.top_k else []
    words += [f"top_p {sampling.top_p:g}"] if sampling.top_p < 1 else []
    words += [f"min_p {sampling.min_p:g}"] if sampling.min_p else []
    return " · ".join(words)
