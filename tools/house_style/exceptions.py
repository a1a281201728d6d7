"""The exceptions from the rules, each with a reason, and what is not checked yet. Called by tools.house_style.check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import yaml


@dataclass
class RuleException:
    """`files`: a pattern of paths; `word`: what a rule matched, in lower case; `text`: part of the line."""

    files: str
    word: str
    reason: str
    text: str = ""
    is_used: bool = field(default=False, init=False)

    def excuses(self, path: str, found: str, line: str) -> bool:
        """Whether it applies; it is then used."""
        applies = fnmatchcase(path, self.files) and " ".join(found.lower().split()) == self.word and self.text in line
        self.is_used = self.is_used or applies
        return applies

    def __str__(self) -> str:
        return f"{self.word!r} in {self.files}" + (f" ({self.text})" if self.text else "")


@dataclass
class Exceptions:
    """The content of styles/exceptions.yml."""

    entries: tuple[RuleException, ...] = ()
    unchecked: tuple[str, ...] = ()
    """Patterns of paths."""

    def excuse(self, path: str, found: str, line: str) -> bool:
        # All of them, as every entry that applies counts as used.
        return bool([entry for entry in self.entries if entry.excuses(path, found, line)])

    def is_unchecked(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self.unchecked)

    def unused(self) -> Iterable[RuleException]:
        return (entry for entry in self.entries if not entry.is_used)


def read_exceptions(file: Path) -> Exceptions:
    """Read the file. Raises TypeError for an entry without a reason or with an unknown key."""
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = tuple(RuleException(**entry) for entry in written.get("exceptions") or ())
    return Exceptions(entries, tuple(written.get("unchecked") or ()))
