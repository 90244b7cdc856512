"""Which value of every setting holds, and who has said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.settings.config_file import Config, Written, config_file
from qwen3_chat.app.settings.kinds import Value
from qwen3_chat.app.settings.nearest import meant
from qwen3_chat.app.settings.schema import BY_NAME, SETTINGS, VARIABLE

__all__ = ["DEFAULT", "HERE", "PROFILE_VARIABLE", "Held", "Settings", "resolve"]

DEFAULT = "default"
HERE = "changed here"
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
    given: Mapping[str, Held] = field(default_factory=dict)  # by flags and variables, before any file

    @classmethod
    def of(cls, given: Mapping[str, Held], config: Config, profile: str | None) -> Settings:
        """What was given, else what the profile says, else the file, else the default."""
        chosen = config.profiles[profile] if profile is not None else {}
        held = {}
        for setting in SETTINGS:
            name = setting.name
            if name in given:
                held[name] = given[name]
            elif name in chosen:
                held[name] = Held(chosen[name].value, f"profile {profile}, {_place(config.source, chosen[name])}")
            elif name in config.values:
                held[name] = Held(config.values[name].value, _place(config.source, config.values[name]))
            else:
                held[name] = Held(setting.default, DEFAULT)
        return cls(held, config, profile, given)

    def value(self, name: str) -> Any:
        """Of the kind that the schema says, or None."""
        return self.held[name].value

    def changed(self, name: str, value: Value | None) -> Settings:
        """The same with another value, by the person at the keyboard."""
        return replace(self, held={**self.held, name: Held(value, HERE)})


def resolve(
    flags: Mapping[str, Value | None], environment: Mapping[str, str], config: Config, profile: str | None = None
) -> Settings:
    """Flag, else variable, else profile, else file, else default. Raises SettingsError.

    `flags`: by the settings' names, already checked; None: not given. `profile`: as chosen by its flag.
    """
    given = _variables(environment)
    for name, value in flags.items():
        if value is not None:
            given[name] = Held(value, f"--no-{name}" if value is False else BY_NAME[name].flag)
    return Settings.of(given, config, _profile(profile, environment, config))


def _variables(environment: Mapping[str, str]) -> dict[str, Held]:
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
            found[known[variable].name] = Held(known[variable].kind.parse(text), variable)
        except ValueError as error:
            raise SettingsError(f"{variable} in the environment: {error}; correct or unset it") from None
    return found


def _profile(flag: str | None, environment: Mapping[str, str], config: Config) -> str | None:
    """The profile that was chosen, by the flag, the variable or the file."""
    variable = environment.get(PROFILE_VARIABLE) or None
    name = flag or variable or config.profile
    if name is not None and name not in config.profiles:
        who = "--profile" if flag else f"{PROFILE_VARIABLE} in the environment"
        remedy = f"a table [profile.{name}] in {config.source} makes one"
        raise SettingsError(f"{who}: there is no profile {name!r}{meant(name, config.profiles)}; {remedy}")
    return name


def _place(source: Path, written: Written) -> str:
    return f"{source.name}:{written.line}" if written.line else source.name
