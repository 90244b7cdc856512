"""Models by the name they have on the Hugging Face hub: from its cache, or downloaded because somebody named one.

A path that is there comes first, then the cache, which needs neither network nor the hub's library; only a name that
is neither is asked of the hub.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.hub.cache import cached
from qwen3_chat.app.chat.hub.name import HubName, parse

if TYPE_CHECKING:
    from qwen3_chat.app.chat.hub.download import Step

__all__ = ["HubName", "find", "obtain"]


def find(model: str) -> Path | HubName:
    """What `--model` names: a path, also one that is not there; or a model of the hub that is not downloaded yet."""
    path = Path(model)
    try:
        if path.expanduser().exists():
            return path
    except (OSError, ValueError, RuntimeError):  # whoever opens it says what is wrong with it
        return path
    name = parse(model)
    return path if name is None else cached(name) or name


def obtain(model: Path | HubName, progress: Callable[[Step], bool | None] | None = None) -> Path:
    """The path of a model; one of the hub's is downloaded first, see `Download`."""
    if isinstance(model, Path):
        return model
    from qwen3_chat.app.chat.hub.download import Download

    return Download.of(model).run(progress)
