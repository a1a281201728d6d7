"""Recurrences of another program, as schedules of this one: tests/data/schedules/recurrences.json."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from jobs.schedules.parsing import parse_schedule
from tests.project import ROOT

CASES = json.loads((ROOT / "tests/data/schedules/recurrences.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["after"])
def test_past_recurrences_are_discarded(case: dict[str, Any]) -> None:
    schedule, at = parse_schedule(case["schedule"]), datetime.fromisoformat(case["after"])
    for due in case["due"]:
        following = schedule.next_after(at)
        assert following == datetime.fromisoformat(due)
        at = following
