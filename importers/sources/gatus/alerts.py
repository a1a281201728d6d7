"""Alerts of endpoints, and the providers that send them, as alert rules and channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from importers.import_context import ImportContext, make_slug, make_unique
from importers.ledger import JobDraft
from importers.reading import (
    read_boolean,
    read_integer,
    read_list,
    read_mapping,
    read_optional_text,
    read_seconds,
    read_text,
    write_duration,
)
from importers.source_tree import NotCarriedOver, SourceNode
from importers.sources.gatus.clients import read_known_text

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
    settings = {**defaults.alerts.get(provider, {}), **keys}
    enabled = settings.get("enabled")
    if enabled is not None and not read_boolean(enabled):
        context.ledger.record_rest(node, "the alert is disabled", job=draft.name)
        return
    names = {rule["name"] for rule in draft.definition.get("alerts", [])}
    rule: dict[str, Any] = {
        "name": make_unique(make_slug(provider), names),
        "open_after": _threshold(settings.get("failure-threshold"), FAILURES),
        "close_after": _threshold(settings.get("success-threshold"), SUCCESSES),
    }
    used = [keys[key] for key in ("failure-threshold", "success-threshold", "enabled") if key in keys]
    if "minimum-reminder-interval" in settings and read_seconds(settings["minimum-reminder-interval"]):
        rule["remind_every"] = write_duration(read_seconds(settings["minimum-reminder-interval"]))
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


_Channel = tuple[dict[str, Any], list[SourceNode]]
"""The keys of a channel, and the nodes that they come from."""
APPRISE = "a channel of kind webhook or apprise, docs/alerting-channels.md"


def add_channels(alerting: SourceNode, context: ImportContext, defaults: AlertDefaults) -> None:
    """Add a channel for each provider that has one, and collect the default alerts."""
    for provider in alerting.children():
        default = provider.child("default-alert")
        if default is not None and isinstance(default.value, dict):
            defaults.alerts[provider.key] = read_mapping(default)
            context.use(default, "its thresholds are written into the rules of the jobs")
        try:
            keys, nodes = _read_channel(provider, context)
        except NotCarriedOver as error:
            context.ledger.record_rest(provider, error.why, error.nearest)
            continue
        name = f"gatus-{provider.key}"
        defaults.channels[provider.key] = name
        context.put_section(f"alerting.channels.{name}", keys, *nodes)
        _report_rest(provider, context)


def _report_rest(provider: SourceNode, context: ImportContext) -> None:
    for child in provider.children():
        if child.key == "overrides":
            context.ledger.record_rest(child, "a channel is the same for all groups", "a route by tags")
        elif child.key == "client":
            context.ledger.record_rest(child, "the connection of a channel cannot be changed")
        elif child.key in ("title", "message-content", "priority", "source", "entity-prefix", "alias-prefix", "tags"):
            context.ledger.record_rest(child, "the text of a message comes from a template", "alerting.templates")


def _read_channel(provider: SourceNode, context: ImportContext) -> _Channel:
    reader = _READERS.get(provider.key)
    if reader is None:
        raise NotCarriedOver("there is no channel of this kind", APPRISE)
    return reader(provider, context)


def _secret(provider: SourceNode, context: ImportContext, key: str) -> tuple[dict[str, str], SourceNode]:
    node = provider.child(key)
    if node is None or not read_optional_text(node):
        raise NotCarriedOver(f"{key} is missing", APPRISE)
    purpose = f"{key} of the channel gatus-{provider.key}"
    return context.secrets.reference(read_text(node), f"gatus-{provider.key}-{key}", purpose, node), node


def _by_webhook(kind: str) -> Callable[[SourceNode, ImportContext], _Channel]:
    def read(provider: SourceNode, context: ImportContext) -> _Channel:
        reference, node = _secret(provider, context, "webhook-url")
        return {"kind": kind, "url": reference}, [node]

    return read


def _pagerduty(provider: SourceNode, context: ImportContext) -> _Channel:
    reference, node = _secret(provider, context, "integration-key")
    return {"kind": "pagerduty", "routing_key": reference}, [node]


def _opsgenie(provider: SourceNode, context: ImportContext) -> _Channel:
    reference, node = _secret(provider, context, "api-key")
    return {"kind": "opsgenie", "api_key": reference}, [node]


def _ntfy(provider: SourceNode, context: ImportContext) -> _Channel:
    topic = provider.child("topic")
    if topic is None:
        raise NotCarriedOver("topic is missing", APPRISE)
    keys: dict[str, Any] = {"kind": "ntfy", "topic": read_known_text(topic)}
    nodes = [topic]
    if (url := provider.child("url")) is not None:
        keys["server"] = read_known_text(url)
        nodes.append(url)
    if (priority := provider.child("priority")) is not None:
        keys["priority"] = read_integer(priority)
        nodes.append(priority)
    if provider.child("token") is not None:
        keys["token"], node = _secret(provider, context, "token")
        nodes.append(node)
    return keys, nodes


def _email(provider: SourceNode, context: ImportContext) -> _Channel:
    nodes = {key: provider.child(key) for key in ("host", "port", "from", "to", "username", "password")}
    host, port, sender, to = (nodes[key] for key in ("host", "port", "from", "to"))
    if host is None or sender is None or to is None:
        raise NotCarriedOver("host, from or to is missing", "a channel of kind email")
    number = read_integer(port) if port is not None else 587
    keys: dict[str, Any] = {
        "kind": "email",
        "host": read_known_text(host),
        "port": number,
        "security": "tls" if number == 465 else "starttls",
        "from": read_known_text(sender),
        "to": [address.strip() for address in read_known_text(to).split(",")],
    }
    username = nodes["username"]
    if nodes["password"] is not None and read_optional_text(nodes["password"]):
        keys["username"] = read_known_text(username if username is not None and username.value else sender)
        keys["password"], _ = _secret(provider, context, "password")
    return keys, [node for node in nodes.values() if node is not None]


_READERS: dict[str, Callable[[SourceNode, ImportContext], _Channel]] = {
    "slack": _by_webhook("slack"),
    "mattermost": _by_webhook("slack"),
    "teams-workflows": _by_webhook("teams"),
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "ntfy": _ntfy,
    "email": _email,
}
