"""The safetensors files of a checkpoint folder: one, or several with an index that says which tensor is where."""

from __future__ import annotations

from pathlib import Path

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import file_exists
from qwen3_chat.models.formats.safetensors import SafetensorsFile
from qwen3_chat.models.formats.safetensors_index import INDEX_FILE, SINGLE_FILE, read_index
from qwen3_chat.models.tensors import Stored

PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def open_safetensors(folder: Path) -> dict[str, Stored]:
    """Tensor name -> the tensor and the open file that holds it.

    Raises:
        CheckpointError: a file is missing or malformed, or the index and the files disagree; both are named.
    """
    if file_exists(folder / SINGLE_FILE, CheckpointError):  # comes first in transformers, too
        single = SafetensorsFile(folder / SINGLE_FILE)
        return {name: Stored(single, entry) for name, entry in single.entries.items()}
    if not file_exists(folder / INDEX_FILE, CheckpointError):
        raise CheckpointError(f"{folder}: {_what_instead(folder)}")
    index_path = folder / INDEX_FILE
    weight_map = read_index(index_path)
    files: dict[str, Stored] = {}
    opened: list[SafetensorsFile] = []
    try:
        for shard in sorted(set(weight_map.values())):
            if not file_exists(folder / shard, CheckpointError):
                raise CheckpointError(f"{folder / shard}: no such file, but {INDEX_FILE} names it: a shard is missing")
            file = SafetensorsFile(folder / shard)
            opened.append(file)
            for name, entry in file.entries.items():
                if name in files:
                    raise CheckpointError(f"{file.path}: tensor {name!r} is also in {files[name].file.path.name}")
                if name not in weight_map:
                    raise CheckpointError(f"{file.path}: tensor {name!r} is not in {INDEX_FILE}")
                files[name] = Stored(file, entry)
        for name, shard in weight_map.items():
            if name not in files or files[name].file.path.name != shard:
                raise CheckpointError(f"{folder / shard}: tensor {name!r} is not in it, but {INDEX_FILE} says so")
    except BaseException:
        for file in opened:
            file.close()
        raise
    return files


def _what_instead(folder: Path) -> str:
    """Why a folder without safetensors under the expected names cannot be opened, and what to do."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as cause:
        return f"cannot be listed: {cause.strerror}"
    for name in names:
        if name.endswith(".safetensors"):
            return f"{name} is there, but neither {SINGLE_FILE} nor {INDEX_FILE}: download the index, too"
    for name in names:
        if name.endswith(PICKLE_ENDINGS):
            return (
                f"{name} is a pickle, which can run any code when opened, so it is never read; convert it in a place "
                "you trust with transformers' from_pretrained(...).save_pretrained(...), which writes safetensors"
            )
    for name in names:
        if name.endswith(".gguf"):
            return f"{name} is GGUF: name the file itself, as in --model {folder / name}"
    return f"neither {SINGLE_FILE} nor {INDEX_FILE} is there"
