"""Findings (problems with the path of their key) and problems (with file and line), and the texts of keys.

Used by the modules of jobs.problems; other packages import the names from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to fix. `key`: a key such as `jobs.checkout-api.retry.attempts`, or empty for a whole file."""

    key: str
    message: str
    hint: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line is not None:
            place = f"{self.file}:{self.line}"
        head = ": ".join(part for part in (place, self.key, self.message) if part)
        if not self.hint:
            return head
        return f"{head} {self.hint}" if head.endswith("?") else f"{head}; {self.hint}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with the path of its key, which config uses to find its line."""

    path: KeyPath
    message: str
    hint: str = ""

    def to_problem(self, base: str = "", file: str | None = None, line: int | None = None) -> Problem:
        return Problem(dotted_path(base, *self.path), self.message, self.hint, file, line)


MOST_LISTED_PROBLEMS = 100
"""Problems that are listed of one kind at one place: a file can have a hundred thousand unknown keys."""


def list_key_findings(
    keys: Sequence[str], explain: Callable[[str], Finding], path: KeyPath = ()
) -> tuple[Finding, ...]:
    """Return the finding of each key below `path`; after the first hundred they are only counted."""
    found = [explain(key) for key in keys[:MOST_LISTED_PROBLEMS]]
    if len(keys) > MOST_LISTED_PROBLEMS:
        found.append(Finding(path, f"has {len(keys) - MOST_LISTED_PROBLEMS} more problems, which are not listed"))
    return tuple(found)


def dotted_path(*path: str | int) -> str:
    """Format a path: `jobs.checkout.expect[0].status`. Control characters are escaped."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part:
            text += f".{make_printable(part)}" if text else make_printable(part)
    return text


def make_printable(text: str, max_length: int = 80) -> str:
    """Return the text on one line, shortened, with control characters escaped."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    return shown if len(shown) <= max_length else shown[: max_length - 1] + "…"


_SECRET_KEY = re.compile(
    r"secret|passw|pwd|token|api_?-?key|access_?-?key|account_?-?key|credential|authorization|cookie|signature|"
    r"connection_?-?string|^key$|^sas$|^code$",
    re.IGNORECASE,
)


def looks_secret(key: str | int) -> bool:
    """Whether the value of this key can be a secret."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None
