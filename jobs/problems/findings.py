"""What is wrong with a definition or a setting, and where: a finding has the path of its key, a problem its line.

Used by the modules of jobs.problems; everybody else imports them from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `where` is a key such as `jobs.checkout-api.retry.attempts`, or empty for a whole file."""

    where: str
    message: str
    hint: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line is not None:
            place = f"{self.file}:{self.line}"
        head = ": ".join(part for part in (place, self.where, self.message) if part)
        if not self.hint:
            return head
        return f"{head} {self.hint}" if head.endswith("?") else f"{head}; {self.hint}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem whose key is still a path, so that its line can be looked up."""

    path: Path
    message: str
    hint: str = ""

    def problem(self, base: str = "", file: str | None = None, line: int | None = None) -> Problem:
        return Problem(dotted(base, *self.path), self.message, self.hint, file, line)


MOST_LISTED = 100
"""Problems of one kind at one place that are listed: a file may have a hundred thousand keys that nobody knows."""


def findings_of_keys(keys: Sequence[str], explain: Callable[[str], Finding], path: Path = ()) -> tuple[Finding, ...]:
    """Return what is wrong with each of these keys below `path`; those after the first hundred are only counted."""
    found = [explain(key) for key in keys[:MOST_LISTED]]
    if len(keys) > MOST_LISTED:
        found.append(Finding(path, f"has {len(keys) - MOST_LISTED} more problems, which are not listed"))
    return tuple(found)


def dotted(*path: str | int) -> str:
    """A path as people read it: `jobs.checkout.expect[0].status`. Control characters are shown escaped."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part:
            text += f".{printable(part)}" if text else printable(part)
    return text


def printable(text: str, longest: int = 80) -> str:
    """The text on one line, shortened; what a terminal would act upon is escaped."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


_SECRET_KEY = re.compile(
    r"secret|passw|pwd|token|api_?-?key|access_?-?key|account_?-?key|credential|authorization|cookie|signature|"
    r"connection_?-?string|^key$|^sas$|^code$",
    re.IGNORECASE,
)


def looks_secret(key: str | int) -> bool:
    """Whether a value under this key may be one that nobody should see."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None
