"""The user's templates of messages: in a job file, by channel (`default`: of all others), and in the body of a channel.

    alerting:
      templates:
        default:
          title: "{{ severity|upper }} {{ subject }}{% if tags.stage is defined %} in {{ tags.stage }}{% endif %}"

Both are rendered with the sample of every kind of transition when the file is read, so that a name which is missing is
found before a message is needed.

In a body, a value is any JSON value; each text in it is a template. A text that is `{{ tags }}` or `{{ facts }}` alone
stays a mapping, and `{{ number }}` a number.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from jobs.formats import format_iso_instant
from jobs.incidents.suppression.periods import ZoneField
from jobs.incidents.values import Notification, TransitionKind
from jobs.model_base import FrozenModel
from jobs.notifications.port import Message
from jobs.notifications.templates.incident_message import (
    SAMPLE_DETAILS,
    SAMPLE_MESSAGE,
    incident_values,
    sample_transition,
)
from jobs.notifications.templates.sandbox import TagValues, check_template, has_template, render_template


def check_incident_template(text: str) -> str:
    """Return the template if it can be rendered for each kind of transition. Raises ValueError."""
    for kind in TransitionKind:
        incident, transition = sample_transition(kind)
        notification = Notification(incident.id, 1, kind, "sample", transition.at)
        values = incident_values(incident, transition, notification, SAMPLE_DETAILS, title="title", text="text")
        render_template(text, values)
    return text


IncidentTemplate = Annotated[str, AfterValidator(check_incident_template)]


class TemplatesSection(FrozenModel):
    """Replace the default title and text. Both can contain the default: `{{ title }}`, `{{ text }}`.

    `timezone`: of the times in messages.
    """

    title: IncidentTemplate | None = None
    text: IncidentTemplate | None = None
    timezone: ZoneField | None = None


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
