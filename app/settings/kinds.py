"""What kind of value a setting takes: how it is typed, how it stands in a file, and what is wrong with another one."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod

__all__ = ["Choice", "Devices", "Kind", "Number", "Place", "Switch", "Value", "Whole", "Words"]

Value = str | int | float | bool

_DEVICE = r"(cpu|cuda):\d+"
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


class Kind(ABC):
    """Both methods raise ValueError that says what was expected."""

    metavar = ""  # stands for the value in the list of flags

    def parse(self, text: str) -> Value:
        """The value of what was typed: a flag, a variable of the environment, a field of the screen."""
        return self.check(text)

    @abstractmethod
    def check(self, value: object) -> Value:
        """The value as a file has it, whose format knows types."""


class Whole(Kind):
    """A whole number of a range."""

    metavar = "N"

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def parse(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise self._wrong(text) from None
        return self.check(value)

    def check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise self._wrong(value)
        return value

    def _wrong(self, value: object) -> ValueError:
        return ValueError(f"expected a whole number from {self.low} to {self.high}, not {_told(value)}")


class Number(Kind):
    """A number of a range; `open_low`: `low` itself is out of it."""

    metavar = "X"

    def __init__(self, low: float, high: float, *, open_low: bool = False) -> None:
        self.low = low
        self.high = high
        self.open_low = open_low

    def parse(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self._wrong(text) from None
        return value if self._holds(value) else self._fail(text)

    def check(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self._holds(value):
            return self._fail(value)
        return float(value)

    def _holds(self, value: float) -> bool:
        return not math.isnan(value) and self.low <= value <= self.high and not (self.open_low and value == self.low)

    def _fail(self, value: object) -> float:
        raise self._wrong(value)

    def _wrong(self, value: object) -> ValueError:
        lower = f"above {self.low:g} and up" if self.open_low else f"from {self.low:g}"
        return ValueError(f"expected a number {lower} to {self.high:g}, not {_told(value)}")


class Choice(Kind):
    """One of a few words."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def check(self, value: object) -> str:
        if value not in self.values:
            raise ValueError(f"expected one of {', '.join(self.values)}, not {_told(value)}")
        return str(value)


class Switch(Kind):
    """On or off; `true` or `false` in a file, two flags on the command line."""

    def parse(self, text: str) -> bool:
        if (word := text.strip().lower()) not in (*_ON, *_OFF):
            raise ValueError(f"expected on or off, not {_told(text)}")
        return word in _ON

    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, not {_told(value)}")
        return value


class Words(Kind):
    """Any text that can be written as UTF-8."""

    metavar = "TEXT"

    def parse(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("the text is not valid UTF-8") from None
        return text

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a text in quotes, not {_told(value)}")
        return self.parse(value)


class Place(Kind):
    """The path of a file or folder, which nobody has looked at yet."""

    metavar = "PATH"

    def parse(self, text: str) -> str:
        if not text:
            raise ValueError("expected a path, not nothing")
        return text

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a path in quotes, not {_told(value)}")
        return self.parse(value)


class Devices(Kind):
    """`auto`, or names of devices with commas between them."""

    metavar = "LIST"

    def parse(self, text: str) -> str:
        names = text.split(",")
        if text != "auto" and not all(re.fullmatch(_DEVICE, name) for name in names):
            raise ValueError(f"expected auto, or names such as cpu:0,cpu:1, not {_told(text)}")
        if len(set(names)) < len(names):
            raise ValueError(f"{text!r} names a device twice")
        return text

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f'expected "auto", or names such as "cpu:0,cpu:1", not {_told(value)}')
        return self.parse(value)


def _told(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
