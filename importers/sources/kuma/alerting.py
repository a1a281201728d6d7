"""Maps notifications of Uptime Kuma to channels, and maintenances to windows in which the jobs pause.

Services without an own channel become a channel `apprise`, whose secret is a URL that the user writes: the
fields of Uptime Kuma are those of the service, not of such a URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from importers.cron import convert_cron
from importers.import_context import ImportContext, add_listed_entry, add_named_entry, make_slug
from importers.reading import split_url, write_duration
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    child_of,
)
from importers.sources.kuma.rows import KumaRow, KumaRows, parse_json_text
from jobs.problems import looks_secret

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_COLUMNS = {
    "single": ("start_date", "end_date"),
    "recurring-interval": ("interval_day", "start_time", "end_time", "cron", "duration"),
    "recurring-weekday": ("weekdays", "start_time", "end_time", "cron", "duration"),
    "recurring-day-of-month": ("days_of_month", "start_time", "end_time", "cron", "duration"),
    "cron": ("cron", "duration"),
}
_MAX_REASON = 500


def import_maintenances(
    context: ImportContext, rows: KumaRows, jobs: Mapping[int, Sequence[str]], server_timezone: str
) -> None:
    """Add a window for each maintenance. `jobs`: the names of the jobs of each monitor."""
    for row in rows.of("maintenance"):
        links = rows.linked("monitor_maintenance", "maintenance_id", row.identifier)
        names = sorted({name for link in links for name in jobs.get(link.whole("monitor_id"), ())})
        try:
            _import_maintenance(context, row, names, server_timezone)
        except NotCarriedOver as error:
            context.ledger.record_rest(row.node, error.why, error.nearest)
            for link in links:
                context.drop(link.node, error.why, error.nearest)
        else:
            for link in links:
                context.use(link.node)


def _import_maintenance(context: ImportContext, row: KumaRow, names: list[str], server_timezone: str) -> None:
    if not row.is_set("active"):
        raise NotCarriedOver("the maintenance is not active")
    if not names:
        raise NotCarriedOver("it has no monitors that were imported")
    strategy = row.text("strategy", "single")
    build = _PERIODS.get(strategy)
    if build is None:
        why = "a window has a beginning and an end" if strategy == "manual" else f"the strategy {strategy} is not known"
        raise NotCarriedOver(why, "start a window by the command windows, or a silence, when you begin")
    zone = row.text("timezone")
    zone = server_timezone if zone in ("", "SAME_AS_SERVER") else zone
    entry: dict[str, Any] = {**build(row, zone), "effect": "pause", "select": {"jobs": names}}
    if row.text("title"):
        entry["reason"] = row.text("title")[:_MAX_REASON]
    name = add_listed_entry(context, "windows", row.text("title") or f"maintenance {row.identifier}", entry)
    for node in row.nodes("title"):
        context.use(node, "" if node.value == name else f"the window is named {name}")
    for node in row.nodes("strategy", "timezone", *_COLUMNS[strategy]):
        context.use(node)
    for node in row.nodes("start_date", "end_date") if strategy != "single" else ():
        context.use(node, "limits of the schedule")
    for node in row.nodes("description"):
        context.drop(node, "a window has a reason of one line, which is the title")


def _single(row: KumaRow, zone: str) -> dict[str, Any]:
    begin, end = _read_instant(row.text("start_date")), _read_instant(row.text("end_date"))
    return {"from": begin, "until": end, "timezone": zone}


def _read_instant(text: str) -> str:
    """`2026-12-01 22:00:00` or `2026-12-01T22:00` -> `2026-12-01T22:00`, a local time."""
    found = re.match(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?", text.strip())
    if found is None:
        raise NotCarriedOver("it has no beginning or no end")
    return f"{found[1]}T{found[2] or '00:00'}{found[3] or ''}"


def _weekdays(row: KumaRow, zone: str) -> dict[str, Any]:
    days = sorted({day % 7 for day in _read_list(row, "weekdays") if isinstance(day, int)})
    if not days:
        raise NotCarriedOver("it has no weekdays")
    hour, minute, length = _read_times(row)
    cron = f"0 {minute} {hour} * * {','.join(_WEEKDAYS[day] for day in days)}"
    return _scheduled(row, {"cron": cron}, zone, length)


def _days_of_month(row: KumaRow, zone: str) -> dict[str, Any]:
    hour, minute, length = _read_times(row)
    days: list[Any] = []
    for day in _read_list(row, "days_of_month"):
        last = re.fullmatch(r"lastDay([1-9])", str(day))
        if last is not None:
            days.append("last" if last[1] == "1" else f"last-{int(last[1]) - 1}")
        elif str(day).isdecimal():
            days.append(int(day))
    if not days:
        raise NotCarriedOver("it has no days")
    monthly = {"day": days[0] if len(days) == 1 else days, "at": f"{hour:02d}:{minute:02d}"}
    return _scheduled(row, {"monthly": monthly}, zone, length)


def _interval(row: KumaRow, zone: str) -> dict[str, Any]:
    hour, minute, length = _read_times(row)
    every = row.whole("interval_day", 1)
    if every > 1:
        raise NotCarriedOver(
            f"each {every} days from the last time on cannot be a schedule of local times",
            f"use a schedule of weekdays, or {{every: {every}d, offset: ...}} for a time in UTC",
        )
    return _scheduled(row, {"cron": f"0 {minute} {hour} * * *"}, zone, length)


def _cron(row: KumaRow, zone: str) -> dict[str, Any]:
    schedules = [_with_limits(row, schedule) for schedule in convert_cron(row.text("cron"), zone)]
    return _lasting(row.number("duration"), schedules[0] if len(schedules) == 1 else schedules)


def _scheduled(row: KumaRow, schedule: dict[str, Any], zone: str, seconds: float) -> dict[str, Any]:
    if zone not in ("", "UTC"):
        schedule = {**schedule, "timezone": zone}
    return _lasting(seconds, _with_limits(row, schedule))


def _with_limits(row: KumaRow, schedule: Any) -> dict[str, Any]:
    limited: dict[str, Any] = dict(schedule) if isinstance(schedule, dict) else {"cron": schedule}
    for column, key in (("start_date", "start"), ("end_date", "end")):
        if row.text(column):
            limited[key] = _read_instant(row.text(column))
    return limited


def _lasting(seconds: float, schedule: Any) -> dict[str, Any]:
    if seconds <= 0:
        raise NotCarriedOver("it has no duration")
    return {"schedule": schedule, "for": write_duration(seconds)}


def _read_list(row: KumaRow, column: str) -> list[Any]:
    value = parse_json_text(row.values.get(column))
    return value if isinstance(value, list) else []


def _read_times(row: KumaRow) -> tuple[int, int, float]:
    """Return hour and minute of the beginning, and the seconds until the end, which can be on the next day."""
    times = [re.match(r"(\d{1,2}):(\d\d)", row.text(column)) for column in ("start_time", "end_time")]
    if times[0] is None or times[1] is None:
        raise NotCarriedOver("it has no times of day")
    begin, end = (int(time[1]) * 60 + int(time[2]) for time in times if time is not None)
    return begin // 60, begin % 60, ((end - begin) % 1440 or 1440) * 60.0


_PERIODS: Mapping[str, Callable[[KumaRow, str], dict[str, Any]]] = {
    "single": _single,
    "recurring-weekday": _weekdays,
    "recurring-day-of-month": _days_of_month,
    "recurring-interval": _interval,
    "cron": _cron,
}


_FLAGS = ("applyExisting", "isDefault", "name", "type")
_APPRISE = "the channel apprise sends it: write the URL of the service as https://github.com/caronc/apprise/wiki shows"
_MADE_BY_TEMPLATES = "messages are made by alerting.templates"
Mapper = Callable[["NotificationConfig"], dict[str, Any]]


class NotificationConfig:
    """The configuration of one notification. Each key that a mapping reads is recorded as carried over."""

    def __init__(self, context: ImportContext, name: str, node: SourceNode | None, values: Mapping[str, Any]) -> None:
        self.context = context
        self.name = name
        self._node = node
        self._values = values

    def text(self, key: str, how: str = "") -> str:
        """Return the text of a key, empty without one, and record it."""
        node = self.node(key)
        if node is not None:
            self.context.use(node, how)
        value = self._values.get(key)
        return "" if value is None else str(value)

    def flag(self, key: str) -> bool:
        return self.text(key).lower() in ("true", "1")

    def node(self, key: str) -> SourceNode | None:
        return child_of(self._node, key)

    def secret(self, key: str, purpose: str) -> dict[str, str]:
        """Return a reference to the secret that is the value of a key."""
        value = self.text(key, how="the value becomes a secret")
        if not value:
            raise NotCarriedOver(f"it has no {key}")
        hint = f"{make_slug(self.name, 'channel')}-{purpose.split()[-1]}"
        return self.context.secrets.reference(value, hint, f"{purpose} of the channel {self.name}", self.node(key))

    def drop_rest(self, entry: Mapping[str, Any]) -> None:
        """Record the keys that no mapping has read."""
        if self._node is None:
            return
        for child in self._node.children():
            if child.key in _FLAGS or child.value in (None, "", False):
                self.context.use(child)
        if entry["kind"] == "apprise":
            why = f"it is part of the URL of Apprise that you write as the secret {entry['url']['secret']}"
            self.context.ledger.record_rest(self._node, why)
        self.context.ledger.record_rest(self._node, "the channel has no such option", _MADE_BY_TEMPLATES)


def import_notifications(context: ImportContext, rows: KumaRows) -> dict[int, str]:
    """Add a channel for each active notification, and return their names by id."""
    channels: dict[int, str] = {}
    for row in rows.of("notification"):
        try:
            name = _import_notification(context, row)
        except NotCarriedOver as error:
            context.ledger.record_rest(row.node, error.why, error.nearest)
        else:
            channels[row.identifier] = name
    return channels


def _import_notification(context: ImportContext, row: KumaRow) -> str:
    if not row.is_set("active"):
        raise NotCarriedOver("the notification is not active")
    parsed = parse_json_text(row.values.get("config"))
    if not isinstance(parsed, dict):
        raise NotCarriedOver("its configuration cannot be read")
    kind = str(parsed.get("type") or "")
    name = row.text("name") or str(parsed.get("name") or "") or kind or "channel"
    node = next(iter(row.nodes("config")), None)
    config = NotificationConfig(context, name, node if isinstance(getattr(node, "value", None), dict) else None, parsed)
    entry = _MAPPERS.get(kind, _map_other)(config)
    added = add_named_entry(context, "channels", name, entry)
    for column in row.nodes("name", "active", "is_default"):
        context.use(column, "" if added == column.value or column.key != "name" else f"the channel is named {added}")
    if config.node("type") is None and node is not None:
        context.use(node)
    config.drop_rest(entry)
    return added


def _map_slack(config: NotificationConfig) -> dict[str, Any]:
    return {"kind": "slack", "url": config.secret("slackwebhookURL", "URL of the webhook")}


def _map_teams(config: NotificationConfig) -> dict[str, Any]:
    return {"kind": "teams", "url": config.secret("webhookUrl", "URL of the webhook")}


def _map_pagerduty(config: NotificationConfig) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kind": "pagerduty",
        "routing_key": config.secret("pagerdutyIntegrationKey", "routing key"),
    }
    if ".eu." in config.text("pagerdutyIntegrationUrl"):
        entry["region"] = "eu"
    return entry


def _map_opsgenie(config: NotificationConfig) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "opsgenie", "api_key": config.secret("opsgenieApiKey", "API key")}
    if config.text("opsgenieRegion") == "eu":
        entry["region"] = "eu"
    priority = config.text("opsgeniePriority")
    if priority in ("1", "2", "3", "4", "5"):
        entry["priorities"] = {"down": f"P{priority}"}
    return entry


def _map_ntfy(config: NotificationConfig) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "ntfy", "topic": config.text("ntfytopic")}
    server = config.text("ntfyserverurl").rstrip("/")
    if server and server != "https://ntfy.sh":
        entry["server"] = server
    method = config.text("ntfyAuthenticationMethod")
    if method == "accessToken":
        entry["token"] = config.secret("ntfyaccesstoken", "access token")
    elif method == "usernamePassword":
        raise NotCarriedOver("a channel ntfy has a token, not a user name and a password", "create an access token")
    priority = config.text("ntfyPriority")
    if priority in ("1", "2", "3", "4", "5"):
        entry["priority"] = int(priority)
    return entry


def _map_email(config: NotificationConfig) -> dict[str, Any]:
    security = "tls" if config.flag("smtpSecure") else "none" if config.flag("smtpIgnoreSTARTTLS") else "starttls"
    entry: dict[str, Any] = {"kind": "email", "host": config.text("smtpHost"), "security": security}
    if (port := config.text("smtpPort")).isdecimal():
        entry["port"] = int(port)
    if config.text("smtpUsername"):
        entry["username"] = config.text("smtpUsername")
        entry["password"] = config.secret("smtpPassword", "SMTP password")
    entry["from"] = config.text("smtpFrom")
    how = "one list of recipients" if config.text("smtpCC") or config.text("smtpBCC") else ""
    recipients = [config.text(key, how) for key in ("smtpTo", "smtpCC", "smtpBCC")]
    entry["to"] = [one.strip() for text in recipients for one in text.split(",") if one.strip()]
    return entry


def _map_webhook(config: NotificationConfig) -> dict[str, Any]:
    if config.text("httpMethod").lower() == "get":
        raise NotCarriedOver("a channel webhook sends POST or PUT", "use POST")
    parts = split_url(config.text("webhookURL"))
    entry: dict[str, Any] = {"kind": "webhook"}
    if parts.query or parts.username:
        entry["url"] = config.secret("webhookURL", "URL of the webhook")
    else:
        entry["url"] = config.text("webhookURL")
    if (
        config.text("webhookContentType", how="the body is JSON with the fields of a message; set body for another one")
        == "custom"
    ):
        config.text("webhookCustomBody", how="the body has the fields of a message; write body with its templates")
    headers = parse_json_text(config.text("webhookAdditionalHeaders"))
    if isinstance(headers, dict):
        entry["headers"] = {name: _header(config, name, value) for name, value in headers.items()}
    return entry


def _header(config: NotificationConfig, name: str, value: Any) -> Any:
    if not looks_secret(name):
        return str(value)
    hint = f"{make_slug(config.name, 'channel')}-{name}"
    purpose = f"header {name} of the channel {config.name}"
    return config.context.secrets.reference(str(value), hint, purpose, config.node("webhookAdditionalHeaders"))


def _map_other(config: NotificationConfig) -> dict[str, Any]:
    kind = config.text("type", how=_APPRISE) or "unknown"
    if kind == "apprise":
        return {"kind": "apprise", "url": config.secret("appriseURL", "Apprise URL")}
    hint = f"{make_slug(config.name, 'channel')}-url"
    purpose = f"Apprise URL for {kind} of the channel {config.name}"
    return {"kind": "apprise", "url": config.context.secrets.require(hint, purpose, config.node("type"))}


_MAPPERS: Mapping[str, Mapper] = {
    "slack": _map_slack,
    "teams": _map_teams,
    "PagerDuty": _map_pagerduty,
    "Opsgenie": _map_opsgenie,
    "ntfy": _map_ntfy,
    "smtp": _map_email,
    "webhook": _map_webhook,
}
