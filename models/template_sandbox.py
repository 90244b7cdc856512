"""Jinja for a template that nobody here has read: nothing but data is within reach, and its work is bounded.

Jinja's own sandbox keeps a template from Python's internals but lets it loop and build texts for ever. Here every loop,
call and filter is charged in steps, and every text built in characters, against one budget per rendering. What can make
much out of little (`'a' * n`, `replace`, widths of formats, lists inside lists) is weighed before it is made.

The filters, globals and block settings are those transformers gives a chat template.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import wraps
from itertools import islice
from typing import Any, NoReturn, cast

import jinja2
import jinja2.ext
import jinja2.nodes as nodes
from jinja2 import pass_context
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from qwen3_chat.models.errors import TemplateError
from qwen3_chat.models.template_work import (
    FILTER_CHECKS,
    MAX_STEPS,
    Work,
    WorkExceededError,
    check_format,
    check_method,
    check_percent,
    check_power,
    check_product,
)

MAX_SOURCE = 128 << 10  # characters of the template itself, which compile in seconds; published ones have thousands

# Those that are not here draw random numbers, lay out HTML, or take unbounded time on small arguments.
FILTERS = frozenset(
    "abs capitalize center count d default dictsort e escape first float forceescape format groupby indent int items "
    "join last length list lower map max min reject rejectattr replace reverse round safe select selectattr sort "
    "string sum title tojson trim truncate unique upper urlencode wordcount".split()
)
_CONSTANT_TIME = frozenset(("count", "d", "default", "first", "last", "length"))
_MAKE_TEXT = frozenset(("string", "join", "tojson", "e", "escape", "forceescape", "format", "urlencode"))


class Sandbox(ImmutableSandboxedEnvironment):
    """A Jinja environment whose renderings are charged to `work`."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, jinja2.ext.loopcontrols],
            optimized=False,  # nothing is evaluated while compiling, outside any budget
            finalize=_finalize,
        )
        self.work = Work()
        self.filters = {
            name: self._charged(name, function) for name, function in self.filters.items() if name in FILTERS
        }
        self.filters["tojson"] = self._charged("tojson", _to_json)
        self.filters["_counted"] = _counted
        self.filters["_weighed"] = _weighed
        self.filters["_joined"] = _joined
        del self.globals["lipsum"]
        self.globals["dict"] = _make_dict  # the type itself has methods that nobody needs
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def concat(self, pieces: Any) -> str:  # an attribute there, for exactly this use
        parts: list[str] = []
        for piece in pieces:
            self.work.steps(1)
            self.work.text(len(piece))
            parts.append(piece)
        return "".join(parts)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _Meter().visit(template)
        return template

    def _charged(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The filter, with its input and output charged; jinja2's mark of what comes before the value is kept."""
        before = 1 if hasattr(function, "jinja_pass_arg") else 0

        @wraps(function)
        def charged(*args: Any, **kwargs: Any) -> Any:
            value, rest = args[before], args[before + 1 :]
            if isinstance(value, Iterator):
                value = list(islice(value, MAX_STEPS))
            walks = name not in _CONSTANT_TIME and isinstance(value, (list, tuple, range, Mapping))
            self.work.steps(1 + (len(value) if walks else 0))
            if name in _MAKE_TEXT:
                self.work.weigh(value)
            for argument in (*rest, *kwargs.values()):
                self.work.weigh(argument)
            if check := FILTER_CHECKS.get(name):
                check(self.work, value, *rest, **kwargs)
            result = function(*args[:before], value, *rest, **kwargs)
            if isinstance(result, str):
                self.work.text(len(result))
            return result

        return charged

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self.work.steps(1)
        if operator == "*":
            check_product(self.work, left, right)
        elif operator == "**":
            check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            check_percent(self.work, left, right)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, str):
            self.work.text(len(result))
        elif isinstance(result, (list, tuple)):
            self.work.steps(len(result))
        return result

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        self = __self  # jinja2's own names, which no keyword of a template collides with
        self.work.steps(10)  # a macro may stand behind it
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            check_method(self.work, owner, __obj.__name__, args, kwargs)
        elif isinstance(__obj, LoopContext):  # the next level of a recursive loop
            args = (_counted_by(self.work, args[0]), *args[1:]) if args else args
        elif __obj is _make_dict or __obj is self.globals["namespace"]:
            self.work.weigh((args, kwargs))
        result = super().call(__context, __obj, *args, **kwargs)
        if isinstance(result, str):
            self.work.text(len(result))
        elif isinstance(result, (list, tuple)):
            self.work.steps(len(result))
        return result

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            check_format(value.__self__)
        return wrapped

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr in ("encode", "translate", "maketrans"):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        # Not only when it is printed, as there: a template that reaches for this has no good reason.
        raise SecurityError(f"the template reaches for attribute {attribute!r} of {type(obj).__name__!r}")


class SandboxedTemplate:
    """A compiled template; `render(**variables)` may be called from any thread.

    Raises:
        TemplateError: the template does not compile, or fails, refuses, or exceeds its bounds while rendering; `source`
            says in the message where it is from.
    """

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._environment = Sandbox()
        self._lock = threading.Lock()
        if len(text) > MAX_SOURCE:
            raise TemplateError(f"{source}: the chat template is longer than {MAX_SOURCE} characters")
        try:
            self._template = self._environment.from_string(text)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"{source}: the chat template, line {error.lineno}: {error.message}") from error
        except Exception as error:  # of the compiler, on what no person writes: loops nested too deeply, and the like
            raise TemplateError(f"{source}: the chat template does not compile: {_reason(error)}") from error

    def render(self, **variables: Any) -> str:
        """Render with plain data only: str, int, float, bool, None, and dicts and lists of them."""
        with self._lock:
            self._environment.work = Work()
            try:
                return self._template.render(**variables)
            except Exception as error:  # a template can fail in every way that Python code can
                raise TemplateError(f"{self._source}: the chat template fails: {_reason(error)}") from error


class _Generation(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}` marks the assistant's part for training; it renders as its content."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 declares it so

    def parse(self, parser: jinja2.parser.Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Meter(NodeTransformer):
    """Sends what loops run over, what `~` joins, and what literals hold through a filter that charges it."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.iter = _through("_counted", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("_joined", nodes.List(node.nodes, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("_weighed", node) if node.items else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("_weighed", node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _through("_weighed", node) if node.items else node


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, [], [], None, None, lineno=node.lineno)


def _work_of(context: Context) -> Work:
    return cast(Sandbox, context.environment).work


def _counted_by(work: Work, items: Any) -> Any:
    if isinstance(items, Iterator):
        items = list(islice(items, MAX_STEPS))
    work.steps(1 + (len(items) if hasattr(items, "__len__") else 0))
    return items


@pass_context
def _counted(context: Context, items: Any) -> Any:
    return _counted_by(_work_of(context), items)


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    _work_of(context).weigh(value)
    return value


@pass_context
def _joined(context: Context, items: list[Any]) -> str:
    _work_of(context).weigh(items)
    return "".join(map(str, items))


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    if not isinstance(value, str):
        _work_of(context).weigh(value)
    return value


# ---- what transformers gives a template beyond jinja2 ---------------------------------------------------------------


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is: jinja2's own filter escapes it for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _make_dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _raise_exception(message: object) -> NoReturn:
    raise TemplateRuntimeError(str(message))


def _strftime_now(pattern: str) -> str:
    if len(pattern) > 1000 or re.search(r"\d", pattern):  # a width
        raise WorkExceededError(f"strftime_now does not take {pattern[:40]!r}")
    return datetime.now().strftime(pattern)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, jinja2.TemplateError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
