"""What becomes of the tables that are neither monitors nor what they refer to. Called by source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_DASHBOARD = "the dashboard, or the page of metrics"
_KEYS = "API keys and roles of the settings, or Microsoft Entra ID"


class TableReason(NamedTuple):
    """Why a table is not carried over, and what is nearest."""

    why: str
    nearest: str = ""


DEFINITION_TABLES = (
    "monitor",
    "monitor_tag",
    "tag",
    "notification",
    "monitor_notification",
    "proxy",
    "docker_host",
    "remote_browser",
    "maintenance",
    "monitor_maintenance",
)
"""Tables whose rows become parts of jobs. The table `setting` is read separately."""

REFUSED_TABLES: Mapping[str, TableReason] = {
    "status_page": TableReason("there are no public status pages", _DASHBOARD),
    "status_page_cname": TableReason("there are no public status pages", _DASHBOARD),
    "group": TableReason("a group of a status page; there are no public ones", _DASHBOARD),
    "monitor_group": TableReason("a group of a status page; there are no public ones", _DASHBOARD),
    "maintenance_status_page": TableReason("there are no public status pages", _DASHBOARD),
    "incident": TableReason("an announcement of a status page; there are no public ones", _DASHBOARD),
    "user": TableReason("accounts are not imported", _KEYS),
    "api_key": TableReason("keys are stored as hashes, and cannot be imported", _KEYS),
}
"""Tables whose rows are reported one by one."""

RESULT_TABLES: Mapping[str, TableReason] = {
    "heartbeat": TableReason("history of checks: history begins with the first run"),
    "stat_minutely": TableReason("statistics of checks: they begin with the first run"),
    "stat_hourly": TableReason("statistics of checks: they begin with the first run"),
    "stat_daily": TableReason("statistics of checks: they begin with the first run"),
    "monitor_tls_info": TableReason("certificates of targets: the first run records them"),
    "notification_sent_history": TableReason("notifications that were sent"),
    "domain_expiry": TableReason("registrations of domains are not checked", "a calendar, or the registrar's own mail"),
    "knex_migrations": TableReason("the schema of the database"),
    "knex_migrations_lock": TableReason("the schema of the database"),
}
"""Tables that are reported by the number of their rows."""

SETTING_REASONS: Mapping[str, TableReason] = {
    "keepDataPeriodDays": TableReason("retention is a setting of the program", "history.age in the settings"),
    "primaryBaseURL": TableReason("the address is a setting of the program", "public_url in the settings"),
    "steamAPIKey": TableReason("there is no client of game servers"),
    "disableAuth": TableReason("authentication is a setting of the program", _KEYS),
    "trustProxy": TableReason("trusted proxies are a setting of the program", "docs/operating.md"),
}
OTHER_SETTING = TableReason("a setting of the program itself", "docs/operating.md")
UNKNOWN_TABLE = TableReason("the importer does not know this table")
