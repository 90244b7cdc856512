"""Which files of a folder hold a checkpoint's tensors: one, or those that an index names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import describe, read_json

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


def read_index(index_path: Path) -> dict[str, str]:
    """The index's tensor name -> file name, the latter bare names in the same folder.

    Raises:
        CheckpointError: it is anything else.
    """
    weight_map = read_json(index_path, CheckpointError).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index_path}: weight_map is {describe(weight_map)}, expected an object of file names")
    for name, file in weight_map.items():
        if (
            not isinstance(file, str)
            or not file.endswith(".safetensors")
            or "\0" in file
            or file != PurePosixPath(file).name
            or file != PureWindowsPath(file).name
        ):
            raise CheckpointError(
                f"{index_path}: weight_map[{name!r}] is {describe(file)}, expected the name of a .safetensors file in "
                "the same folder"
            )
    return weight_map
