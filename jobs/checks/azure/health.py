"""Azure's own view: of a resource (Resource Health), or of the issues in a subscription (Service Health). Pure.

observed = await checks.observe(health_target("/subscriptions/.../sites/shop", "public"), call)
read_health(subject, observed, redact)  # state "Unavailable since 2026-12-03 04:00:00Z (Platform Initiated)", text
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jobs.formats import format_count, format_instant, parse_instant
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import Observation
from jobs.targets import AzureResourceTarget
from jobs.targets.azure_apis import CloudName
from jobs.targets.resource_paths import shorten_path

MAX_TEXT = 600
_MAX_EVENTS, _SHOWN_ISSUES, _MAX_READ = 1000, 3, 2000
_ID = re.compile(r"(/subscriptions/[^/?#\s]+)(?:(/resourcegroups/[^/]+/providers/[^/]+/[^/]+/[^/]+)(/.+)?|/.*)?", re.I)
_TAG = re.compile(r"<[^<>]{0,300}>")


def split_id(resource: str) -> tuple[str, str]:
    """Return the subscription of a resource, and of a nested one, such as a queue, the resource that contains it.

    Both are empty without one. Azure knows the health of few types of nested resources.
    """
    found = _ID.fullmatch(resource)
    return ("", "") if found is None else (found[1], found[1] + found[2] if found[3] else "")


def health_target(subject: str, cloud: CloudName) -> AzureResourceTarget:
    """Return what to request about a resource or a subscription. Raises ValueError for any other text."""
    path = "events" if subject == split_id(subject)[0] else "availabilityStatuses/current"
    path = f"{subject}/providers/Microsoft.ResourceHealth/{path}"
    return AzureResourceTarget(kind="azure_resource", resource=path, api_version="2025-05-01", max_pages=5, cloud=cloud)


def read_health(subject: str, seen: Observation, redact: Redact) -> tuple[str, str]:
    """Return the state of a resource or of a subscription, empty if it is not known, and a sentence."""
    is_resource = subject != split_id(subject)[0]
    name = make_printable(shorten_path(subject) if is_resource else subject.strip("/").replace("/", " "), 120)
    source, state = f"Azure {'Resource' if is_resource else 'Service'} Health: {name}", ""
    if seen.status == 404:
        details = "not known: the id is wrong, the resource is gone, or Azure does not cover its type (404)"
    elif seen.unknown or seen.error is not None:
        details = f"not known: {_clean(seen.unknown or seen.message, MAX_TEXT, redact)}"
    else:
        try:
            state, details = (_read_availability if is_resource else _read_issues)(json.loads(seen.body), redact)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            details = "not known: the response has another form than expected"
    return state, make_printable(f"{source}: {details}", MAX_TEXT)


def _read_availability(document: Mapping[str, Any], redact: Redact) -> tuple[str, str]:
    """Return the state, and the state with Azure's summary. Raises ValueError, as without any form."""
    properties = document["properties"]
    names = "availabilityState", "occuredTime", "context", "category", "reasonType"  # as Azure spells them
    state, occurred, context, *kinds = (_clean(properties.get(name), 40, redact) for name in names)
    if not state:
        raise ValueError("availabilityState")
    if state == "Unknown":
        state = "Unknown, which is not a failure"
    if not state.startswith("Available") and occurred:
        state += f" since {format_instant(parse_instant(occurred))}"
    if origins := dict.fromkeys(filter(None, (context, kinds[0] or kinds[1]))):
        state += f" ({', '.join(origins)})"
    summary = _clean(properties.get("summary"), 300, redact)
    return state, f'{state}: "{summary}"' if summary else state


def _read_issues(document: Mapping[str, Any], redact: Redact) -> tuple[str, str]:
    """Return the active service issues: maintenance and advice explain no failure. Raises ValueError and others."""
    issues = {}
    for event in document["value"][:_MAX_EVENTS]:
        properties = event["properties"]
        if (properties["eventType"], properties["status"]) == ("ServiceIssue", "Active"):
            issues[_clean(event["name"], 40, redact)] = _clean(properties.get("title"), 120, redact)
    if not issues:
        return "no active service issue", "no active service issue"
    names = sorted(issues)
    more = f" and {len(names) - _SHOWN_ISSUES} more" if len(names) > _SHOWN_ISSUES else ""
    state = f"{format_count(len(names), 'active service issue')}: {', '.join(names[:_SHOWN_ISSUES])}{more}"
    titles = "; ".join(f'"{issues[name]}"' for name in names[:_SHOWN_ISSUES])
    return state, f"{state}: {titles}. They need not concern this resource."


def _clean(text: Any, most: int, redact: Redact) -> str:
    """Return a text of Azure on one line, without HTML; empty for another value."""
    if not isinstance(text, str):
        return ""
    plain = _TAG.sub(" ", redact(text[:_MAX_READ], cut=len(text) > _MAX_READ))
    return make_printable(" ".join(plain.split()), most)
