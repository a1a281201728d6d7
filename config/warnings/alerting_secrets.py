"""The secrets of channels and rotas. Used by config.warnings.files_and_secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry
from jobs.model_base import find_secret_names
from jobs.problems import Problem

_PARTS = ("channels", "on_call")


@dataclass(frozen=True, slots=True)
class AlertingSecretUse:
    """A secret of an entry of the section `alerting`."""

    name: str
    part: str
    entry: DefinedEntry

    def problem(self, message: str, hint: str = "") -> Problem:
        """Return a problem in the line of the entry."""
        file, _, line = self.entry.origin.rpartition(":")
        key = f"alerting.{self.part}.{self.entry.name}"
        return Problem(key, message, hint, file or None, int(line) if line.isdigit() else None)


def find_alerting_secrets(alerting: AlertingDefinitions) -> Iterator[AlertingSecretUse]:
    for part in _PARTS:
        for entry in alerting.entries_of(part):
            for name in sorted(find_secret_names(entry.value)):
                yield AlertingSecretUse(name, part, entry)
