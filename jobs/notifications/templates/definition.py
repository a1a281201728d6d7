"""The user's templates of messages in a job file, by channel; `default`: of all others.

    alerting:
      templates:
        default:
          title: "{{ severity|upper }} {{ subject }}{% if tags.stage is defined %} in {{ tags.stage }}{% endif %}"

Both are rendered with the sample of every kind of transition when the file is read, so that a name which is missing is
found before a message is needed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from jobs.incidents.suppression.periods.definition import ZoneField
from jobs.incidents.values import Notification, TransitionKind
from jobs.model_base import FrozenModel
from jobs.notifications.templates.incident_message import incident_values
from jobs.notifications.templates.sample import SAMPLE_DETAILS, sample_transition
from jobs.notifications.templates.sandbox import render_template


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
