"""The app's folders, the configuration, the saved chats, and a model."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.folders import Kind, folder
from qwen3_chat.app.chat.history.place import database_path
from qwen3_chat.app.chat.history.schema import APPLICATION_ID, FTS5, VERSION
from qwen3_chat.app.doctor.finding import Finding, good, note, wrong
from qwen3_chat.app.settings.config_file import Config, config_file
from qwen3_chat.app.settings.resolve import resolve
from qwen3_chat.models.errors import Qwen3Error

__all__ = ["files", "model"]

_PRIVATE = 0o700


def files() -> Iterator[Finding]:
    """What the app keeps, or would keep."""
    for kind in get_args(Kind):
        yield _folder(kind)
    yield _config()
    yield _history(database_path())


def model(name: str) -> Finding:
    """Whether a checkpoint can be read, and whether it fits into memory. The hub is not asked."""
    from qwen3_chat.app.chat.hub import HubName, find
    from qwen3_chat.app.chat.memory import available_bytes, plan
    from qwen3_chat.app.chat.model import preflight
    from qwen3_chat.app.chat.options import EngineOptions

    path = find(name)
    if isinstance(path, HubName):
        return note("model", f"{path}: is not on this machine; as a name on the hub it is downloaded when it is opened")
    try:
        preflight(path)
        from qwen3_chat.models.source import open_model

        with open_model(path.expanduser()) as source:
            checkpoint = source.checkpoint()
            memory = plan(checkpoint.config, checkpoint.counts, EngineOptions(devices="cpu:0"), available_bytes())
            layers = checkpoint.config.num_hidden_layers
    except (Qwen3Error, MemoryError, ImportError) as error:
        return wrong("model", str(error), "name a checkpoint folder or a .gguf file of a Qwen3 model that fits")
    held = f"{memory.weights / 2**30:.1f} GiB of weights, room for a context of {memory.context} tokens"
    return good("model", f"{path}: {layers} layers, {held}")


def _folder(kind: Kind) -> Finding:
    path = folder(kind)
    name = f"{kind} folder"
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not there.is_dir():
        return wrong(name, f"{there} is no folder", f"move it away: mv {there} {there}.old")
    if not os.access(there, os.W_OK | os.X_OK):
        return wrong(name, f"{there} cannot be written", f"chown $USER {there} && chmod u+rwx {there}")
    if there != path:
        return good(name, f"{path}, which is made when it is needed")
    mode = path.stat().st_mode & 0o777
    if mode & ~_PRIVATE:
        return note(name, f"{path} can be entered by others (mode {mode:03o})", f"chmod 700 {path}")
    return good(name, str(path))


def _config() -> Finding:
    from qwen3_chat.app.tui.keymap import Keymap

    try:
        config = Config.load()
        resolve({}, os.environ, config)
        Keymap.from_config(config)
    except SettingsError as error:
        return wrong(
            "configuration", str(error), f"correct it, or move the file away: mv {config_file()} {config_file()}.old"
        )
    if not config.source.exists():
        return good("configuration", f"{config.source}: there is none, the defaults hold")
    profiles = f", profiles {', '.join(config.profiles)}" if config.profiles else ""
    return good("configuration", f"{config.source}: {len(config.values)} settings, {len(config.keys)} keys{profiles}")


def _history(path: Path) -> Finding:
    """Only read: another window may be writing."""
    if not path.exists():
        with closing(sqlite3.connect(":memory:")) as db:
            options = [option for (option,) in db.execute("PRAGMA compile_options")]
        if FTS5 not in options:
            return wrong(
                "saved chats", f"SQLite {sqlite3.sqlite_version} has no FTS5", "use a Python with a full SQLite"
            )
        return good("saved chats", f"{path}: there are none yet")
    move = f"move it away: mv {path} {path}.old"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            (kind,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if kind != APPLICATION_ID:
                return wrong("saved chats", f"{path} is not a database of this app", move)
            if version > VERSION:
                what = f"{path} is of a newer version (schema {version}, this one knows {VERSION})"
                return wrong("saved chats", what, "install the newer version again, or " + move)
            (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                return wrong("saved chats", f"{path} is damaged: {state}", f"sqlite3 {path} .recover, or {move}")
            (chats,) = db.execute("SELECT count(*) FROM chats").fetchone()
    except sqlite3.Error as error:
        return wrong("saved chats", f"{path}: {error}", move)
    return good("saved chats", f"{path}: {chats} {'chat' if chats == 1 else 'chats'}, schema {version} of {VERSION}")
