"""How a model on the hub is written: `Qwen/Qwen3-0.6B`, a GGUF file of a repository, and a revision of either."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["HubName", "parse"]

_WORD = r"[A-Za-z0-9](?:[\w.-]*\w)?"
_REVISION = r"@(?P<{}>[\w./-]+)"
_PATTERN = re.compile(
    rf"(?P<repository>{_WORD}/{_WORD})(?:{_REVISION.format('first')})?"
    rf"(?:[:/](?P<file>[\w./+ -]+\.gguf))?(?:{_REVISION.format('last')})?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class HubName:
    """A model repository at a revision, or one GGUF file in it."""

    repository: str  # owner/name
    revision: str = "main"  # a branch, a tag or a commit
    file: str | None = None  # path of a .gguf file in the repository; None: the checkpoint

    def __str__(self) -> str:
        file = f":{self.file}" if self.file is not None else ""
        return f"{self.repository}{file}" + (f"@{self.revision}" if self.revision != "main" else "")

    @property
    def name(self) -> str:
        """Without its owner, as a path's last part."""
        return str(self).partition("/")[2]


def parse(text: str) -> HubName | None:
    """`owner/name`, `owner/name:file.gguf` or `owner/name/file.gguf`, each with `@revision`; None: it is none of these.

    A path may well look like one; whoever asks has seen that there is no such path.
    """
    match = _PATTERN.fullmatch(text)
    if match is None or ".." in text or "--" in match["repository"]:
        return None
    if match["first"] and match["last"]:
        return None
    file = match["file"]
    if file is not None and any(part in ("", ".") for part in file.split("/")):
        return None
    return HubName(match["repository"], match["first"] or match["last"] or "main", file)
