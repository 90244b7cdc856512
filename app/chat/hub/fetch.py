"""One large file over HTTP, from where an earlier attempt was cut off."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, BinaryIO

__all__ = ["fetch"]

ATTEMPTS = 5  # in a row that bring nothing
PAUSE_S = 1.0  # before the next of them


def fetch(url: str, part: BinaryIO, size: int, more: Callable[[int], None]) -> None:
    """Append to `part` what it lacks of the `size` bytes at `url`; `more` is told of each piece, and may raise.

    A cut connection is taken up again. Raises what the hub's library and its HTTP client raise.
    """
    from huggingface_hub import get_session

    client: Any = get_session()
    http: ModuleType = sys.modules[type(client).__module__.partition(".")[0]]  # whichever client the library has
    failures = 0
    while (have := part.seek(0, os.SEEK_END)) < size:
        problem: Exception = OSError(f"{url} ends {size - have} bytes too early")
        try:
            _append(client, url, part, have, more)
        except http.TransportError as error:
            problem = error
        if part.tell() != have:
            failures = 0
            continue
        failures += 1
        if failures == ATTEMPTS:
            raise problem
        time.sleep(PAUSE_S)
    if have > size:
        part.truncate(0)
        raise OSError(f"{url} has more than the {size} bytes that the hub said")


def _append(client: Any, url: str, part: BinaryIO, have: int, more: Callable[[int], None]) -> None:
    """One request for the bytes from `have` on."""
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers, follow_redirects=True) as response:
        hf_raise_for_status(response)
        if have and response.status_code != 206:  # a server that knows no ranges begins anew
            part.truncate(0)
            more(-have)
        for piece in response.iter_bytes():  # as they arrive: what has come is kept, whenever the line is cut
            part.write(piece)
            more(len(piece))
