"""A model's files from the hub into its cache: only those that are read, and none of them twice.

The hub's library asks, downloads the small files and lays out the cache. Large files come by `fetch`, into a part that
stays where it is when the line is cut or somebody cancels: the library removes its own parts.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from qwen3_chat.app.chat.errors import HubError
from qwen3_chat.app.chat.hub.cache import cache_folder, repository_folder, snapshot, splits
from qwen3_chat.app.chat.hub.fetch import fetch
from qwen3_chat.app.chat.hub.name import HubName
from qwen3_chat.app.chat.hub.problems import translated
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.errors import ConfigError
from qwen3_chat.models.formats.safetensors_index import INDEX_FILE, SINGLE_FILE, read_index

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo
    from huggingface_hub.hf_api import RepoSibling

__all__ = ["Download", "Step"]

CONFIG = "config.json"
NEEDED = (CONFIG, "tokenizer.json")
READ = (*NEEDED, "generation_config.json", "tokenizer_config.json", "chat_template.jinja")
ARCHITECTURES = ("qwen3", "qwen3moe")  # as GGUF has them
SPARE = 64 << 20  # bytes of the disk that are left free
CHUNK = 1 << 22  # bytes
HUB = "https://huggingface.co"
TRUE = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True, slots=True)
class Step:
    """How far a download has come. Bytes."""

    stage: str  # "download"
    done: int
    total: int


Progress = Callable[[Step], bool | None]


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file of the repository."""

    path: str
    size: int
    sha256: str | None  # of a large one


