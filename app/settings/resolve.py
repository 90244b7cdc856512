"""Which value of every setting holds, and who has said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.settings.config_file import Config, Written, config_file
from qwen3_chat.app.settings.kinds import Value
from qwen3_chat.app.settings.nearest import meant
from qwen3_chat.app.settings.schema import SETTINGS, VARIABLE

__all__ = ["DEFAULT", "PROFILE_VARIABLE", "Held", "Settings", "resolve"]

DEFAULT = "default"
PROFILE_VARIABLE = f"{VARIABLE}PROFILE"


@dataclass(frozen=True, slots=True)
class Held:
    """A value, and where it comes from; None: the checkpoint, or the machine, decides."""

    value: Value | None
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with the value that holds."""

    held: Mapping[str, Held] = field(
        default_factory=lambda: {setting.name: Held(setting.default, DEFAULT) for setting in SETTINGS}
    )
    config: Config = field(default_factory=lambda: Config(config_file()))
    profile: str | None = None

    def value(self, name: str) -> Any:
        """Of the kind that the schema says, or None."""
        return self.held[name].value


def resolve(
    flags: Mapping[str, Value | None], environment: Mapping[str, str], config: Config, profile: str | None = None
) -> Settings:
    """Flag, else variable, else profile, else file, else default. Raises SettingsError.

    `flags`: by the settings' names, already checked; None: not given. `profile`: as chosen by its flag.
    """
    variables = _variables(environment)
    name, chosen = _profile(profile, environment, config)
    held = {}
    for setting in SETTINGS:
        flag = flags.get(setting.name)
        if flag is not None:
            held[setting.name] = Held(flag, f"--no-{setting.name}" if flag is False else setting.flag)
        elif setting.name in variables:
            held[setting.name] = Held(variables[setting.name], setting.variable)
        elif (written := chosen.get(setting.name)) is not None:
            held[setting.name] = Held(written.value, f"profile {name}, {_place(config.source, written)}")
        elif (written := config.values.get(setting.name)) is not None:
            held[setting.name] = Held(written.value, _place(config.source, written))
        else:
            held[setting.name] = Held(setting.default, DEFAULT)
    return Settings(held, config, name)


def _variables(environment: Mapping[str, str]) -> dict[str, Value]:
    """What the environment sets; an empty variable sets nothing."""
    known = {setting.variable: setting for setting in SETTINGS}
    found = {}
    for variable, text in environment.items():
        if not variable.startswith(VARIABLE) or variable == PROFILE_VARIABLE or not text:
            continue
        if variable not in known:
            hint = meant(variable, [*known, PROFILE_VARIABLE])
            raise SettingsError(f"{variable} in the environment: there is no such setting{hint}; correct or unset it")
        try:
            found[known[variable].name] = known[variable].kind.parse(text)
        except ValueError as error:
            raise SettingsError(f"{variable} in the environment: {error}; correct or unset it") from None
    return found


def _profile(
    flag: str | None, environment: Mapping[str, str], config: Config
) -> tuple[str | None, Mapping[str, Written]]:
    """The name and the values of the profile that was chosen, by the flag, the variable or the file."""
    variable = environment.get(PROFILE_VARIABLE) or None
    name = flag or variable or config.profile
    if name is None:
        return None, {}
    if name not in config.profiles:
        who = "--profile" if flag else f"{PROFILE_VARIABLE} in the environment" if variable else f"{config.source}"
        remedy = f"it is made by a table [profile.{name}] in {config.source}"
        raise SettingsError(f"{who}: there is no profile {name!r}{meant(name, config.profiles)}; {remedy}")
    return name, config.profiles[name]


def _place(source: Path, written: Written) -> str:
    return f"{source.name}:{written.line}" if written.line else source.name
