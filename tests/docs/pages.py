"""The documents that are held to the truth, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TEXTS: dict[str, str] = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
}
"""By path from the project's folder."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
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
        for line in block.replace("\\\n", " ").splitlines():
            if kind == "sh" or line.startswith("$ "):
                yield line.removeprefix("$ ")
