"""The keys of one flat job, the full form that is made of them, and the findings. Used by conversion.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jobs.flat.keys import FLAT_KEY_BY_FOLDED_SPELLING, LITERAL_SECRET_KEYS, describe_unknown_flat_key
from jobs.flat.value_reading import InvalidFlatValue
from jobs.problems import MOST_LISTED_PROBLEMS, Finding, KeyPath
from jobs.problems.suggestions import fold_name

T = TypeVar("T")


class FlatForm:
    """`definition`: the full form so far; `flat_keys`: the flat key of each path in it."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self.flat_keys: dict[KeyPath, str] = {}
        self.definition: dict[str, Any] = {}
        self._written: dict[str, str] = {}
        """Name of a flat key -> its spelling in this file."""
        self.values: dict[str, Any] = {}
        self._unlisted_keys = 0
        for key, value in mapping.items():
            self._add(key, value)

    def _add(self, key: str, value: Any) -> None:
        name = FLAT_KEY_BY_FOLDED_SPELLING.get(fold_name(key))
        if name is None:
            self._refuse(key, value)
        elif value is None or value == "":
            return
        elif name in self.values and self.values[name] != value:
            self.add_finding(key, f"is the same key as {self._written[name]}", "remove one of them")
        else:
            self.values[name], self._written[name] = value, key

    def _refuse(self, key: str, value: Any) -> None:
        if len(self.findings) >= MOST_LISTED_PROBLEMS:
            self._unlisted_keys += 1
            return
        instead = LITERAL_SECRET_KEYS.get(fold_name(key))
        if instead is None:
            self.add_finding(key, *describe_unknown_flat_key(key))
        elif value not in (None, ""):
            self.add_finding(
                key,
                "must not contain a secret value",
                f"store it in Key Vault or in the variable SCHEDULER_SECRET_<NAME>, and write {instead}: <NAME>",
            )

    def add_finding(self, key: str, message: str, hint: str = "") -> None:
        self.findings.append(Finding((key,), message, hint))

    def spelling(self, name: str) -> str:
        return self._written.get(name, name)

    def read(self, name: str, read: Callable[[Any], T]) -> T | None:
        """Return the value of a flat key; None if absent or wrong (then there is a finding)."""
        if name not in self.values:
            return None
        try:
            return read(self.values[name])
        except InvalidFlatValue as wrong:
            self.add_finding(self.spelling(name), wrong.message, wrong.hint)
            return None

    def copy(self, path: KeyPath, name: str, read: Callable[[Any], Any]) -> None:
        value = self.read(name, read)
        if value is not None:
            self.set_value(path, value, name)

    def set_value(self, path: KeyPath, value: Any, *names: str) -> None:
        """Set a value in the full form; later findings at `path` refer to the first of `names` that is given."""
        at = self.definition
        for part in path[:-1]:
            at = at.setdefault(str(part), {})
        at[str(path[-1])] = value
        self.flat_keys[path] = self.spelling(next((name for name in names if name in self.values), names[0]))

    def finish(self) -> None:
        """Add the finding about unlisted keys."""
        if self._unlisted_keys:
            self.findings.append(Finding((), f"has {self._unlisted_keys} more unknown keys, which are not listed"))
