"""The text of a PTX module as tables of instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WIDTHS = {"8": 1, "16": 2, "32": 4, "64": 8}


class PtxError(Exception):
    """The program does what a device does not allow, or what the interpreter does not know."""


def size_of(type_: str) -> int:
    """Bytes of a PTX type such as u32, bf16x2 or pred."""
    if type_ == "pred":
        return 1
    if type_.endswith("x2"):
        return 2 * size_of(type_[:-2])
    return WIDTHS[re.sub(r"^[a-z]+", "", type_)]


@dataclass(frozen=True)
class Instruction:
    opcode: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str | None = None
    negated: bool = False

    def __str__(self) -> str:
        return f"{'.'.join(self.opcode)} {', '.join(self.operands)}"


@dataclass(frozen=True)
class SharedArray:
    align: int
    size: int  # 0: as large as the launch says


@dataclass
class Kernel:
    name: str
    parameters: list[tuple[str, int]] = field(default_factory=list)
    """Name and bytes of each."""
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    registers: dict[str, str] = field(default_factory=dict)
    """Type of each register, or of all registers of a prefix."""
    local_bytes: int = 0


@dataclass
class Module:
    target: str
    kernels: dict[str, Kernel]
    shared: dict[str, SharedArray]

    @classmethod
    def parse(cls, text: str) -> Module:
        text = re.sub(r"//[^\n]*", "", text)
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        target = re.search(r"\.target\s+(\w+)", text)
        if not target:
            raise PtxError("no .target: this is no PTX")
        shared = {
            name: SharedArray(int(align), int(size or 0))
            for align, name, size in re.findall(r"\.shared\s+\.align\s+(\d+)\s+\.b8\s+(\S+?)\[(\d*)\]", text)
        }
        if re.search(r"^\s*\.(?:visible |weak )?\s*\.?func\b", text, flags=re.MULTILINE):
            raise PtxError("a function that was not inlined")
        kernels = {}
        for head, name, parameters in re.findall(r"(\.entry\s+(\w+)\s*\(([^)]*)\))", text):
            begin = text.index("{", text.index(head))
            kernels[name] = _kernel(name, parameters, text[begin + 1 : _closing(text, begin)])
        return cls(target[1], kernels, shared)

    def find(self, *parts: str) -> Kernel:
        """The one kernel whose mangled name contains all parts."""
        found = [kernel for name, kernel in self.kernels.items() if all(part in name for part in parts)]
        if len(found) != 1:
            raise PtxError(f"{len(found)} kernels match {parts}: {sorted(self.kernels)}")
        return found[0]


def _closing(text: str, begin: int) -> int:
    depth = 0
    for match in re.finditer(r"[{}]", text[begin:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return begin + match.start()
    raise PtxError("a brace is not closed")


def _kernel(name: str, parameters: str, body: str) -> Kernel:
    kernel = Kernel(name)
    for piece in parameters.split(","):
        array = re.search(r"\.b8\s+(\w+)\[(\d+)\]", piece)
        scalar = re.search(r"\.param\s+\.(\w+).*?(\w+)\s*$", piece.strip())
        if array:
            kernel.parameters.append((array[1], int(array[2])))
        elif scalar:
            kernel.parameters.append((scalar[2], size_of(scalar[1])))
    # The braces of vectors stay; those around inline assembly and blocks of calls go.
    body = re.sub(r"\{(?=[^}]*;)", ";", body)
    body = re.sub(r"(?<=;)(\s*)\}", r"\1;", body)
    for statement in re.split(r";", body):
        _statement(kernel, statement.strip())
    return kernel


def _statement(kernel: Kernel, text: str) -> None:
    while label := re.match(r"(\$\w+):\s*", text):
        kernel.labels[label[1]] = len(kernel.code)
        text = text[label.end() :]
    if not text or text == "}":
        return
    if text.startswith(".reg"):
        for type_, names in re.findall(r"\.reg\s+\.(\w+)\s+(.*)", text):
            for register in names.split(","):
                kernel.registers[register.strip().split("<")[0]] = type_
        return
    if text.startswith(".local"):
        kernel.local_bytes = int(re.search(r"\[(\d+)\]", text)[1])  # type: ignore[index]
        return
    if text.startswith("."):
        return  # .shared is read with the module, .pragma and the like change nothing
    parts = re.match(r"(?:@(!?)(%\w+)\s+)?(\S+)\s*(.*)", text, flags=re.DOTALL)
    if not parts:
        raise PtxError(f"cannot read '{text}'")
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", parts[4])
    kernel.code.append(Instruction(tuple(parts[3].split(".")), tuple(operands), parts[2], parts[1] == "!"))
