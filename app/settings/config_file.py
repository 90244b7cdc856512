"""The configuration file, `config.toml`: settings by section, profiles that change some of them, and keys.

What is not written in it is left open. What cannot be is an error that names the file, the line and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.folders import folder
from qwen3_chat.app.settings.kinds import Value
from qwen3_chat.app.settings.nearest import meant
from qwen3_chat.app.settings.schema import BY_NAME, SECTIONS, SETTINGS, Setting

__all__ = ["Config", "Written", "config_file", "lines_of"]

_TABLES = (*SECTIONS, "keys", "models", "profile")
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Written:
    """A value of the file."""

    value: Value
    line: int | None  # from 1; None: the file is written in a way that hides it


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says. Whether an action or a key exists is for the interface that knows them to judge."""

    source: Path
    values: Mapping[str, Written] = field(default_factory=dict)  # by the setting's name
    profiles: Mapping[str, Mapping[str, Written]] = field(default_factory=dict)
    profile: str | None = None  # that holds if nobody chooses one
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # action id -> keys; none: not bound
    models: Mapping[str, Path] = field(default_factory=dict)  # name -> checkpoint folder or GGUF file
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (table, key) -> line, from 1

    @classmethod
    def load(cls, path: Path | None = None) -> Config:
        """Read the file (default: `config_file()`); one that is not there says nothing. Raises SettingsError."""
        path = config_file() if path is None else path
        try:
            text = path.read_bytes().decode()
        except (FileNotFoundError, NotADirectoryError):
            return cls(path)
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path}: is not UTF-8 text: byte {error.start}; save it as UTF-8") from error
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read: {error.strerror}; put that right, or move it away") from error
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text: str, path: Path) -> Config:
        """Of the file's text. Raises SettingsError."""
        import tomllib  # not before there is a file

        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path}: is not valid TOML: {error}; correct it, or move the file away") from error
        return _Reader(path, lines_of(text)).read(data)

    def wrong(self, table: str, key: str, what: str) -> SettingsError:
        """The error about a key of a table."""
        return _wrong(self.source, self.lines.get((table, key)), f'[{table}] "{key}": {what}')


def config_file() -> Path:
    """Where the configuration is looked for."""
    return folder("config") / "config.toml"


def lines_of(text: str) -> dict[tuple[str, str], int]:
    """The lines, from 1, on which tables begin (`(table, "")`) and keys of them stand. Quotes are left out."""
    found: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _bare(header[1])
            found.setdefault((table, ""), number)
        elif key := _KEY.match(line):
            found.setdefault((table, _bare(key[1])), number)
    return found


class _Reader:
    """Turns the parsed file into a Config, and says of the first thing wrong where it stands."""

    def __init__(self, path: Path, lines: Mapping[tuple[str, str], int]) -> None:
        self._path = path
        self._lines = lines

    def read(self, data: Mapping[str, Any]) -> Config:
        values: dict[str, Written] = {}
        for name, content in data.items():
            if name not in _TABLES:
                raise self._unknown_table(name, content)
            if not isinstance(content, dict):
                raise self._wrong("", name, f"{name}: expected a table [{name}]")
            if name in SECTIONS:
                values |= self._section(name, content, (setting for setting in SETTINGS if setting.section == name))
        profiles = {name: content for name, content in data.get("profile", {}).items() if name != "default"}
        chosen = data.get("profile", {}).get("default")
        if chosen is not None and chosen not in profiles:
            what = f"[profile] default: no profile {chosen!r}{meant(str(chosen), profiles)}"
            raise self._wrong("profile", "default", what)
        return Config(
            self._path,
            values,
            {name: self._profile(name, content) for name, content in profiles.items()},
            chosen,
            self._keys(data.get("keys", {})),
            self._models(data.get("models", {})),
            self._lines,
        )

    def _section(self, table: str, content: Mapping[str, Any], settings: Iterable[Setting]) -> dict[str, Written]:
        known = {setting.name: setting for setting in settings}
        found = {}
        for name, value in content.items():
            if name not in known:
                raise self._wrong(table, name, f"[{table}] {name}: {_unknown(name, table, known)}")
            try:
                checked = known[name].kind.check(value)
            except ValueError as error:
                raise self._wrong(table, name, f"[{table}] {name}: {error}") from None
            found[name] = Written(checked, self._lines.get((table, name)))
        return found

    def _profile(self, name: str, content: object) -> dict[str, Written]:
        """A profile has the keys of all sections, without the sections: no two have the same."""
        if not isinstance(content, dict):
            raise self._wrong("profile", name, f"profile.{name}: expected a table [profile.{name}]")
        return self._section(f"profile.{name}", content, SETTINGS)

    def _keys(self, table: Mapping[str, Any], before: str = "") -> dict[str, tuple[str, ...]]:
        """`"turn.stop" = "escape"`, or a list of keys. Unquoted, TOML makes tables of the dots: they are joined."""
        found: dict[str, tuple[str, ...]] = {}
        for last, value in table.items():
            name = before + last
            if isinstance(value, dict):
                found |= self._keys(value, f"{name}.")
            elif isinstance(value, str):
                found[name] = (value,)
            elif isinstance(value, list) and all(isinstance(key, str) for key in value):
                found[name] = tuple(value)
            else:
                what = f'[keys] {name}: expected a key such as "ctrl+x", or a list of keys'
                raise self._wrong("keys", name, what)
        return found

    def _models(self, table: Mapping[str, Any]) -> dict[str, Path]:
        """`fast = "~/models/Qwen3-0.6B"`; a relative path begins at the file's own folder."""
        for name, value in table.items():
            if not isinstance(value, str) or not value or "\0" in value:
                what = f"[models] {name}: expected the path of a checkpoint folder or a .gguf file, in quotes"
                raise self._wrong("models", name, what)
        return {name: self._path.parent / Path(value).expanduser() for name, value in table.items()}

    def _unknown_table(self, name: str, content: object) -> SettingsError:
        tables = f"what can stand there: [{'], ['.join(_TABLES)}]"
        if name in BY_NAME and not isinstance(content, dict):
            return self._wrong("", name, f"{name!r} belongs below [{BY_NAME[name].section}]")
        table = name if isinstance(content, dict) else ""
        return self._wrong(table, "" if table else name, f"{name!r} is not known{meant(name, _TABLES)}; {tables}")

    def _wrong(self, table: str, key: str, what: str) -> SettingsError:
        return _wrong(self._path, self._lines.get((table, key)), what)


def _unknown(name: str, table: str, known: Mapping[str, Setting]) -> str:
    elsewhere = BY_NAME.get(name)
    if elsewhere is not None:
        return f"belongs below [{elsewhere.section}]"
    return f"there is no such setting{meant(name, known) or meant(name, BY_NAME)}; 'config show' lists them all"


def _wrong(path: Path, line: int | None, what: str) -> SettingsError:
    return SettingsError(f"{path}:{line}: {what}" if line else f"{path}: {what}")


def _bare(name: str) -> str:
    return name.replace('"', "").replace("'", "")
