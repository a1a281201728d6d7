"""The sub-keys of the section `alerting` of job files.

A new one is a line here. It is then read, validated, merged over files and part of the JSON schema; its entries are
`AlertingDefinitions.entries_of(KEY)`. What it needs of jobs and of other parts is checked by a module in
config.job_files.alerting_checks.
"""

from __future__ import annotations

from jobs.alerting.groups import AlertGroup
from jobs.alerting.rule import SEVERITY_PATTERN, SelectedRules, SeverityDefinition
from jobs.definition.alerting_section import SectionPart
from jobs.incidents.rotas import RotaDefinition
from jobs.incidents.routes import MAX_ROUTES, Route
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.notifications.channels import Channel
from jobs.notifications.templates.definition import TemplatesSection

SECTION_PARTS: tuple[SectionPart, ...] = (
    SectionPart(
        "severities", SeverityDefinition, True, "Severities by name", name_pattern=SEVERITY_PATTERN, max_entries=50
    ),
    SectionPart("rules", SelectedRules, False, "Rules of jobs without alerts, by selector; the first match applies"),
    SectionPart("groups", AlertGroup, True, "Groups of jobs that are alerted about as one subject, by name"),
    SectionPart("channels", Channel, True, "Channels of notifications, by name"),
    SectionPart("routes", Route, False, "The channels of incidents; the first match applies", max_entries=MAX_ROUTES),
    SectionPart("on_call", RotaDefinition, True, "Rotas by name, for on_call of routes"),
    SectionPart("windows", MaintenanceWindow, False, "Maintenance windows"),
    SectionPart("templates", TemplatesSection, True, "Title and text of messages, by channel; default: of all others"),
)

PARTS_BY_KEY = {part.key: part for part in SECTION_PARTS}
