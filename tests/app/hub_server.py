"""A server on this machine that speaks as much of the hub's protocol as a download needs, from files in memory."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".gguf", "tokenizer.json")  # kept in large file storage, whose files have a checksum


@dataclass
class Repository:
    """What the hub has of one model."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False  # for those without a token
    architecture: str | None = None  # of its GGUF files
    cut_after: list[int] = field(default_factory=list)  # bytes after which the next large answers break off
    corrupt: bool = False  # large files have other bytes than their checksum says
    ranges: bool = True  # whether it heeds Range

    @classmethod
    def of(cls, folder: Path, **options: Any) -> Repository:
        return cls({file.name: file.read_bytes() for file in folder.iterdir()}, **options)


class Hub(ThreadingHTTPServer):
    """The repositories, and what was asked of them."""

    daemon_threads = True

    def __init__(self, repositories: dict[str, Repository]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.asked: list[str] = []  # method and path
        self.ranges: list[str] = []  # Range headers of large files
        self.tokens: set[str | None] = set()
        self.hold = threading.Event()  # cleared: large files stop after their first half
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def got(self, ending: str) -> int:
        """How often a file was asked for."""
        return sum(asked.startswith("GET") and asked.endswith(ending) for asked in self.asked)


@contextmanager
def serve(repositories: dict[str, Repository]) -> Iterator[Hub]:
    hub = Hub(repositories)
    thread = threading.Thread(target=lambda: hub.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.hold.set()
        hub.shutdown()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Nobody listens."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.asked.append(f"{self.command} /{path}")
        token = self.headers.get("Authorization")
        self.server.tokens.add(token)
        parts = path.split("/")
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        repository = self.server.repositories.get(name)
        if repository is None:
            self._error(404 if token else 401, "RepoNotFound")
        elif repository.gated and token is None and not api:
            self._error(403, "GatedRepo")
        elif api:
            self._info(name, repository, parts[5] if parts[4:5] == ["revision"] else "main")
        elif parts[2] == "resolve":
            self._file(repository, parts[3], "/".join(parts[4:]))

    def _known(self, repository: Repository, revision: str) -> bool:
        if revision in (*repository.revisions, repository.commit):
            return True
        self._error(404, "RevisionNotFound")
        return False

    def _info(self, name: str, repository: Repository, revision: str) -> None:
        if not self._known(repository, revision):
            return
        siblings = []
        for path, data in repository.files.items():
            sibling: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": _etag(path, data)}
            if path.endswith(LARGE):
                sibling["lfs"] = {"sha256": _etag(path, data), "size": len(data), "pointerSize": 134}
            siblings.append(sibling)
        info: dict[str, Any] = {"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}
        if repository.architecture is not None:
            info["gguf"] = {"architecture": repository.architecture}
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _file(self, repository: Repository, revision: str, path: str) -> None:
        if not self._known(repository, revision):
            return
        data = repository.files.get(path)
        if data is None:
            self._error(404, "EntryNotFound")
            return
        headers = {"ETag": f'"{_etag(path, data)}"', "X-Repo-Commit": repository.commit}
        status, cut = 200, None
        if self.command == "GET" and path.endswith(LARGE):
            headers["Accept-Ranges"] = "bytes"
            if repository.corrupt:
                data = bytes(len(data))
            asked = self.headers.get("Range")
            self.server.ranges.append(asked or "")
            if asked is not None and repository.ranges:
                begin = int(asked.removeprefix("bytes=").rstrip("-"))
                headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
                status, data = 206, data[begin:]
            cut = repository.cut_after.pop(0) if repository.cut_after else None
        self._send(status, data, headers, cut)

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(body) // 2
        self.wfile.write(body[:cut][:half])
        if "Accept-Ranges" in headers:
            self.server.hold.wait()
        self.wfile.write(body[:cut][half:])
        if cut is not None and cut < len(body):
            self.close_connection = True


def _etag(path: str, data: bytes) -> str:
    """A checksum as the hub has it: of large files the SHA-256, of others git's."""
    if path.endswith(LARGE):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
