"""The sources of `import`: a new source is a module in sources/ and its line here. Called by running and the CLI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from importers.import_context import ImportContext
    from importers.source_file import SourceFile


class Source(Protocol):
    """The functions of a module in sources/."""

    def detects(self, file: SourceFile) -> bool:
        """Return whether a file surely is of this source. Reads little; raises only UnreadableSource."""
        ...

    def import_files(self, files: Sequence[SourceFile], context: ImportContext) -> None:
        """Add the jobs of all files, and each document, to the context. Raises UnreadableSource."""
        ...


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """`module` below importers.sources; `summary` completes "Import ..."."""

    module: str
    summary: str


SOURCES = {
    "uptime-kuma": SourceEntry("kuma.source", "monitors of Uptime Kuma (kuma.db of 1.x and 2.x, JSON backup of 1.x)"),
    "healthchecks": SourceEntry("healthchecks.source", "checks of Healthchecks (JSON of its Management API)"),
    "gatus": SourceEntry("gatus", "endpoints, external endpoints and suites of Gatus"),
    "datadog": SourceEntry("datadog.source", "tests of Datadog Synthetics (JSON of its API)"),
    "app-insights": SourceEntry(
        "app_insights.source", "web tests of Application Insights (XML, ARM templates, JSON of Azure, Terraform)"
    ),
    "blackbox": SourceEntry("blackbox", "modules of blackbox_exporter with targets of Prometheus"),
    "crontab": SourceEntry("crontab", "curl and wget commands of a crontab"),
    "crontab-system": SourceEntry("crontab_system", "the same of a crontab with a user in each line"),
}
"""In the order of detection."""


def load_source(name: str) -> Source:
    """Return the source of a name in SOURCES."""
    return cast("Source", import_module(f"importers.sources.{SOURCES[name].module}"))