class Download:
    """One model at one commit, and what is missing of it. `of` asks the hub, `run` downloads.

    Attributes:
        name: what was asked for.
        endpoint: the hub's address.
        cache: the folder that it goes to.
        missing: bytes to download.
    """

    def __init__(self, name: HubName, endpoint: str, cache: Path) -> None:
        """Use `of`."""
        self.name = name
        self.endpoint = endpoint
        self.cache = cache
        self.commit = ""
        self.files: list[_Remote] = []
        self.missing = 0

    @classmethod
    def of(cls, name: HubName) -> Self:
        """Ask the hub what the model is; its configuration is looked at before anything large is downloaded.

        Raises HubError: the hub cannot be asked, has no such model or does not give it, or it is no Qwen3.
        """
        cache = cache_folder()
        for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            if os.environ.get(variable, "").upper() in TRUE:
                raise HubError(
                    f"{name}: there is no such path, it is not in {cache}, and {variable} forbids a download"
                )
        _quieten()
        from huggingface_hub import HfApi

        download = cls(name, os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB, cache)
        with translated(name, download.endpoint):
            info = HfApi(endpoint=download.endpoint).model_info(
                name.repository, revision=name.revision, files_metadata=True
            )
            download._choose(info)
        return download

    def run(self, progress: Progress | None = None) -> Path:
        """Download what is missing and return the model's path. `progress` returning False cancels.

        Raises HubError, and Cancelled; what has come by then stays for the next time.
        """
        done, total = 0, self.missing

        def more(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None and progress(Step("download", done, total)) is False:
                from qwen3_chat.engine import Cancelled

                raise Cancelled("the download was cancelled; the next one goes on from there")

        self._check_disk()
        with translated(self.name, self.endpoint):
            for file in self.files:
                if self._is_there(file):
                    continue
                if file.sha256 is not None:
                    self._fetch(file, file.sha256, more)
                self._link(file.path, self.commit)
                if file.sha256 is None:
                    more(file.size)
            self._link(self.files[0].path, self.name.revision)  # the branch now is this commit
        place = self._place()
        return place / self.files[0].path if self.name.file is not None else place

    # Which files

    def _choose(self, info: ModelInfo) -> None:
        self.commit = info.sha or self.name.revision
        remote = {sibling.rfilename: _remote(sibling) for sibling in info.siblings or []}
        if self.name.file is not None:
            self._check_architecture(info)
            wanted = self._wanted_splits(self.name.file, remote)
        else:
            wanted = self._wanted_files(remote)
        self.files = [remote[path] for path in wanted]
        self.missing = sum(file.size - self._part_size(file) for file in self.files if not self._is_there(file))

    def _wanted_splits(self, file: str, remote: dict[str, _Remote]) -> list[str]:
        wanted = splits(file)
        for path in wanted:
            if path not in remote:
                there = sorted(known for known in remote if known.endswith(".gguf"))
                listed = f"it has {', '.join(there[:8])}" if there else "it has no .gguf file"
                raise HubError(f"{self.name}: {self.name.repository} has no {path}; {listed}")
        return wanted

    def _wanted_files(self, remote: dict[str, _Remote]) -> list[str]:
        ggufs = sorted(path for path in remote if path.endswith(".gguf"))
        for path in NEEDED:
            if path not in remote and ggufs:
                raise HubError(f"{self.name}: holds GGUF files; name one, as in {self.name.repository}:{ggufs[0]}")
            if path not in remote:
                raise HubError(f"{self.name}: has no {path}, so it is no checkpoint that can be opened")
        try:
            Qwen3Config.from_folder(self._link(CONFIG, self.commit).parent)
        except ConfigError as error:
            raise HubError(f"{self.name}: is not a Qwen3 model that can be opened: {error}") from error
        weights = [SINGLE_FILE]
        if SINGLE_FILE not in remote and INDEX_FILE in remote:
            weights = [INDEX_FILE, *sorted(set(read_index(self._link(INDEX_FILE, self.commit)).values()))]
        for path in weights:
            if path not in remote:
                raise HubError(
                    f"{self.name}: has no {path}; only safetensors files are downloaded, never pickles such as *.bin"
                )
        return [*(path for path in READ if path in remote), *weights]

    def _check_architecture(self, info: ModelInfo) -> None:
        """What the hub has read in the GGUF files, if it says so."""
        told = getattr(info, "gguf", None)
        architecture = told.get("architecture") if isinstance(told, dict) else None
        if architecture is not None and architecture not in ARCHITECTURES:
            raise HubError(f"{self.name}: is a model of the architecture {architecture}, not a Qwen3")

    # Where they are

    def _place(self) -> Path:
        return snapshot(self.name.repository, self.commit, self.cache) or self._folder / "snapshots" / self.commit

    @property
    def _folder(self) -> Path:
        return repository_folder(self.name.repository, self.cache)

    def _is_there(self, file: _Remote) -> bool:
        return (self._place() / file.path).is_file()

    def _blob(self, sha256: str) -> Path:
        return self._folder / "blobs" / sha256

    def _part(self, sha256: str) -> Path:
        return self._folder / "blobs" / f"{sha256}.part"

    def _part_size(self, file: _Remote) -> int:
        """Bytes of it that have come before."""
        if file.sha256 is None:
            return 0
        if self._blob(file.sha256).exists():  # of another revision
            return file.size
        try:
            return min(file.size, self._part(file.sha256).stat().st_size)
        except OSError:
            return 0

    def _check_disk(self) -> None:
        there = next(folder for folder in (self.cache, *self.cache.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if self.missing and self.missing + SPARE > free:
            raise HubError(
                f"{self.name}: needs {_gib(self.missing)} GiB in {self.cache}, {_gib(free)} GiB are free; make room, "
                "or set HF_HUB_CACHE to a folder on another disk"
            )

    # How they come

    def _link(self, path: str, revision: str) -> Path:
        """The library's part: a small file's bytes, and every file's place in the snapshot."""
        from huggingface_hub import hf_hub_download

        found = hf_hub_download(
            self.name.repository, path, revision=revision, endpoint=self.endpoint, cache_dir=self.cache
        )
        return Path(str(found))

    def _fetch(self, file: _Remote, sha256: str, more: Callable[[int], None]) -> None:
        """A large file's bytes, from where its part ends."""
        from huggingface_hub import hf_hub_url

        blob = self._blob(sha256)
        if blob.exists():
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        url = hf_hub_url(self.name.repository, file.path, revision=self.commit, endpoint=self.endpoint)
        with _locked(self._part(sha256), self.name) as part:
            fetch(url, part, file.size, more)
            if _sha256(part) != sha256:
                part.truncate(0)
                raise HubError(f"{self.name}: {file.path} came damaged: its checksum is another; download it again")
            self._part(sha256).rename(blob)


def _remote(sibling: RepoSibling) -> _Remote:
    sha256 = sibling.lfs.sha256 if sibling.lfs is not None else None
    return _Remote(sibling.rfilename, sibling.size or 0, sha256)


def _quieten() -> None:
    """The library shall draw nothing, and tell the hub nothing that nobody asked it to. It reads this on import."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # what matters is raised
    warnings.filterwarnings("ignore", module="huggingface_hub")


@contextmanager
def _locked(path: Path, name: HubName) -> Iterator[BinaryIO]:
    """The part, for one program alone."""
    with path.open("a+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HubError(f"{name}: another program is downloading it into {path.parent}; wait for that one") from None
        yield part


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
