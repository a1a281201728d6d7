"""The paths of the pages, and their place in the navigation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

DASHBOARD_PATH: Final = "/api/dashboard"
INCIDENTS_PATH: Final = f"{DASHBOARD_PATH}/incidents"
RUNS_PATH: Final = f"{DASHBOARD_PATH}/runs"
SCHEDULE_PATH: Final = f"{DASHBOARD_PATH}/schedule"
SLOWEST_PATH: Final = f"{DASHBOARD_PATH}/slowest"
COMPARE_PATH: Final = f"{DASHBOARD_PATH}/compare"
OBJECTIVES_PATH: Final = f"{DASHBOARD_PATH}/objectives"
DEAD_LETTERS_PATH: Final = f"{DASHBOARD_PATH}/dead-letters"
CIRCUITS_PATH: Final = f"{DASHBOARD_PATH}/circuits"
SECRETS_PATH: Final = f"{DASHBOARD_PATH}/secrets"
AUDIT_PATH: Final = f"{DASHBOARD_PATH}/audit"
MAINTENANCE_PATH: Final = f"{DASHBOARD_PATH}/maintenance"
HEALTH_PAGE_PATH: Final = f"{DASHBOARD_PATH}/health"
SETTINGS_PATH: Final = f"{DASHBOARD_PATH}/settings"
NOTIFICATIONS_PATH: Final = f"{DASHBOARD_PATH}/notifications"


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """`key`: the letter that opens the page after `g`. `is_main`: outside of the menu `More`."""

    title: str
    path: str
    key: str
    is_main: bool = True


NAVIGATION: Final[Mapping[str, NavigationEntry]] = {
    "overview": NavigationEntry("Overview", DASHBOARD_PATH, "o"),
    "incidents": NavigationEntry("Incidents", INCIDENTS_PATH, "i"),
    "runs": NavigationEntry("Runs", RUNS_PATH, "r"),
    "schedule": NavigationEntry("Schedule", SCHEDULE_PATH, "s"),
    "slowest": NavigationEntry("Slowest", SLOWEST_PATH, "w"),
    "objectives": NavigationEntry("Objectives", OBJECTIVES_PATH, "b", is_main=False),
    "compare": NavigationEntry("Compare", COMPARE_PATH, "p", is_main=False),
    "dead_letters": NavigationEntry("Dead letters", DEAD_LETTERS_PATH, "l", is_main=False),
    "circuits": NavigationEntry("Circuits", CIRCUITS_PATH, "c", is_main=False),
    "secrets": NavigationEntry("Secrets", SECRETS_PATH, "k", is_main=False),
    "audit": NavigationEntry("Audit", AUDIT_PATH, "u", is_main=False),
    "maintenance": NavigationEntry("Maintenance", MAINTENANCE_PATH, "m", is_main=False),
    "health": NavigationEntry("Health", HEALTH_PAGE_PATH, "h", is_main=False),
    "settings": NavigationEntry("Settings", SETTINGS_PATH, "t", is_main=False),
    "notifications": NavigationEntry("Notifications", NOTIFICATIONS_PATH, "n", is_main=False),
    "reference": NavigationEntry("API", "/api/docs", "d", is_main=False),
}
"""The pages of the navigation in order, by the name that a page gives to `respond`."""


def job_page_path(name: str) -> str:
    """Return the URL path of a job's page."""
    return f"{DASHBOARD_PATH}/jobs/{quote(name)}"


def incident_page_path(incident: str) -> str:
    """Return the URL path of an incident's page, to which messages link."""
    return f"{INCIDENTS_PATH}/{quote(incident)}"


def run_page_path(run_id: str) -> str:
    """Return the URL path of a run's page."""
    return f"{RUNS_PATH}/{quote(run_id, safe='@')}"


def circuit_page_path(key: str) -> str:
    """Return the URL path of a circuit's page. `key`: a job's name, or `group:NAME`."""
    return f"{CIRCUITS_PATH}/{quote(key, safe=':')}"
