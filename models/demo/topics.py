"""What the demo model knows: for each thing, ways to ask for it, a line of thinking, and what to answer."""

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from .manual import Action, Command, Flag, key_name, manual
from .wording import Wordings, draw, load

__all__ = ["REFUSALS", "Topic", "how_to", "question", "topics", "unknown_question"]

REFUSALS: tuple[str, ...] = tuple(load("unknown")["answers"])

# The rows of the table of keys, and how they are called there.
_TABLE = {
    "prompt.send": "send",
    "turn.stop": "stop the reply",
    "prompt.newline": "new line",
    "chat.new": "new chat",
    "turn.thinking": "thinking on or off",
    "view.engine": "engine panel",
    "view.help": "help",
    "app.quit_chat": "quit",
}
# Scopes whose keys hold in one place only: what it is called, and how one gets there.
_PLACES = {
    "message": ("message cursor", "Step to the message with", "cursor.previous"),
    "lens": ("token lens", "Open the token lens with", "view.lens"),
    "sessions": ("saved chats", "Open the saved chats with", "chat.sessions"),
    "settings": ("settings", "Open the settings with", "view.settings"),
}
_ANYWHERE = ("app", "chat", "prompt")
_SPELLINGS = {"Esc": ("escape", "ESC"), "Enter": ("return", "Return"), "↑": ("up",), "↓": ("down",)}
_UNKNOWN_DO = 0.35  # of the unknown questions ask how to do something


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing. `asked` are groups of wordings with the share of each."""

    name: str
    asked: tuple[tuple[float, Wordings], ...]
    thinking: str
    answer: str
    weight: float


def question(topic: Topic, rng: Random) -> str:
    """One way to ask for it."""
    groups = [group for _, group in topic.asked]
    return rng.choices(groups, [share for share, _ in topic.asked])[0].draw(rng)


@lru_cache(maxsize=1)
def topics() -> tuple[Topic, ...]:
    """All topics: the app's actions and flags, and the talk."""
    known = manual()
    keys, flags = load("keys"), load("flags")
    return (
        *(_of_action(action, keys.get(action.id, {})) for action in known.actions),
        *(_of_flag(flag, flags.get(flag.long, {})) for flag in known.flags),
        *(_of_command(command, flags.get(command.name, {})) for command in known.commands),
        *(_of_talk(name, entry) for name, entry in load("talk").items()),
    )


def unknown_question(rng: Random) -> str:
    """A question that the model has no answer to. Slots that are left are the caller's."""
    entry = load("unknown")
    words = {slot: text.split("|") for slot, text in entry["words"].items()}
    if rng.random() < _UNKNOWN_DO:
        return draw(rng.choice(load("frames")["do"]), rng, words | {"do": entry["do"]})
    return draw(rng.choice(entry["ask"]), rng, words)


def _of_action(action: Action, entry: dict[str, Any]) -> Topic:
    names = [f"/{action.slash}"] if action.slash else []
    for key in map(key_name, action.keys[:2]):
        names += [*_spellings(key)] if len(key) > 1 else [f"the key {key}", f"'{key}'"]
    to, title = entry.get("to"), _lower(action.title)
    how, way = how_to(action)
    answer = f"{how} to {to}." if to else f"{how}: {title}."
    others = [f"**{key_name(key)}**" for key in action.keys[1:]]
    if others:
        answer += f" {' and '.join(others)} {'does' if len(others) == 1 else 'do'} the same."
    gist = (to or title).split(";")[0].split(":")[0]
    if action.scope in _PLACES:
        thinking = f"This is about the {_PLACES[action.scope][0]}, {gist}: {way}."
    else:
        thinking = f"The user wants to {gist}: {way}." if to else f"This is about {gist}: {way}."
    return Topic(
        action.id,
        _asked(entry, title, "key", names),
        thinking,
        answer,
        entry.get("weight", 0.25 if action.scope in _PLACES else 0.6),
    )


