"""Arguments on their way into the engine: what has the wrong type is named before C++ sees it."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from qwen3_chat.engine.errors import ConfigError

Ids: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]

_INT32 = np.iinfo(np.int32)


def token_ids(ids: Ids, name: str = "ids") -> npt.NDArray[np.int32]:
    """Token ids as the engine reads them: int32, one axis. Raises ConfigError naming the argument."""
    try:
        array = np.asarray(ids)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: expected one flat sequence of token ids ({error})") from None
    if array.size == 0:
        array = array.astype(np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ConfigError(
            f"{name}: expected one flat sequence of integer token ids, got {array.ndim} axes of {array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() > _INT32.max):
        raise ConfigError(f"{name}: {int(array.min())}..{int(array.max())} are not token ids")
    return np.ascontiguousarray(array, dtype=np.int32)


def integer(value: object, name: str, low: int, high: int) -> int:
    """The value as an int within [low, high]. Raises ConfigError naming the field."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise ConfigError(f"{name} = {value!r}: expected an integer")
    number = operator.index(value)
    if not low <= number <= high:
        raise ConfigError(f"{name} = {number}: expected {low} to {high}")
    return number


def real(value: object, name: str) -> float:
    """The value as a finite float. Raises ConfigError naming the field."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ConfigError(f"{name} = {value!r}: expected a number")
    number = float(value)
    if not math.isfinite(number) or abs(number) > np.finfo(np.float32).max:
        raise ConfigError(f"{name} = {number}: expected a finite number")
    return number


def device_list(devices: str | Sequence[str]) -> list[str]:
    """Device names from "auto", "cpu:0,cpu:1" or a list. The engine checks each name and knows what "auto" is."""
    names = devices.split(",") if isinstance(devices, str) else list(devices)
    return [str(name).strip() for name in names]
