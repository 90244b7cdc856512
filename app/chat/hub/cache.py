"""The hub's cache on this machine, read by its documented layout: what is there needs neither network nor its library.

models--Qwen--Qwen3-0.6B/refs/main            the commit that `main` was when it was downloaded
models--Qwen--Qwen3-0.6B/snapshots/COMMIT/    that commit's files, as links into blobs/
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from qwen3_chat.models.files import GGUF_ENDING

__all__ = ["cache_folder", "cached_models", "snapshot"]

MAIN = "main"
_PREFIX = "models--"
_LATER_SPLIT = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf\Z")  # the first one opens all


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
        if (place / "config.json").exists() and any(file.exists() for file in place.glob("*.safetensors")):
            found.append((repository, place))
        files = [file for file in sorted(place.glob(f"*{GGUF_ENDING}")) if not _LATER_SPLIT.search(file.name)]
        found += [(f"{repository}:{file.name}", file) for file in files]
    return found


def _any_snapshot(folder: Path) -> Path | None:
    """Without a `main`, whichever revision there is."""
    try:
        return next(iter(sorted((folder / "snapshots").iterdir())), None)
    except OSError:
        return None
