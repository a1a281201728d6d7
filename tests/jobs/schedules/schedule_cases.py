"""Reads tests/data/schedules/*.json for the schedule tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parents[2] / "data" / "schedules"


def cases(name: str) -> list[Any]:
    """Each case of the file as a parameter, named by its place and schedule."""
    found = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=f"{number}-{_label(case)}") for number, case in enumerate(found)]


def utc(text: str) -> datetime:
    """An instant of a case; they are written without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _label(case: dict[str, Any]) -> str:
    return str(case.get("schedule") or case.get("timespan") or case.get("schedules") or case.get("macro") or "empty")
