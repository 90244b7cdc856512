"""Every setting, once: flags, variables of the environment, config.toml, the settings screen and the help come of it.

The value that holds is the flag's, else the variable's, the profile's, the file's, what the checkpoint recommends, and
at last the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qwen3_chat.app.settings.kinds import Choice, Devices, Kind, Number, Place, Switch, Value, Whole, Words

__all__ = ["BY_NAME", "SAMPLING", "SECTIONS", "SETTINGS", "VARIABLE", "Holds", "Section", "Setting"]

Section = Literal["chat", "sampling", "engine", "screen"]
Holds = Literal["at once", "for the next model", "from the next start"]  # when a change in the window takes effect

VARIABLE = "QWEN3_CHAT_"  # begins the variables of the environment
SECTIONS: dict[Section, str] = {
    "chat": "conversation",
    "sampling": "sampling (without a flag: as the model recommends)",
    "engine": "engine",
    "screen": "screen",
}
_MANY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. Its key in config.toml is its name; flag and variable are made of that."""

    name: str
    section: Section  # the table of config.toml
    kind: Kind
    title: str  # on the screen
    what: str
    default: Value | None = None  # None: the checkpoint, or the machine, decides
    open: str = ""  # what holds while nothing is set, if that is no value
    holds: Holds = "at once"
    off: str = ""  # what the negative flag of a switch does; it is listed only with words
    listed: bool = True  # in the list of flags; a switch that is on anyway needs no line

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return VARIABLE + self.field.upper()

    @property
    def field(self) -> str:
        """Its name in Python."""
        return self.name.replace("-", "_")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "model",
        "chat",
        Place(),
        "model",
        "a checkpoint folder (config.json, tokenizer.json, safetensors), a .gguf file, or a name on the hub such as "
        "Qwen/Qwen3-0.6B or owner/name:file.gguf, with @revision: what is not there is downloaded",
        open="the small demo model that is bundled",
        holds="from the next start",
    ),
    Setting("system", "chat", Words(), "system prompt", "system prompt", open="none", holds="from the next start"),
    Setting(
        "think",
        "chat",
        Switch(),
        "thinking",
        "think before answering",
        open="if the model can",
        off="answer at once",
    ),
    Setting(
        "save",
        "chat",
        Switch(),
        "save chats",
        "keep chats, to go on with them later",
        True,
        holds="from the next start",
        off="keep nothing of this chat",
        listed=False,
    ),
    Setting("temperature", "sampling", Number(0, 10), "temperature", "0 takes the likeliest token always"),
    Setting(
        "top-p",
        "sampling",
        Number(0, 1, open_low=True),
        "top p",
        "draw from the likeliest tokens of this total probability",
    ),
    Setting("top-k", "sampling", Whole(0, _MANY), "top k", "draw from this many likeliest tokens; 0: from all"),
    Setting("min-p", "sampling", Number(0, 1), "min p", "drop tokens less likely than this share of the likeliest"),
    Setting("presence-penalty", "sampling", Number(-2, 2), "presence penalty", "against tokens that were there before"),
    Setting(
        "repetition-penalty",
        "sampling",
        Number(0, 10, open_low=True),
        "repetition penalty",
        "the same as a factor; 1: none",
    ),
    Setting(
        "seed",
        "sampling",
        Whole(0, 2**64 - 1),
        "seed",
        "the same seed gives the same reply",
        open="new for every reply",
    ),
    Setting(
        "max-tokens", "sampling", Whole(1, _MANY), "longest reply", "tokens of one reply", open="to the context's end"
    ),
    Setting(
        "thinking-budget",
        "sampling",
        Whole(0, _MANY),
        "thinking budget",
        "tokens of thinking, then it answers",
        open="none",
    ),
    Setting(
        "context",
        "engine",
        Whole(2, _MANY),
        "context",
        "tokens, prompt and reply together",
        open="what the model has and the memory allows",
        holds="for the next model",
    ),
    Setting(
        "weights",
        "engine",
        Choice(("auto", "f32", "f16", "bf16", "int8", "int4")),
        "weights",
        "number format of the weights; int8 and int4 are rounded from the checkpoint's while it loads",
        "auto",
        holds="for the next model",
    ),
    Setting(
        "kv",
        "engine",
        Choice(("auto", "f32", "bf16")),
        "KV cache",
        "number format of the KV cache",
        "auto",
        holds="for the next model",
    ),
    Setting(
        "devices",
        "engine",
        Devices(),
        "devices",
        "auto, or such as cpu:0,cpu:1",
        "auto",
        holds="for the next model",
    ),
    Setting(
        "threads",
        "engine",
        Whole(1, 4096),
        "threads",
        "CPU threads in all",
        open="every core",
        holds="for the next model",
    ),
    Setting(
        "plain",
        "screen",
        Switch(),
        "line mode",
        "line by line, without the full screen",
        False,
        holds="from the next start",
    ),
    Setting(
        "theme",
        "screen",
        Choice(("auto", "terminal", "dark", "light", "contrast")),
        "theme",
        "auto is dark or light; terminal takes its own 16 colours",
        "auto",
    ),
    Setting("ascii", "screen", Switch(), "ASCII signs", "draw with ASCII characters alone", False),
    Setting(
        "motion",
        "screen",
        Switch(),
        "motion",
        "let the cursor blink and the activity dot beat",
        True,
        off="nothing blinks, beats or glides",
        listed=False,
    ),
    Setting(
        "notify",
        "screen",
        Switch(),
        "notification",
        "have the terminal notify you when a long reply ends out of sight",
        False,
    ),
    Setting("notify-after", "screen", Whole(0, 86_400), "… from", "seconds that such a reply takes at least", 10),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
SAMPLING = tuple(setting for setting in SETTINGS if setting.section == "sampling")
