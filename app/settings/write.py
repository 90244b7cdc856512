"""Writes settings into config.toml; what else stands there stays as it is, in its order and with its comments."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.folders import make_private
from qwen3_chat.app.settings.config_file import Config
from qwen3_chat.app.settings.kinds import Value
from qwen3_chat.app.settings.schema import BY_NAME

__all__ = ["changed", "save"]


def save(path: Path, changes: Mapping[str, Value | None], profile: str | None = None) -> Config:
    """Write the changes (None: no longer set) into the file, and return what it says now. Raises SettingsError.

    `profile`: into its table, not into those of all.
    """
    Config.load(path)  # what cannot be read is not written over
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        written = changed(text, changes, profile)
        config = Config.parse(written, path)
        _replace(path, written)
    except OSError as error:
        what = f"{error.filename or path}: cannot be written: {error.strerror}"
        raise SettingsError(f"{what}; put that right, or change {path.name} by hand") from error
    return config


def changed(text: str, changes: Mapping[str, Value | None], profile: str | None = None) -> str:
    """The file's text with these changes."""
    import tomlkit

    document = tomlkit.parse(text)
    for name, value in changes.items():
        place = ("profile", profile) if profile is not None else (BY_NAME[name].section,)
        table = cast("MutableMapping[str, Any]", document)
        for key in place:
            if key not in table:
                if value is None:
                    break
                table[key] = tomlkit.table(is_super_table=len(place) == 2 and key == "profile")
            table = table[key]
        else:
            if value is not None:
                table[name] = value
            elif name in table:
                del table[name]
    return tomlkit.dumps(document)


def _replace(path: Path, text: str) -> None:
    """The whole file at once, so that nobody ever reads half of it; a link stays one."""
    real = path.resolve()
    if not real.parent.exists():
        make_private(real.parent)
    mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o600
    with NamedTemporaryFile("w", encoding="utf-8", dir=real.parent, prefix=f".{real.name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(mode)
            Path(file.name).replace(real)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
