"""A chat window over a scripted model, for tests and for looking at it: speed, memory and profile are made up here."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from scripted import Line, Scripted, ScriptedEngine, scripted
from textual.pilot import Pilot

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.memory_speed import MemorySpeed
from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.loader import Loader, ProgressCallback
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.prompt import Prompt
from qwen3_chat.app.tui.widgets.transcript import Transcript

PAGE = 64
LAYERS = 5
LAYER_VERBS = (
    "norm_qkv",
    "qk_norm_rope_append",
    "attention",
    "o_residual",
    "norm_gate_up_silu",
    "down_residual",
    "all_reduce",
)
KV_BYTES = 1024  # a token
THREADS = 3
MEMORY_SPEED = 20e9  # bytes/s, as if it had been measured on so many threads
PATIENCE_S = 30.0  # until a test gives up waiting; nothing is measured against it

MemorySpeed._known[THREADS] = MEMORY_SPEED

WAITS = Line("<think>\nHm.\n</think>\n\nA partial answer", "wait")


class WindowEngine(ScriptedEngine):
    """The scripted engine with the figures that a window shows. Counts the pages of the caches it has made."""

    weights = "f32"
    threads = THREADS
    config = SimpleNamespace(num_hidden_layers=LAYERS)

    def __init__(self, *lines: Line | str, context: int = 4096, chunk: int = 16) -> None:
        super().__init__(*lines, context=context, chunk=chunk)
        self.caches: list[Any] = []

    def new_cache(self) -> Any:
        self.caches.append(super().new_cache())
        return self.caches[-1]

    def memory(self) -> Any:
        pages = sum(-(-len(cache) // PAGE) for cache in self.caches)
        total = 4 * self.context // PAGE
        return SimpleNamespace(
            weights=3 << 20,
            weights_per_step=2 << 20,
            activations=1 << 19,
            kv_used=pages * PAGE * KV_BYTES,
            kv_budget=total * PAGE * KV_BYTES,
            kv_pages_used=pages,
            kv_pages_total=total,
            page_tokens=PAGE,
            kv_bytes_per_token=KV_BYTES,
        )

    def profile(self, reset: bool = False, kind: str = "decode") -> Any:
        started = bool(self.generations)
        layers = np.arange(1, LAYERS + 1)[None, :, None] * np.array([9, 3, 14, 8, 30, 16, 2])[None, None, :] * 1000
        return SimpleNamespace(
            layer_verbs=LAYER_VERBS,
            layer_ns=layers if started else np.zeros((0, 0, len(LAYER_VERBS)), np.int64),
            device_ns=np.array([[1_000, 2_000, 180_000, 9_000]]) if started else np.zeros((0, 4), np.int64),
            probe_share=0.004,
            other_ns={"embed": 2_000, "norm_head": 180_000, "sample": 9_000} if started else {},
            step_ns=1_600_000 if started else 0,
        )


def scene(*lines: Line | str, context: int = 4096, chunk: int = 16, mode: Any = "switch") -> Scripted:
    """A scripted model on a `WindowEngine`."""
    made = scripted(*lines, context=context, chunk=chunk, mode=mode)
    engine: Any = WindowEngine(*lines, context=context, chunk=chunk)
    made.model.engine = engine
    return Scripted(made.model, engine, made.tokenizer)


def window(
    made: Scripted,
    options: ChatOptions | None = None,
    load: Callable[[ProgressCallback], Any] | None = None,
    *,
    keymap: Keymap | None = None,
    history: PromptHistory | None = None,
) -> ChatApp:
    """The application on that model. `load` replaces the load, which otherwise is done at once."""
    options = options or ChatOptions(model=made.model.path)
    session = Session(options, Loader(load or (lambda progress: made.model)))
    return ChatApp(options, session, keymap=keymap, history=history)


def conversation(app: ChatApp) -> Conversation:
    return app.session.conversation


def replies(app: ChatApp) -> list[AssistantMessage]:
    return [entry for entry in app.chat.query_one(Transcript).entries if isinstance(entry, AssistantMessage)]


def texts(app: ChatApp) -> list[str]:
    """What was said on the active path."""
    return [message.content for message in conversation(app).path()]


def prompt_text(app: ChatApp) -> str:
    return app.chat.prompt.area.text


def notes(app: ChatApp) -> list[Note]:
    return list(app.chat.query(Note))


def screen_text(app: ChatApp) -> str:
    """What a person sees, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def wait_until(pilot: Pilot[Any], predicate: Callable[[], object]) -> None:
    """Let the app run until the predicate holds."""
    assert isinstance(pilot.app, ChatApp)
    clock = pilot.app.clock
    end = clock() + PATIENCE_S
    while not predicate():
        if clock() > end:
            raise AssertionError(f"this never came true; the screen:\n{screen_text(pilot.app)}")
        await pilot.pause(0.01)


async def type_text(pilot: Pilot[Any], text: str) -> None:
    """Put a text into the prompt at the cursor, as pasting does."""
    assert isinstance(pilot.app, ChatApp)
    pilot.app.chat.query_one(Prompt).area.insert(text)
    await pilot.pause()


async def press_text(pilot: Pilot[Any], text: str) -> None:
    """Type key by key."""
    names = {"\n": "ctrl+j", " ": "space"}
    await pilot.press(*(names.get(character, character) for character in text))


async def send(pilot: Pilot[Any], text: str) -> None:
    """Type and press enter."""
    await type_text(pilot, text)
    await pilot.press("enter")


async def ask(pilot: Pilot[Any], text: str) -> None:
    """Send a message and wait for the whole reply."""
    app = pilot.app
    assert isinstance(app, ChatApp)
    count = len(replies(app))
    await send(pilot, text)
    await wait_until(pilot, lambda: len(replies(app)) == count + 1 and idle(app))


async def ask_without_waiting(pilot: Pilot[Any], text: str) -> None:
    app = pilot.app
    assert isinstance(app, ChatApp)
    await send(pilot, text)
    await wait_until(pilot, lambda: app.session.busy)


def idle(app: ChatApp) -> bool:
    """The model is there, nothing is written and nothing waits."""
    return app.session.ready and app.chat.following.stream is None and not app.chat.sending.waits
