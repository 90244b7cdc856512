"""The models that a person can choose without typing a path: opened before, listed by them, downloaded, bundled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qwen3_chat.app.chat.hub.cache import cached_models
from qwen3_chat.app.chat.recent import RecentModels
from qwen3_chat.models import demo
from qwen3_chat.models.files import is_gguf

__all__ = ["KnownModel", "known_models"]

Source = Literal["recent", "config", "cache", "bundled"]
LONGEST_CONFIG = 1 << 20  # bytes of a config.json that is looked at; a published one has two thousand
_ARCHITECTURES = {"qwen3", "qwen3_moe"}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A checkpoint folder or a GGUF file that is there."""

    name: str
    path: Path
    source: Source
    nbytes: int  # of its weights' files


def known_models(listed: Mapping[str, Path], recent: RecentModels | None = None) -> list[KnownModel]:
    """Each once: the ones opened last, then those that the configuration lists, the downloaded ones, the bundled one.

    `listed`: name -> path, as the configuration has it. Nothing is loaded, and no more read than each config.json.
    """
    recent = RecentModels() if recent is None else recent
    names = {_place(path): name for name, path in listed.items()}
    found: dict[Path, KnownModel] = {}
    for source, name, path in _candidates(listed, recent):
        place = _place(path)
        if place not in found and (source == "config" or _is_qwen3(path)):
            found[place] = KnownModel(names.get(place, name), path, source, weight_bytes(path))
    return list(found.values())


def _candidates(listed: Mapping[str, Path], recent: RecentModels) -> Iterator[tuple[Source, str, Path]]:
    cached = cached_models()
    repositories = {_place(path): name for name, path in cached}
    for path in recent.paths():
        yield "recent", repositories.get(_place(path), path.stem if is_gguf(path) else path.name), path
    for name, path in listed.items():
        yield "config", name, path
    for name, path in cached:
        yield "cache", name, path
    yield "bundled", "demo model", demo.path()


def weight_bytes(path: Path) -> int:
    """Size of the files that hold the weights; 0 where there are none."""
    try:
        files = [path] if path.is_file() else [*path.glob("*.safetensors")]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def _place(path: Path) -> Path:
    """Where it really is, so that two ways to it count once. A file of a hub's cache is a link to a nameless one."""
    try:
        return path.parent.resolve() / path.name if is_gguf(path) else path.resolve()
    except (OSError, RuntimeError):
        return path


def _is_qwen3(path: Path) -> bool:
    """Whether config.json says so; a GGUF file is taken at its ending."""
    if is_gguf(path):
        return path.is_file()
    try:
        with (path / "config.json").open("rb") as file:
            config = json.loads(file.read(LONGEST_CONFIG))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("model_type") in _ARCHITECTURES
