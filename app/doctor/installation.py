"""Python, the packages, and the engine."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from qwen3_chat.app.doctor.finding import Finding, good, note, wrong

__all__ = ["installation", "older"]

_PACKAGE = "qwen3-chat"
_LEAST = (3, 11)
_NEEDS = re.compile(r"([\w.-]+)\s*(?:>=\s*([\d.]+))?")  # as pyproject.toml states them


def installation() -> Iterator[Finding]:
    """Everything that `make` puts there."""
    yield _python()
    yield from _packages()
    yield _engine()


def _python() -> Finding:
    found = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < _LEAST:
        return wrong("python", found, f"install Python {_LEAST[0]}.{_LEAST[1]} or newer")
    return good("python", found)


def _packages() -> Iterator[Finding]:
    try:
        version, needs = metadata.version(_PACKAGE), metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        yield note(_PACKAGE, "runs from its sources, without being installed", "make chat installs it into .venv")
        return
    yield good(_PACKAGE, version)
    found = []
    for need in needs:
        match = _NEEDS.match(need)
        if match is None or "extra ==" in need:
            continue
        name, least = match[1], match[2] or "0"
        try:
            has = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield wrong(name, "is not installed", f"{sys.executable} -m pip install '{name}>={least}'")
            continue
        if older(has, least):
            remedy = f"{sys.executable} -m pip install '{name}>={least}'"
            yield wrong(name, f"{has} is too old, {least} is needed", remedy)
        else:
            found.append(f"{name} {has}")
    yield good("packages", ", ".join(found))


def older(version: str, least: str) -> bool:
    """Whether a version is below the least one; letters in it count for nothing."""
    have, need = ([int(part) for part in re.findall(r"\d+", text)] for text in (version, least))
    return have[: len(need)] < need


def _engine() -> Finding:
    """It is asked to load the bundled model: what is compiled wrongly, or for another processor, fails here."""
    from qwen3_chat.models import demo

    try:
        from qwen3_chat.engine import Engine
    except ImportError as error:
        return wrong("engine", f"is not there: {error}", "make chat builds it")
    try:
        with Engine.load(demo.path(), context=128) as engine:
            engine.forward([0])
            chosen = f" (QWEN3_ISA={os.environ['QWEN3_ISA']})" if os.environ.get("QWEN3_ISA") else ""
            devices = ", ".join(engine.devices)
            return good("engine", f"{engine.isa}{chosen}; auto takes {devices}, {engine.threads} threads")
    except Exception as error:  # whatever it is, the doctor goes on
        return wrong("engine", f"cannot run the bundled model: {error}", "make chat builds it anew")
