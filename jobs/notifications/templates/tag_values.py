"""Tags as templates see them: each job has others, so one that is missing is an empty text. Pure.

Used by jobs.notifications.templates.incident_message and jobs.notifications.templates.message_templates.
"""

from __future__ import annotations

from typing import Any


class TagValues(dict[str, str]):
    """`tags.stage` is undefined for a job without this tag, and its text is empty."""

    def __missing__(self, name: str) -> Any:
        from jinja2 import Undefined

        return Undefined(name=name)
