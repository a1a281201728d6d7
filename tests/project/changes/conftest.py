"""The fixture `sample_change`: `sample_change("a setting")` makes the copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.changes.sample_change import SampleChange, SampleChangeFactory


@pytest.fixture
def sample_change(tmp_path: Path) -> SampleChangeFactory:
    return lambda key: SampleChange(key, tmp_path / "copy")
