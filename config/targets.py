"""Where checks may connect to, of the settings group `targets`. Called by scheduler.app and by `validate`."""

from __future__ import annotations

from collections.abc import Mapping

from config.settings import Settings
from config.target_lists import port_range
from jobs.checks.guard import Guard, Rules

_TOKEN_ENDPOINTS = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT")
"""Variables in which the platform says where it hands out the app's tokens."""


def guard_of(settings: Settings, environ: Mapping[str, str]) -> Guard:
    """The guard by these settings."""
    targets = settings.targets
    return Guard(
        Rules(
            networks=targets.networks,
            hosts=targets.hosts,
            ports=tuple(map(port_range, targets.ports)),
            schemes=frozenset(targets.schemes),
            largest_body=targets.largest_body,
            identity_endpoints=tuple(filter(None, map(environ.get, _TOKEN_ENDPOINTS))),
        )
    )
