"""`validate` and the start of the program check the calendars of files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.job_files.job_set import JobSet
from config.job_files.reader import JobFileReader
from config.warnings import warnings_of_unusable_rotas
from tests.jobs.incidents.routing.calendars import calendar_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALERTING = """alerting:
  channels: {team: {kind: ntfy, topic: team-topic}}
  on_call:
    primary:
      file: FILE
      people: {Anna: team}
      otherwise: team
jobs: {}
"""


def read(tmp_path: Path, file: str) -> JobSet:
    (tmp_path / "alerting.yaml").write_text(ALERTING.replace("FILE", file), encoding="utf-8")
    return JobFileReader(tmp_path).read(tmp_path)


def warnings(tmp_path: Path, file: str = "rota.ics") -> list[str]:
    return [str(warning) for warning in warnings_of_unusable_rotas(read(tmp_path, file), NOW)]


def test_a_usable_calendar_has_no_warning(tmp_path: Path) -> None:
    (tmp_path / "rota.ics").write_bytes(calendar_of(("Anna", "20260101T000000Z", "P1D")))
    assert warnings(tmp_path) == []


def test_a_missing_file_has_the_line_of_its_rota(tmp_path: Path) -> None:
    assert warnings(tmp_path) == [
        "alerting.yaml:4: alerting.on_call.primary.file: the calendar rota.ics cannot be read: no such file or "
        f"directory; its path starts from the folder of the job file, {tmp_path}"
    ]


def test_a_file_that_is_not_a_calendar_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "rota.ics").write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    (text,) = warnings(tmp_path)
    assert "the calendar rota.ics cannot be used: the calendar has no events" in text


def test_shifts_without_a_person_are_named(tmp_path: Path) -> None:
    (tmp_path / "rota.ics").write_bytes(calendar_of(("Zoe", "20260101T000000Z", "P1D")))
    (text,) = warnings(tmp_path)
    assert "has shifts that name no person of the rota: Zoe" in text


@pytest.mark.parametrize("file", ["/etc/passwd", "../rota.ics", "C:/rota.ics", "'a\\b'", "'.'"])
def test_a_path_outside_the_folder_is_an_error(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigurationError, match=r"yaml:5: alerting.on_call.primary.file: .* is not a path below"):
        read(tmp_path, file)
