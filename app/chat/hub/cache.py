"""The hub's cache on this machine, read by its documented layout: what is there needs neither network nor its library.

models--Qwen--Qwen3-0.6B/refs/main            the commit that `main` was when it was downloaded
models--Qwen--Qwen3-0.6B/snapshots/COMMIT/    that commit's files, as links into blobs/
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from qwen3_chat.app.chat.hub.name import HubName
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import GGUF_ENDING
from qwen3_chat.models.formats.safetensors_index import INDEX_FILE, SINGLE_FILE, read_index

__all__ = ["cache_folder", "cached", "cached_models", "repository_folder", "snapshot"]

MAIN = "main"
_PREFIX = "models--"
_SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the hub's library keeps downloads: $HF_HUB_CACHE, else below $HF_HOME, else below $XDG_CACHE_HOME."""
    if cache := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expandvars(cache)).expanduser()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    home = environment.get("HF_HOME") or str(Path(base) / "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def repository_folder(repository: str, cache: Path) -> Path:
    """Where everything of `owner/name` is kept."""
    return cache / (_PREFIX + repository.replace("/", "--"))


def snapshot(repository: str, revision: str, cache: Path) -> Path | None:
    """The files of a revision (a branch, a tag, a commit) as far as they are there; None: nothing is."""
    folder = repository_folder(repository, cache)
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = revision
    found = folder / "snapshots" / commit
    return found if commit not in ("", ".", "..") and "/" not in commit and found.is_dir() else None


def splits(file: str) -> list[str]:
    """Every file that a GGUF model consists of, the first one first: the file itself, or all that it is one of."""
    match = _SPLIT.fullmatch(file)
    if match is None:
        return [file]
    return [f"{match[1]}-{number:05}-of-{match[3]}{GGUF_ENDING}" for number in range(1, int(match[3]) + 1)]


def cached(name: HubName, cache: Path | None = None) -> Path | None:
    """The path of the model in the cache; None if it, or a part of it, is not there."""
    place = snapshot(name.repository, name.revision, cache_folder() if cache is None else cache)
    if place is None:
        return None
    if name.file is None:
        return place if _is_whole(place) else None
    files = splits(name.file)
    return place / files[0] if all((place / file).is_file() for file in files) else None


def _is_whole(folder: Path) -> bool:
    """Whether everything is there that a checkpoint needs."""
    try:
        return all((folder / file).is_file() for file in ("config.json", "tokenizer.json", *weight_files(folder)))
    except (OSError, CheckpointError):  # an index that is no index: a download says what is wrong with it
        return False


def weight_files(folder: Path) -> list[str]:
    """The names of the files that hold its weights, whether they are there or not."""
    if not (folder / SINGLE_FILE).is_file() and (folder / INDEX_FILE).is_file():
        return sorted(set(read_index(folder / INDEX_FILE).values()))
    return [SINGLE_FILE]


def cached_models(cache: Path | None = None) -> list[tuple[str, Path]]:
    """Name and path of every checkpoint folder and GGUF file in the cache, by name.

    Whether a folder holds a Qwen3 model is for the caller to see; half a download is left out.
    """
    cache = cache_folder() if cache is None else cache
    found: list[tuple[str, Path]] = []
    try:
        repositories = sorted(path for path in cache.iterdir() if path.name.startswith(_PREFIX))
    except OSError:
        return []
    for folder in repositories:
        repository = folder.name.removeprefix(_PREFIX).replace("--", "/", 1)
        place = snapshot(repository, MAIN, cache) or _any_snapshot(folder)
        if place is None:
            continue
        if _is_whole(place):
            found.append((repository, place))
        for file in sorted(place.glob(f"*{GGUF_ENDING}")):
            if splits(file.name)[0] == file.name:  # the first one opens all
                found.append((f"{repository}:{file.name}", file))
    return found


def _any_snapshot(folder: Path) -> Path | None:
    """Without a `main`, whichever revision there is."""
    try:
        return next(iter(sorted((folder / "snapshots").iterdir())), None)
    except OSError:
        return None
