"""What becomes of missed instants, as the timer host of Azure Functions and Hangfire decide it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.catalog.catalog import Catalog
from scheduler.planning.due_heap import DueHeap
from scheduler.planning.plan import plan_due
from tests.scheduler.fakes import entry

_FILE = Path(__file__).parents[2] / "data" / "planning" / "missed.json"


def cases() -> list[Any]:
    found = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=f"{number}-{case['name']}") for number, case in enumerate(found)]


@pytest.mark.parametrize("case", cases())
def test_missed_instants_are_caught_up_as_elsewhere(case: dict[str, Any]) -> None:
    """A changed schedule is in force since now, and so is what was never planned."""
    now = datetime.fromisoformat(case["now"])
    jobs = Catalog([entry("a", case["schedule"], catch_up={"policy": case["policy"], "within": "7d"})])
    stood_at = datetime.fromisoformat(case["stood_at"]) if "stood_at" in case else now
    heap = DueHeap(jobs.schedules(), stood_at, {"a": now} if case.get("changed") else None)

    made = plan_due(jobs, heap, now, still_on_time=timedelta(milliseconds=500))

    runs = [ticket.due_at for tickets in (*made.caught_up, made.on_time) for ticket in tickets]
    assert runs == [datetime.fromisoformat(instant) for instant in case["runs"]]
    if "next" in case:
        assert heap.next_at == datetime.fromisoformat(case["next"])
