"""The warning about messages without a link. Called by scheduler.cli.commands.validate."""

from __future__ import annotations

from collections.abc import Iterator

from config.job_files.job_set import JobSet
from config.settings.model import Settings
from jobs.definition.alerting_gaps import MISSING_LINKS, MISSING_LINKS_FIX
from jobs.problems import Problem


def warnings_of_missing_links(jobs: JobSet, settings: Settings) -> Iterator[Problem]:
    """Yield one warning, at the first channel, if channels exist and the settings have no address for links."""
    channel = next(iter(jobs.alerting.entries_of("channels")), None)
    if channel is not None and not settings.http.public_url:
        file, _, line = channel.origin.rpartition(":")
        line_number = int(line) if line.isdigit() else None
        yield Problem("alerting.channels", MISSING_LINKS, MISSING_LINKS_FIX, file or None, line_number)
