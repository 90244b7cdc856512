"""The configuration file, `config.toml`. What is not written in it is left to the app's defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.folders import folder

__all__ = ["Settings", "settings_file"]

_TABLES = ("keys", "models")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says. Whether an action or a key exists is for the interface that knows them to judge."""

    source: Path
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # action id -> keys; none: not bound
    models: Mapping[str, Path] = field(default_factory=dict)  # name -> checkpoint folder or GGUF file

    @classmethod
    def load(cls, path: Path | None = None) -> Settings:
        """Read the file (default: `settings_file()`); one that is not there says nothing. Raises SettingsError."""
        path = settings_file() if path is None else path
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(path)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path}: is not valid TOML: {error}; correct it, or move the file away") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path}: is not UTF-8 text: byte {error.start}; save it as UTF-8") from error
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read: {error.strerror}; put that right, or move it away") from error
        for name in data:
            if name not in _TABLES:
                raise SettingsError(f"{path}: {name!r} is not known; what can stand there: [{'], ['.join(_TABLES)}]")
        return cls(path, _keys(path, data.get("keys", {})), _models(path, data.get("models", {})))


def settings_file() -> Path:
    """Where the configuration is looked for."""
    return folder("config") / "config.toml"


def _keys(path: Path, table: object) -> dict[str, tuple[str, ...]]:
    """`"turn.stop" = "escape"`, or a list of keys. Unquoted, TOML makes tables of the dots: these are put together."""
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: keys: expected a table [keys]")
    found: dict[str, tuple[str, ...]] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= {f"{name}.{rest}": keys for rest, keys in _keys(path, value).items()}
        elif isinstance(value, str):
            found[name] = (value,)
        elif isinstance(value, list) and all(isinstance(key, str) for key in value):
            found[name] = tuple(value)
        else:
            raise SettingsError(f'{path}: [keys] {name}: expected a key such as "ctrl+x", or a list of keys')
    return found


def _models(path: Path, table: object) -> dict[str, Path]:
    """`fast = "~/models/Qwen3-0.6B"`; a relative path begins at the file's own folder."""
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: models: expected a table [models]")
    for name, value in table.items():
        if not isinstance(value, str) or not value or "\0" in value:
            raise SettingsError(f"{path}: [models] {name}: expected the path of a checkpoint folder or a .gguf file")
    return {name: path.parent / Path(value).expanduser() for name, value in table.items()}
