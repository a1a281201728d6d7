"""Alerts of endpoints, and the providers that send them, as alert rules and channels. Called by endpoints and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.job_names import make_slug, make_unique
from config.importers.node import SourceNode
from config.importers.values.durations import read_seconds, write_duration
from config.importers.values.reading import read_boolean, read_integer, read_list, read_mapping, read_text

FAILURES, SUCCESSES = 3, 2
"""The thresholds of Gatus without a value."""


@dataclass(slots=True)
class AlertDefaults:
    """What all files know of providers. `channels`: their channel; `alerts`: their default alert."""

    channels: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, Mapping[str, SourceNode]] = field(default_factory=dict)


def put_alerts(context: ImportContext, defaults: AlertDefaults, draft: JobDraft, node: SourceNode) -> None:
    """Add a rule for each alert that is enabled."""
    for alert in read_list(node):
        draft.map_key(alert, lambda job, one: _put_alert(context, defaults, job, one))
    draft.definition.setdefault("alerts", [])


def _put_alert(context: ImportContext, defaults: AlertDefaults, draft: JobDraft, node: SourceNode) -> None:
    keys = read_mapping(node)
    if "type" not in keys:
        raise NotCarriedOver("the alert has no type")
    provider = read_text(keys["type"])
    known = {**defaults.alerts.get(provider, {}), **keys}
    enabled = known.get("enabled")
    if enabled is not None and not read_boolean(enabled):
        context.ledger.record_rest(node, "the alert is disabled", job=draft.name)
        return
    names = {rule["name"] for rule in draft.definition.get("alerts", [])}
    rule: dict[str, Any] = {
        "name": make_unique(make_slug(provider), names),
        "open_after": _threshold(known.get("failure-threshold"), FAILURES),
        "close_after": _threshold(known.get("success-threshold"), SUCCESSES),
    }
    used = [keys[key] for key in ("failure-threshold", "success-threshold", "enabled") if key in keys]
    if "minimum-reminder-interval" in known and read_seconds(known["minimum-reminder-interval"]):
        rule["remind_every"] = write_duration(read_seconds(known["minimum-reminder-interval"]))
    used += [keys[key] for key in ("minimum-reminder-interval",) if key in keys]
    if provider in defaults.channels:
        rule["notify"] = defaults.channels[provider]
        used.append(keys["type"])
    else:
        draft.drop(keys["type"], "its provider is not imported", "alerting.channels, and notify of the rule")
    draft.append("alerts", rule, *used)
    _put_texts(context, draft, keys)


def _threshold(node: SourceNode | None, default: int) -> int:
    number = read_integer(node) if node is not None else default
    return number if number > 0 else default


def _put_texts(context: ImportContext, draft: JobDraft, keys: Mapping[str, SourceNode]) -> None:
    if "description" in keys:
        node = keys["description"]
        text = read_text(node) if node.value is not None else ""
        if draft.get("description") is None and text:
            draft.put("description", text[:500], node, how="becomes the description of the job, which messages contain")
        else:
            draft.drop(node, "a rule has no description", "description of the job, or a template")
    if "send-on-resolved" in keys:
        node = keys["send-on-resolved"]
        if read_boolean(node):
            draft.use(node)
        else:
            draft.drop(node, "a resolved incident is always notified")
    for key in ("provider-override",):
        if key in keys:
            draft.drop(keys[key], "a rule cannot change a channel", "another channel")
