"""The documents that are held to the truth, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TEXTS: dict[str, str] = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
"""By path from the project's folder."""

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")


def code(text: str) -> list[str]:
    """The pieces of code inside lines: `log.level`, `GET /api/runs`."""
    return _CODE.findall(prose(text))


def all_code() -> set[str]:
    return {piece for text in TEXTS.values() for piece in code(text)}


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return _BLOCK.sub("", text)


def typed(text: str) -> Iterator[str]:
    """The lines that are typed in consoles and scripts, continued ones joined."""
    for kind, block in _BLOCK.findall(text):
        for line in map(str.strip, block.replace("\\\n", " ").splitlines()):
            if kind == "sh" or line.startswith("$ "):
                yield line.removeprefix("$ ")


@dataclass(frozen=True)
class Printed:
    """A command as a page prints it. `output`: the lines below it, up to the next command or the end of the block."""

    page: str
    line: int
    command: str
    output: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.command}"


_FENCE = re.compile(r"^ *```(\w*)$")
_INLINE = re.compile(r"`((?:[A-Z_]+=\S+ )*(?:\./dev cli|python -m scheduler|curl) [^`]+)`")


def printed_commands(page: str) -> Iterator[Printed]:
    """Those of consoles and scripts, and those of this program inside of lines."""
    kind: str | None = None
    block: list[tuple[int, str]] = []
    for number, line in enumerate(TEXTS[page].splitlines(), 1):
        if (fence := _FENCE.match(line)) is not None:
            if kind in ("console", "sh"):
                yield from _in_block(page, block, every_line=kind == "sh")
            kind, block = (fence[1] if kind is None else None), []
        elif kind is not None:
            block.append((number, line.removeprefix("   ")))  # in an item of a list
        else:
            yield from (Printed(page, number, command) for command in _INLINE.findall(line))


def _in_block(page: str, lines: list[tuple[int, str]], *, every_line: bool) -> Iterator[Printed]:
    found: list[tuple[int, str, list[str]]] = []
    continued = False
    for number, line in lines:
        if continued:
            at, command, output = found[-1]
            found[-1] = (at, command.removesuffix("\\") + line.strip(), output)
        elif every_line or line.startswith("$ "):
            found.append((number, line.removeprefix("$ "), []))
        elif found:
            found[-1][2].append(line)
        continued = bool(found) and found[-1][1].endswith("\\")
    yield from (Printed(page, at, command, tuple(output)) for at, command, output in found)
