"""What all ways to open the program take from its settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from config.settings.model import Settings
from scheduler.services import ServiceOptions
from scheduler.version import VERSION

if TYPE_CHECKING:
    from jobs.redaction import Redactor
    from scheduler.app.profile import HostProfile


def make_options(settings: Settings) -> ServiceOptions:
    return ServiceOptions(
        rollup_age=settings.rollups.age,
        run_age=settings.retention.age,
        incident_age=settings.alerting.age,
        group_wait=timedelta(seconds=settings.alerting.group_wait),
        environment=settings.environment,
        version=settings.version or VERSION,
        is_behind_proxy=settings.http.behind_proxy,
    )


def with_version(settings: Settings) -> Settings:
    """Return the settings with the program's version, unless they have another one."""
    return settings.model_copy(update={"version": settings.version or VERSION})


def open_log(profile: HostProfile, settings: Settings, redactor: Redactor, stack: AsyncExitStack) -> None:
    """Set up logging, before anything logs."""
    from observability.logs import configure_logging

    log = configure_logging(
        level=profile.log_level(settings),
        format=settings.log.format,
        runs=settings.log.runs,
        redactor=redactor,
        stream=profile.log_stream(),
    )
    stack.push_async_callback(log.aclose)