def how_to(action: Action) -> tuple[str, str]:
    """The beginning of the answer, and the key or command alone.

    Raises ValueError for keys that hold in a place which has no words here.
    """
    if action.scope not in (*_PLACES, *_ANYWHERE):
        raise ValueError(f"{action.id}: how does one get to where {action.scope!r} keys hold?")
    slash = f"`/{action.slash}`" if action.slash else ""
    if action.keys:
        key = key_name(action.keys[0])
        if action.scope in _PLACES:
            _, there, by = _PLACES[action.scope]
            step = f"{there} **{_first_key(by)}** and press **{key}**"
            return step + (f", or type {slash}," if slash else ""), key
        return f"Press **{key}**" + (f" or type {slash}" if slash else ""), key
    if slash:
        return f"Type {slash}", slash.strip("`")
    return f"Press **{_first_key('view.palette')}** and choose *{action.title}*", "commands"


def _first_key(action: str) -> str:
    return key_name(manual().action(action).keys[0])


def _of_flag(flag: Flag, entry: dict[str, Any]) -> Topic:
    shown = " or ".join(f"`{name}`" for name in flag.names[:-1])
    last = f"`{flag.long} {flag.value}`" if flag.value and len(flag.value) < 20 else f"`{flag.long}`"
    usage = f"{shown} or {last}" if shown else last
    to = entry.get("to")
    answer = f"Start with {usage} to {to}." if to else f"Start with {usage}: {flag.help}."
    thinking = f"This is about the flag {flag.long}."
    about = flag.long.strip("-").replace("-", " ")
    names = [*flag.names, f"qwen3-chat {flag.names[0]}"]
    return Topic(flag.long, _asked(entry, about, "flag", names), thinking, answer, entry.get("weight", 0.4))


def _of_command(command: Command, entry: dict[str, Any]) -> Topic:
    asked = _asked(entry, command.what, "flag", [f"qwen3-chat {command.name}", f"the command {command.name}"])
    thinking = f"This is about the command {command.name}."
    answer = f"Run `qwen3-chat {command.name}` to {command.what}."
    return Topic(command.name, asked, thinking, answer, entry.get("weight", 0.5))


def _of_talk(name: str, entry: dict[str, Any]) -> Topic:
    rows = "\n".join(f"| {_first_key(id)} | {does} |" for id, does in _TABLE.items())
    answer = entry["answer"].replace("{key table}", f"| Key | What it does |\n|---|---|\n{rows}")
    return Topic(name, _asked(entry, name, "key", []), entry["thinking"], answer, entry.get("weight", 1.0))


def _asked(entry: dict[str, Any], about: str, kind: str, names: list[str]) -> tuple[tuple[float, Wordings], ...]:
    """Groups of wordings: sentences around an action, whole questions, names of keys or flags."""
    frames = load("frames")
    whole = entry.get("ask", [about, f"{about}?"])
    groups = [
        (0.5, Wordings(frames["do"], {"do": entry["do"]})) if entry.get("do") else None,
        (0.3, Wordings(whole)) if whole else None,
        (0.2, Wordings(frames[kind], {kind: names})) if names else None,
    ]
    return tuple(group for group in groups if group is not None)


def _spellings(key: str) -> tuple[str, ...]:
    """How people write a key: Ctrl-N, ^N, control n, f3, escape."""
    *modifiers, last = key.split("+")
    lasts = (last, last, *_SPELLINGS.get(last, (last.lower(),)))
    if not modifiers:
        return lasts
    modifier = "+".join(modifiers)
    signs = (f"{modifier}+", f"{modifier}+", f"{modifier.capitalize()}+", f"{modifier.capitalize()}-", f"{modifier} ")
    found = tuple(sign + name for sign in signs for name in lasts)
    if modifier == "ctrl" and len(last) == 1:
        found += (f"^{last.upper()}", f"^{last}", f"Ctrl+{last.upper()}", f"control {last}", f"C-{last}")
    return found


def _lower(title: str) -> str:
    return title[0].lower() + title[1:] if title[1:2].islower() else title
