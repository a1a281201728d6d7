"""The rules: Vale's substitution and existence rules, as far as used here. Called by tools.house_style.check.

A pattern is a regular expression that both Vale and Python read alike. A blank in it matches any white space, so a
phrase is found across a line break.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Rule:
    """One pattern with the message for what it matches."""

    name: str
    pattern: re.Pattern[str]
    message: str
    """`%s` stands for the replacement (a substitution) and for the text that matched."""
    replacement: str = ""

    def describe(self, found: str) -> str:
        values = (self.replacement, found) if self.replacement else (found,)
        return self.message % values


def any_of(rules: Iterable[Rule]) -> tuple[re.Pattern[str], ...]:
    """Return patterns of which one matches wherever a rule does: to search them first is several times quicker."""
    sources: dict[int, list[str]] = {}
    for rule in rules:
        sources.setdefault(rule.pattern.flags, []).append(rule.pattern.pattern)
    return tuple(re.compile("|".join(alike), flags) for flags, alike in sources.items())


def read_rules(folder: Path) -> tuple[Rule, ...]:
    """Read the rules of one style, such as styles/House. Raises ValueError for a file that is not such a rule."""
    files = sorted(folder.glob("*.yml"))
    if not files:
        raise ValueError(f"{folder} contains no rules")
    return tuple(rule for file in files for rule in _rules_of(file))


def _rules_of(file: Path) -> Iterator[Rule]:
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    kind = written.get("extends")
    flags = re.IGNORECASE if written.get("ignorecase") else 0
    if kind == "substitution":
        for source, replacement in written["swap"].items():
            yield _rule(file, source, written, flags, replacement)
    elif kind == "existence":
        for source in written["tokens"]:
            yield _rule(file, source, written, flags)
    else:
        raise ValueError(f"{file} extends {kind!r}, expected substitution or existence")


def _rule(file: Path, source: str, written: dict[str, Any], flags: int, replacement: str = "") -> Rule:
    pattern = re.compile(rf"\b(?:{source.replace(' ', chr(92) + 's+')})\b", flags)
    return Rule(f"{file.parent.name}.{file.stem}", pattern, written["message"], replacement)
