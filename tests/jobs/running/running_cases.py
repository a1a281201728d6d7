"""Reads tests/data/running/*.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parents[2] / "data" / "running"


def cases(name: str) -> list[Any]:
    """Each case of the file as a parameter, named by its place and as its project numbers it."""
    found = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=f"{number}-{case['name']}") for number, case in enumerate(found)]
