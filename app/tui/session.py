"""The chat behind the screen: the model while it loads and after, the conversation, and the reply that runs.

Knows no widget. Everything happens on the interface's thread; the engine and the loader have threads of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.conversation import Conversation, Message
from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.hub import HubName, obtain
from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.tui.keeper import Keeper
from qwen3_chat.app.tui.loader import Loader, ProgressCallback

if TYPE_CHECKING:
    from qwen3_chat.app.chat.budget import Budget
    from qwen3_chat.app.chat.history import Opened
    from qwen3_chat.app.chat.idle import IdlePrefill
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.replacement import Replacement
    from qwen3_chat.app.chat.scoring import Scoring
    from qwen3_chat.app.chat.turn import Turn
    from qwen3_chat.engine import KVCache


ALTERNATIVES = 10  # likeliest tokens that are kept for every place of a reply


class Session:
    """One model and the conversation that is open."""

    def __init__(self, options: ChatOptions, loader: Loader | None = None, opened: Opened | None = None) -> None:
        """`opened`: the chat to begin with, and where it is saved. `loader` replaces the loading, for tests."""
        self.options = options
        self.place = options.model  # where the model is, or will come from
        self.loader = loader or Loader(self._load)
        self.replacement: Replacement | None = None  # the change of models that runs
        self.model: ChatModel | None = None
        self.thinking = options.thinking  # wish for the next turn; None: as the model likes
        self.conversation = opened.conversation if opened is not None else Conversation(options.system)
        self.keeper = Keeper(opened)
        self.turn: Turn | None = None  # the newest one, also after its end
        self.sampling = options.sampling  # for this and the next replies
        self.waiting: list[str] = []  # drafts as typed, sent one by one as soon as it is possible
        self._cache: KVCache | None = None
        self._idle: IdlePrefill | None = None  # what the engine reads while nobody waits
        self.scoring: Scoring | None = None  # a stored reply is measured, or has been
        self._read_again = False  # another conversation is to be read ahead, once the engine has let go of the last
        self._leaving: list[Turn] = []  # stopped replies of chats that were left

    def _load(self, progress: ProgressCallback) -> ChatModel:
        from qwen3_chat.app.chat.model import ChatModel

        model = ChatModel.load(obtain(self.options.model, progress), self.options.engine, progress)
        wish = self.options.thinking
        if wish is not None and model.thinks(wish) != wish:
            model.close()
            flag, habit = ("--think", "never thinks") if wish else ("--no-think", "always thinks")
            raise OptionError(f"{flag}: {model.name} {habit}; leave the flag out")
        return model

    @property
    def busy(self) -> bool:
        """A reply runs; another can only be queued."""
        return self.turn is not None and not self.turn.done

    @property
    def ready(self) -> bool:
        """A message can be sent now."""
        return self.model is not None and not self.busy

    @property
    def failure(self) -> BaseException | None:
        """Why there is no model; None if there is or may be one, or if the person cancelled the load."""
        return None if self.loader.cancelled or self.model is not None else self.loader.error

    @property
    def title(self) -> str:
        """What the chat is called: what somebody has called it, else the first line that was said."""
        return self.keeper.title(self.conversation)

    @property
    def kv_tokens(self) -> int:
        """Tokens of this conversation that the KV cache holds."""
        return len(self._cache) if self._cache is not None else 0

    @property
    def kv_ids(self) -> list[int]:
        """Those tokens."""
        return self._cache.tokens if self._cache is not None else []

    @property
    def at_rest(self) -> bool:
        """The engine does nothing, not even in the background."""
        idle = self._idle is None or self._idle.done
        return self.ready and idle and self.scoring is None and not self._leaving and not self.keeper.asking

    def adopt(self, model: ChatModel) -> None:
        """The loader is done: this is the model."""
        self.model, self.place, self.replacement = model, model.path, None
        self._cache = model.new_cache()
        self.rest()

    def replace_model(self, place: Path | HubName) -> None:
        """Load another model for this conversation. Only after `wake`, or where there is no model."""
        self.keeper.before_reply(self.conversation)
        self._start(self._lay_down(), place)

    def model_before(self) -> bool:
        """The change of models has failed: take the old one again, or load it again. False: there is none."""
        failed, self.replacement = self.replacement, None
        if failed is None or failed.before is None:
            return False
        if failed.kept is not None:
            self.adopt(failed.kept)
        else:
            self._start(None, failed.before)
        return True

    def _start(self, old: ChatModel | None, place: Path | HubName) -> None:
        from qwen3_chat.app.chat.replacement import Replacement

        self.replacement, self.place = Replacement(old, place, self.options.engine), place
        self.loader = Loader(self.replacement.load)
        self.loader.start()

    def _lay_down(self) -> ChatModel | None:
        """Let go of the model, and of everything that would keep its engine."""
        model, self.model = self.model, None
        if self.scoring is not None:
            self.scoring.stop()
            self.scoring.join()
            self.scoring = None
        self.turn, self._idle, self._cache, self._leaving = None, None, None, []
        return model

    def rest(self) -> None:
        """Nobody waits for a reply: let the engine read ahead what the next prompt begins with."""
        if self.model is None or self._cache is None or self.busy or not (self._idle is None or self._idle.done):
            return
        from qwen3_chat.app.chat.idle import IdlePrefill

        self._idle = IdlePrefill(self.model, self.conversation, self._cache, self.thinking)

    def wake(self) -> bool:
        """Whether a message can be sent now. Idle work is stopped for it, which takes a step of the engine."""
        if not self.ready:
            return False
        idle = [work for work in (self._idle, self.scoring) if work is not None]
        for work in idle:
            work.stop()
        return all(work.done for work in idle)

    def score(self, message: Message) -> None:
        """Measure the tokens of a stored reply; `scoring` then tells. Raises ValueError, Qwen3Error."""
        assert self.model is not None
        from qwen3_chat.app.chat.scoring import Scoring

        held = self._cache if self._idle is None or self._idle.done else None
        self.scoring = Scoring(self.model, self.conversation, message, held, ALTERNATIVES)

    def take_scores(self) -> bool:
        """Called by the timer: what a scoring has measured becomes part of its message. True when one has ended."""
        scoring = self.scoring
        if scoring is None or not scoring.done:
            return False
        self.scoring = None
        if scoring.trace is not None and len(scoring.trace) == len(scoring.message.token_ids):
            scoring.message.trace = scoring.trace
        return True

    def measure(self, draft: str | None, upto: str | None = None) -> Budget | None:
        """What sending this would take, in the place of the message `upto` if given; None without a model.

        Raises TemplateError.
        """
        if self.model is None:
            return None
        from qwen3_chat.app.chat.budget import measure

        return measure(self.model, self.conversation, draft, self.thinking, self.sampling.max_tokens, upto)

    def drop_oldest(self, draft: str) -> list[Message] | None:
        """Leave out old turns until the draft fits; see `trim.drop_oldest`."""
        if self.model is None:
            return None
        from qwen3_chat.app.chat.trim import drop_oldest

        return drop_oldest(self.model, self.conversation, draft, self.thinking, self.sampling.max_tokens)

    def reply(self, message: Message | None = None) -> Turn:
        """Start a reply to the active path, or into the message that `regenerate` or `continue_` gave.

        Only after `wake`.
        """
        assert self.ready
        assert self.model is not None
        from qwen3_chat.app.chat.turn import Turn

        self.keeper.before_reply(self.conversation)
        self.turn = Turn.start(
            self.model,
            self.conversation,
            self._cache,
            self.sampling,
            self.thinking,
            message=message,
            alternatives=ALTERNATIVES,
        )
        return self.turn

    def summarise(self) -> Turn:
        """Start the summary of the older messages. Only after `wake`. Raises NothingToSummarise."""
        assert self.ready
        assert self.model is not None
        from qwen3_chat.app.chat.summary import start_summary

        self.turn = start_summary(self.model, self.conversation, self._cache, self.sampling)
        return self.turn

    def change_sampling(self, sampling: SamplingOptions) -> None:
        """Draw so from now on, in the reply that runs too."""
        self.sampling = sampling
        if self.turn is not None and self.busy:
            self.turn.update(sampling)

    def toggle_thinking(self) -> bool | None:
        """Turn thinking for the next reply over. Returns what it will be; None if the model leaves no choice."""
        if self.model is not None and self.model.thinking_mode != "switch":
            return None
        self.thinking = self.thinking is False
        return self.thinking

    def keep(self) -> None:
        """Called by the timer: save what is new, and find a title when there is nothing else to do."""
        at_rest = self._idle is not None and self._idle.done and not self.busy
        if at_rest and self._read_again:
            self._read_again, at_rest = False, False
            self.rest()
        self.keeper.tick(self.conversation, self.model if at_rest else None)

    def restart(self, conversation: Conversation | None = None) -> None:
        """Another conversation (default: an empty one), with a cache of its own; what ran is stopped."""
        if self.turn is not None and not self.turn.done:
            self.turn.stop()
            self._leaving.append(self.turn)
        self.turn = None
        self.waiting.clear()
        self.conversation = conversation or Conversation(self.options.system)
        if self._idle is not None:
            self._idle.stop()  # kept until it is done: dropping it would wait
        if self.model is not None:
            self._cache = self.model.new_cache()
            self._read_again = conversation is not None

    def poll_left(self) -> None:
        """Let replies of chats that were left come to their end."""
        for turn in self._leaving:
            turn.poll()
        self._leaving = [turn for turn in self._leaving if not turn.done]

    def close(self) -> None:
        """Save, stop everything and free the memory. Blocks until the engine's threads are gone."""
        if self.turn is not None:
            self.turn.poll()  # the last words
        self.keeper.close(self.conversation)
        self.loader.cancel()
        self.loader.join()
        model = self._lay_down() or self.loader.model
        if self.replacement is not None:
            self.replacement.let_go()
        if model is not None:
            model.close()
