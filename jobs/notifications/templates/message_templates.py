"""Templates with the fields of a rendered message. Used by jobs.notifications.channels.webhook.

A value is any JSON value; each text in it is a template. A text that is `{{ tags }}` or `{{ facts }}` alone stays a
mapping, and `{{ number }}` a number.
"""

from __future__ import annotations

import re
from typing import Any

from jobs.formats.instants import format_iso_instant
from jobs.notifications.message import Message
from jobs.notifications.templates.sample import SAMPLE_MESSAGE
from jobs.notifications.templates.sandbox import check_template, has_template, render_template
from jobs.notifications.templates.tag_values import TagValues

_NAME_ALONE = re.compile(r"\s*\{\{\s*(\w+)\s*\}\}\s*")


def message_values(message: Message) -> dict[str, object]:
    """Return what templates can use: the names of these values, and no others."""
    return {
        "incident": message.incident,
        "number": message.number,
        "transition": message.kind.value,
        "covers": [kind.value for kind in message.covers],
        "severity": message.severity,
        "subject": message.subject,
        "target": message.target,
        "description": message.description,
        "expected": message.expected,
        "observed": message.observed,
        "answer": message.answer,
        "title": message.title,
        "text": message.text,
        "at": format_iso_instant(message.at, precise=True),
        "dedup_key": message.dedup_key,
        "incident_key": message.incident_key,
        "facts": dict(message.facts),
        "tags": TagValues(message.tags),
        "link": message.link,
        "runbook": message.runbook,
        "is_resolution": message.is_resolution,
    }


def check_message_templates(value: Any) -> Any:
    """Return the value if all of its templates can be rendered, with the sample message too. Raises ValueError."""
    if _contains_template(value):
        render_message_templates(value, SAMPLE_MESSAGE)
    return value


def render_message_templates(value: Any, message: Message) -> Any:
    """Return the value with each template replaced by its text. Raises TemplateProblem."""
    return _render(value, message_values(message))


def _contains_template(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_contains_template, value.values()))
    if isinstance(value, list):
        return any(map(_contains_template, value))
    return isinstance(value, str) and has_template(value)


def _render(value: Any, values: dict[str, object]) -> Any:
    if isinstance(value, dict):
        return {key: _render(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_render(each, values) for each in value]
    if not isinstance(value, str) or not has_template(value):
        return value
    if found := _NAME_ALONE.fullmatch(value):
        check_template(value, values)
        return values[found[1]]
    return render_template(value, values)
