"""Everything that the sections `alerting` of all job files define, as one value. Part of the set of jobs, and replaced
with it as a whole.

config.job_files.alerting reads the sections. A sub-key is a line in jobs.definition.alerting_registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from jobs.alerting.groups import AlertGroup
    from jobs.alerting.rule import AlertSeverity, SelectedRules
    from jobs.definition.job import SelectedObjective
    from jobs.incidents.rotas import RotaDefinition
    from jobs.incidents.routes import Route
    from jobs.incidents.suppression.windows import MaintenanceWindow
    from jobs.notifications.channels import Channel
    from jobs.notifications.templates.definition import TemplatesSection

DEFAULT_TEMPLATES = "default"
"""The key of `templates` that applies to channels without their own."""


@dataclass(frozen=True, slots=True)
class DefinedEntry:
    """One entry of a part. `name`: empty in a list. `origin`: such as `jobs/alerting.yaml:12`.

    `folder`: of its job file, for files that the entry names; empty if it is not in a folder of this machine.
    """

    name: str
    value: Any
    origin: str = ""
    folder: str = ""


@dataclass(frozen=True)
class AlertingDefinitions:
    """Valid entries by the key of their part (jobs.definition.alerting_registry), in the order of the files."""

    parts: Mapping[str, tuple[DefinedEntry, ...]] = field(default_factory=dict)

    @cached_property
    def severities(self) -> Mapping[str, AlertSeverity]:
        """All that are in force, the lowest rank first."""
        from jobs.alerting.rule import merge_severities  # with the models of rules, which reads of history do without

        return merge_severities((one.name, one.value) for one in self.entries_of("severities"))

    def entries_of(self, key: str) -> tuple[DefinedEntry, ...]:
        return self.parts.get(key, ())

    @property
    def rules(self) -> tuple[SelectedRules, ...]:
        return tuple(entry.value for entry in self.entries_of("rules"))

    @property
    def groups(self) -> Mapping[str, AlertGroup]:
        return {entry.name: entry.value for entry in self.entries_of("groups")}

    @property
    def alerted_objectives(self) -> Mapping[str, SelectedObjective]:
        """The objectives of the section `objectives` that have burn alerts, by name: subjects of alerts."""
        entries = self.entries_of("objectives")
        return {entry.name: entry.value for entry in entries if entry.value.alerts is not None}

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {entry.name: entry.value for entry in self.entries_of("channels")}

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(entry.value for entry in self.entries_of("routes"))

    @property
    def rotas(self) -> Mapping[str, RotaDefinition]:
        return {entry.name: entry.value for entry in self.entries_of("on_call")}

    @property
    def windows(self) -> tuple[MaintenanceWindow, ...]:
        return tuple(entry.value for entry in self.entries_of("windows"))

    @property
    def templates(self) -> Mapping[str, TemplatesSection]:
        """By channel, or DEFAULT_TEMPLATES."""
        return {entry.name: entry.value for entry in self.entries_of("templates")}

    def overridden_by(self, other: AlertingDefinitions) -> AlertingDefinitions:
        """Return both; the other's entries come first, and replace those of the same name."""
        keys = dict.fromkeys((*other.parts, *self.parts))
        parts = {key: _override(self.entries_of(key), other.entries_of(key)) for key in keys}
        return define_alerting(parts)


def define_alerting(parts: Mapping[str, tuple[DefinedEntry, ...]]) -> AlertingDefinitions:
    """Return the definitions of valid parts. Raises ValueError: the severities contradict each other."""
    if not any(parts.values()):
        return NO_ALERTING
    definitions = AlertingDefinitions(parts)
    _ = definitions.severities
    return definitions


def _override(entries: tuple[DefinedEntry, ...], others: tuple[DefinedEntry, ...]) -> tuple[DefinedEntry, ...]:
    names = {entry.name for entry in others if entry.name}
    return (*others, *(entry for entry in entries if entry.name not in names))


NO_ALERTING = AlertingDefinitions()


@dataclass(frozen=True)
class SectionPart:
    """`model`: the type of one entry, a model or an annotated union.

    With `is_named` the part is a mapping by name, and a name is declared once in all files. Without, it is a list; the
    lists of several files are joined in the order of the files.
    """

    key: str
    model: Any
    is_named: bool
    description: str
    name_pattern: str = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
    max_entries: int = 1000

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.model)
