"""Reading a checkpoint's small files: strict JSON objects and texts of bounded size, with errors that name the file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from qwen3_chat.models.errors import CheckpointError, Qwen3Error

GGUF_ENDING = ".gguf"
MAX_BYTES = 64 << 20  # the largest published one, tokenizer.json, has 11 MB


def is_gguf(path: str | Path) -> bool:
    """Whether a path names a GGUF file, by its ending, which is how people name one."""
    return Path(path).suffix == GGUF_ENDING


def checkpoint_folder(path: str | Path) -> Path:
    """Return `path` as a Path if it is a folder.

    Raises:
        CheckpointError: there is nothing there, or a file, as its own words say.
    """
    folder = Path(path)
    try:
        folder = folder.expanduser()
        if folder.is_dir():
            return folder
        if folder.exists():
            raise CheckpointError(
                f"{folder}: is a file; name the folder that holds config.json and the weights, or a .gguf file"
            )
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL in it, no permission, no such ~user
        raise CheckpointError(f"{str(folder)!r}: cannot be opened: {reason(error)}") from error
    raise CheckpointError(f"{folder}: no such folder; name the folder that holds config.json and the weights")


def file_exists(path: Path, error: type[Qwen3Error]) -> bool:
    """Whether there is a regular file at `path`; something else there, or a link to nothing, is an `error`."""
    try:
        if path.is_file():
            return True
        if path.exists():  # opening a named pipe would wait for ever
            raise error(f"{path}: not a regular file")
        if path.is_symlink():
            raise error(f"{path}: a link to {path.readlink()}, which is not there")
    except OSError as cause:
        raise error(f"{path}: cannot be read: {reason(cause)}") from cause
    return False


def read_text(path: Path, error: type[Qwen3Error]) -> str:
    """Read a UTF-8 file of at most `MAX_BYTES`; every failure is an `error` that names it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as cause:
        raise error(f"{path}: no such file") from cause
    except (OSError, ValueError) as cause:
        raise error(f"{path}: cannot be read: {reason(cause)}") from cause
    if len(data) > MAX_BYTES:
        raise error(f"{path}: larger than the {MAX_BYTES >> 20} MiB that such a file may have")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise error(f"{path}: not UTF-8: byte {cause.start} is 0x{data[cause.start]:02x}") from cause


def read_json(path: Path, error: type[Qwen3Error]) -> dict[str, Any]:
    """Read a file that holds one JSON object; every failure is an `error` that names it."""
    return parse_json(read_text(path, error), str(path), error)


def parse_json(text: str, source: str, error: type[Qwen3Error]) -> dict[str, Any]:
    """Parse one JSON object as RFC 8259 has it: no repeated name, no NaN or Infinity.

    Raises:
        error: the text is anything else; `source` says whose text it is.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
            raise error(f"{source}: {twice!r} appears twice")
        return result

    def no_constant(name: str) -> NoReturn:
        raise error(f"{source}: {name} is not a JSON number")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except json.JSONDecodeError as cause:
        raise error(f"{source}: not valid JSON: {cause.msg} at line {cause.lineno}, column {cause.colno}") from cause
    except RecursionError as cause:
        raise error(f"{source}: not valid JSON: nested too deeply") from cause
    except ValueError as cause:  # an integer of more digits than Python converts
        raise error(f"{source}: not valid JSON: {cause}") from cause
    if not isinstance(value, dict):
        raise error(f"{source}: holds {describe(value)}, expected a JSON object")
    return value


def describe(value: object, limit: int = 60) -> str:
    """Show a JSON value as JSON, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


def is_integer(value: object) -> bool:
    """Whether a JSON value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def reason(error: OSError | ValueError | RuntimeError) -> str:
    """What went wrong, in words, without the number and the path that Python adds."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
