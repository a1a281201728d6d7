"""Maintenance windows of Gatus as windows of the section `alerting`. Called by endpoints, external and files."""

from __future__ import annotations

import re
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_names import make_slug, make_unique
from config.importers.node import SourceNode
from config.importers.values.durations import read_seconds, write_duration
from config.importers.values.reading import read_boolean, read_list, read_mapping, read_optional_text, read_text

_START = re.compile(r"(\d{2}):(\d{2})")
_DAYS = {"sunday": "SUN", "monday": "MON", "tuesday": "TUE", "wednesday": "WED", "thursday": "THU", "friday": "FRI",
         "saturday": "SAT"}  # fmt: skip


def add_window(context: ImportContext, node: SourceNode, select: dict[str, Any], hint: str) -> None:
    """Add a window, during which alerts of the selected jobs are not sent."""
    try:
        window = _read_window(node)
    except NotCarriedOver as error:
        context.ledger.record_rest(node, error.why, error.nearest)
        return
    if window is None:
        context.ledger.record_rest(node, "the window is disabled")
        return
    known = [child for child in node.children() if child.key in ("enabled", "start", "duration", "timezone", "every")]
    names = {one["name"] for one in context.sections.get("alerting", {}).get("windows", [])}
    name = make_unique(make_slug(f"{hint}-maintenance"), names)
    context.put_section("alerting.windows[]", {"name": name, **window, "select": select}, *known)


def _read_window(node: SourceNode) -> dict[str, Any] | None:
    keys = read_mapping(node)
    if "enabled" in keys and not read_boolean(keys["enabled"]):
        return None
    start = _START.fullmatch(read_optional_text(keys.get("start")))
    if start is None or "duration" not in keys:
        raise NotCarriedOver("it has no start such as 23:00, or no duration", "a window of the section alerting")
    days = [read_text(day) for day in read_list(keys["every"])] if "every" in keys else []
    names = [_DAYS[day.lower()] for day in days if day.lower() in _DAYS]
    if len(names) != len(days):
        raise NotCarriedOver("expected names of days, such as Monday", "a window of the section alerting")
    timezone = read_optional_text(keys.get("timezone")) or "UTC"
    cron = f"0 {int(start[2])} {int(start[1])} * * {','.join(names) or '*'}"
    return {"schedule": {"cron": cron, "timezone": timezone}, "for": write_duration(read_seconds(keys["duration"]))}
