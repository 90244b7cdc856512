"""What one rendering of a chat template may do: steps, characters, CPU time; and what is weighed before it is made.

Every check raises `WorkExceededError` before the work that it forbids.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import TemplateRuntimeError

MAX_STEPS = 2_000_000
MAX_TEXT = 64 << 20  # characters built in one rendering, intermediate texts included
MAX_SECONDS = 3.0  # of CPU time, so that a busy machine fails no template
MAX_WIDTH = 10_000  # of a padded or formatted field; bits of a number

_STEPS_BETWEEN_CLOCKS = 256
_PADDING = frozenset(("center", "ljust", "rjust", "zfill", "expandtabs"))


class WorkExceededError(TemplateRuntimeError):
    """The rendering took more steps, text or time than it may."""


class Work:
    """What one rendering may still do; made by the thread that renders."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._text = MAX_TEXT
        self._deadline = time.thread_time() + MAX_SECONDS
        self._next_clock = MAX_STEPS

    def steps(self, count: int) -> None:
        """Charge `count` pieces of work of bounded size.

        Raises:
            WorkExceededError: they are too many, or took too long.
        """
        self._steps -= count
        if self._steps < 0:
            raise WorkExceededError(f"the template takes more than {MAX_STEPS} steps")
        if self._steps < self._next_clock:
            self._next_clock = self._steps - _STEPS_BETWEEN_CLOCKS
            if time.thread_time() > self._deadline:
                raise WorkExceededError(f"the template runs for more than {MAX_SECONDS:g} seconds")

    def text(self, count: int) -> None:
        """Charge `count` characters that are built.

        Raises:
            WorkExceededError: they are too many.
        """
        self._text -= count
        if self._text < 0:
            raise WorkExceededError(f"the template builds more than {MAX_TEXT} characters of text")

    def weigh(self, value: object, times: int = 1) -> None:
        """Charge a value by all that is inside it, as often as it is inside, `times` over."""
        waiting = [value]
        while waiting:
            item = waiting.pop()
            self.steps(times)
            if isinstance(item, str):
                self.text(len(item) * times)
            elif isinstance(item, Mapping):
                waiting.extend(item)
                waiting.extend(item.values())
            elif isinstance(item, (list, tuple, set, frozenset)):
                waiting.extend(item)


def check_product(work: Work, left: Any, right: Any) -> None:
    """Of `left * right`, where one may be a text or a list."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_WIDTH:
            raise WorkExceededError("a product of numbers is too large")
        return
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str) and isinstance(times, int):
            work.text(len(value) * max(times, 0))
        elif isinstance(times, int) and times > 1:
            work.weigh(value, times)


def check_power(left: Any, right: Any) -> None:
    """Of `left ** right`."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_WIDTH:
        raise WorkExceededError("a power is too large")


def check_percent(work: Work, pattern: str, values: Any) -> None:
    """Of `'%5d' % 1`: a width is in the pattern, or for `*` among the values."""
    _check_width(*map(int, re.findall(r"\d{1,18}", pattern)))
    if "*" in pattern:
        _check_width(*values if isinstance(values, tuple) else (values,))
    work.weigh(values)


def check_format(pattern: str) -> None:
    """Of `'{:5}'.format(1)`: a width is in the pattern, or for `{:{}}` among the values."""
    for field in re.findall(r"\{[^{}]*\}", pattern):
        _check_width(*map(int, re.findall(r"\d{1,18}", field)))
    if re.search(r"\{[^{}]*:[^{}]*\{", pattern):
        raise WorkExceededError("a format whose width is a value is not supported")


def _check_width(*widths: object) -> None:
    for width in widths:
        if isinstance(width, int) and abs(width) > MAX_WIDTH:
            raise WorkExceededError(f"a width of {width} is more than {MAX_WIDTH}")


def _check_replace(work: Work, value: Any, old: Any, new: Any, *_: Any, **__: Any) -> None:
    text, old, new = str(value), str(old), str(new)
    work.text(len(text) + text.count(old) * max(0, len(new) - len(old)))


def _check_join(work: Work, value: Any, d: Any = "", *_: Any, **__: Any) -> None:
    work.text(len(str(d)) * len(value))


def _check_indent(work: Work, value: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    indent = len(width) if isinstance(width, str) else abs(int(width))
    work.text(len(str(value)) + indent * (str(value).count("\n") + 1))


def _check_round(_work: Work, _value: Any, precision: Any = 0, *_: Any, **__: Any) -> None:
    if abs(int(precision)) > 100:
        raise WorkExceededError(f"rounding to {precision} places is not supported")


def _check_sum(_work: Work, _value: Any, attribute: Any = None, start: Any = 0) -> None:
    if not isinstance(start, (int, float)):  # adding lists up takes quadratic time
        raise WorkExceededError("sum adds up numbers only")


def _check_json(_work: Work, _value: Any, ensure_ascii: Any = False, indent: Any = None, *_: Any, **__: Any) -> None:
    if indent is not None and (len(indent) if isinstance(indent, str) else indent) > 100:
        raise WorkExceededError(f"an indent of {indent} is not supported")


FILTER_CHECKS: dict[str, Callable[..., None]] = {
    "center": lambda _work, _value, width=80: _check_width(width),
    "format": lambda work, value, *args, **kwargs: check_percent(work, str(value), args or kwargs),
    "indent": _check_indent,
    "join": _check_join,
    "replace": _check_replace,
    "round": _check_round,
    "sum": _check_sum,
    "tojson": _check_json,
}


def check_method(work: Work, owner: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Charge a method of str before it runs."""
    work.text(len(owner))
    work.weigh((args, kwargs))
    if name in _PADDING:
        _check_width(*args, *kwargs.values())
        work.text(owner.count("\t") * MAX_WIDTH if name == "expandtabs" and args else 0)
    elif name == "replace":
        _check_replace(work, owner, *args, **kwargs)
    elif name == "join" and args and isinstance(args[0], (list, tuple, Mapping, str)):
        work.text(len(owner) * len(args[0]))
