"""Line mode: a chat in whole sentences, that a screen reader and a dumb terminal can follow."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

from qwen3_chat.app import streams
from qwen3_chat.app.chat.budget import measure
from qwen3_chat.app.chat.history import open_chat
from qwen3_chat.app.chat.idle import IdlePrefill
from qwen3_chat.app.chat.model import COMPLETES
from qwen3_chat.app.chat.turn import Turn

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation, Message
    from qwen3_chat.app.chat.history import History
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.options import ChatOptions

__all__ = ["repl"]

SENTENCE = re.compile(r".*(?:[.!?:][\"')\]]*\s|[。！？\n])", re.DOTALL)
CONTINUE = "/continue"


def repl(options: ChatOptions) -> int:
    """Converse line by line until end of input; Ctrl+C stops a reply. Returns the exit code.

    Typed errors of loading are raised; a reply that fails is reported, and the conversation goes on.
    """
    interactive = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    opened = open_chat(options)
    if opened.problem is not None:
        streams.warn(f"{opened.problem}; this chat is not saved")
    try:
        with streams.load(options, in_lines=True) as model:
            if interactive:
                import readline  # noqa: F401  (makes input() a line editor)

                sys.stderr.write(f"Talking to {model.name}. Ctrl+C stops a reply, Ctrl+D leaves.\n")
                if model.completes:
                    sys.stderr.write(f"{COMPLETES}\n")
            chat = _LineChat(options, model, opened.conversation, opened.history)
            chat.recall()
            while (line := _read_line(interactive)) is not None:
                if line.strip():
                    chat.take(line)
            return 1 if chat.failed and not interactive else 0
    finally:
        if opened.history is not None and (problem := opened.history.close()) is not None:
            streams.warn(f"{problem}; not all of this chat is saved")


class _LineChat:
    """The conversation behind the lines."""

    def __init__(
        self, options: ChatOptions, model: ChatModel, conversation: Conversation, history: History | None
    ) -> None:
        self.failed = False
        self._options = options
        self._model = model
        self._conversation = conversation
        self._history = history
        self._cache = model.new_cache()
        self._idle = IdlePrefill(model, conversation, self._cache, options.thinking)
        self._told: str | None = None  # the reason for not saving that was told last

    def recall(self) -> None:
        """Say where a resumed chat stands: its last question and its last reply."""
        path = self._conversation.path()
        if not path:
            return
        _say(f"Going on with a chat of {len(path)} messages. The last ones were:")
        for message in path[-2:]:
            _say(f"{'You' if message.role == 'user' else 'Assistant'}: {message.content.strip()}")
        if path[-1].role == "assistant":
            self._tell_end(path[-1])

    def take(self, line: str) -> None:
        """Answer a line, or let the last reply go on."""
        if line.strip() == CONTINUE:
            self._continue()
            return
        options = self._options
        budget = measure(self._model, self._conversation, line, options.thinking, options.sampling.max_tokens)
        if not budget.can_send:
            _say(f"This does not fit: {budget.prompt_tokens} tokens, and the context has {budget.context}.")
            self.failed = True
            return
        if not budget.fits:
            _say(f"The context is nearly full: {budget.context - budget.prompt_tokens} tokens are left to reply.")
        self._conversation.add_user(line)
        self._reply(None)

    def _continue(self) -> None:
        last = self._conversation.last
        if last is None or last.role != "assistant":
            _say("There is no reply that could go on.")
            self.failed = True
            return
        self._reply(self._conversation.continue_(last.id))

    def _reply(self, message: Message | None) -> None:
        if self._history is not None:
            self._history.save(self._conversation)
        self._idle.cancel()
        options = self._options
        turn = Turn.start(
            self._model, self._conversation, self._cache, options.sampling, options.thinking, message=message
        )
        with streams.on_interrupt(turn.stop):
            self._speak(turn)
        self.failed = self.failed or turn.error is not None
        if options.verbose:  # figures behind every reply are not what one wants to have read out
            streams.write_stats(options, turn.message)
        self._save()
        self._idle = IdlePrefill(self._model, self._conversation, self._cache, options.thinking)

    def _save(self) -> None:
        if self._history is None:
            return
        self._history.save(self._conversation)
        problem = self._history.problem
        if problem is not None and problem != self._told:
            streams.warn(f"{problem}; the chat goes on unsaved")
        self._told = problem

    def _speak(self, turn: Turn) -> None:
        """Write a reply sentence by sentence."""
        waiting, said, thinking = "", False, False
        for update in turn:
            if update.thinking_delta and not thinking:
                thinking = True
                _say("The assistant is thinking.")
            waiting += update.answer_delta
            sentences = waiting if update.done else (SENTENCE.match(waiting) or [""])[0]
            waiting = waiting[len(sentences) :]
            if sentences:
                streams.write(sys.stdout, sentences if said else f"Assistant: {sentences}")
                said = True
            if self._history is not None:
                self._history.keep(self._conversation)
        if said:
            streams.write(sys.stdout, "\n")
        for call in turn.message.tool_calls:
            _say(f"The assistant calls {call.name} with {call.arguments}.")
        self._tell_end(turn.message)

    def _tell_end(self, reply: Message) -> None:
        if reply.state == "stopped":
            _say("The reply was stopped.")
        elif reply.state == "interrupted":
            _say(f"The reply was interrupted. Type {CONTINUE} to let it go on.")
        elif reply.note:
            _say(f"Error: {reply.note}." if reply.state == "error" else f"Note: {reply.note}.")


def _say(sentence: str) -> None:
    streams.write(sys.stdout, sentence + "\n")


def _read_line(interactive: bool) -> str | None:
    """What the person says next; None at the end of input. Piped input is echoed, so that the output is whole."""
    try:
        line = input("You: ").encode(errors="replace").decode()
    except EOFError:
        streams.write(sys.stdout, "\n")
        return None
    if not interactive:
        _say(line)
    return line
