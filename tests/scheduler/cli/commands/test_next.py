"""`next`: due instants of jobs and expressions."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.definition import NAME_PATTERN
from scheduler.features.jobs.schedule_commands import JOB_NAME
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

JOBS = """
jobs:
  checkout-api:
    schedule: 0 */5 * * * *
    check: {url: "http://127.0.0.1:9/health"}
  backup:
    schedule: {cron: 0 30 2 * * *, timezone: Europe/Berlin, dst: {gap: end}}
    check: {url: "http://127.0.0.1:9/health"}
  on-demand:
    check: {url: "http://127.0.0.1:9/health"}
  sleeping:
    enabled: false
    schedule: {every: 1m}
    check: {url: "http://127.0.0.1:9/health"}
"""


@pytest.fixture
def _jobs(job_folder: Path) -> None:
    (job_folder / "jobs.yaml").write_text(JOBS)


@pytest.fixture
def _broken_configuration(job_folder: Path) -> None:
    (job_folder / "jobs.yaml").write_text("jobs: {a: {retires: 3}}")


def test_an_expression_gives_one_instant_a_line() -> None:
    output = invoke("next", "*/5 * * * *", "--count", "3", "--from", "2024-01-01T00:00:00Z")

    assert (output.code, output.stderr) == (0, "")
    assert output.stdout == "2024-01-01T00:05:00Z\n2024-01-01T00:10:00Z\n2024-01-01T00:15:00Z\n"


def test_five_instants_from_now_on_are_given_when_nothing_is_reported() -> None:
    before = datetime.now(UTC)

    instants = [datetime.fromisoformat(line) for line in invoke("next", "* * * * * *").lines]

    assert len(instants) == 5
    assert instants == sorted(instants)
    assert 0 < (instants[0] - before).total_seconds() < 30


@pytest.mark.parametrize(
    ("since", "first"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:05:00Z"),
        ("2024-01-01T00:04:59.999Z", "2024-01-01T00:05:00Z"),
        ("2024-01-01T00:04:59.999999Z", "2024-01-01T00:05:00Z"),
        ("2024-01-01T00:05:00", "2024-01-01T00:10:00Z"),
        ("2024-01-01", "2024-01-01T00:05:00Z"),
        ("2024-01-01 02:00:00+02:00", "2024-01-01T00:05:00Z"),
    ],
)
def test_instants_are_strictly_after_from_which_is_utc_unless_it_has_an_offset(since: str, first: str) -> None:
    assert invoke("next", "*/5 * * * *", "--count", "1", "--from", since).lines == [first]


def test_an_interval_of_less_than_a_second_is_reported_in_milliseconds() -> None:
    output = invoke("next", "every 500ms", "--count", "2", "--from", "2024-01-01T00:00:00.100Z")

    assert output.lines == ["2024-01-01T00:00:00.500Z", "2024-01-01T00:00:01.000Z"]


@pytest.mark.parametrize("text", ["every 10m", "00:10:00"])
def test_an_interval_is_read_as_text_or_time_span(text: str) -> None:
    assert invoke("next", text, "--count", "1", "--from", "2024-01-01").lines == ["2024-01-01T00:10:00Z"]


def test_a_schedule_that_is_never_due_prints_nothing_and_reports_it_on_stderr() -> None:
    output = invoke("next", "0 0 0 30 2 *", "--from", "2024-01-01")

    assert (output.code, output.stdout) == (0, "")
    assert output.stderr == "0 0 0 30 2 * is not due after 2024-01-01T00:00:00Z\n"


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("61 * * * * *", "second"),
        ("* * * *", "expected 5 or 6 fields, got 4"),
        ("-5 * * * *", "minute"),
        ("@reboot", "'@reboot' is not a macro"),
        ("00:99:00", "minutes must be 0 to 59"),
        ("every 5", "every: '5' is not a duration"),
        ("every 1ms", "out of range"),
        ("", "empty"),
        ("* * * * *\x1b[31m", "\\x1b"),
    ],
)
def test_a_bad_expression_is_explained_and_ends_with_2(text: str, reported: str) -> None:
    output = invoke("next", text, "--count", "1")

    assert (output.code, output.stdout) == (2, "")
    assert reported in output.stderr
    assert "Traceback" not in output.stderr
    assert "\x1b" not in output.stderr


@pytest.mark.parametrize("since", ["yesterday", "2024-13-01", "0001-01-01T00:00:00+14:00", ""])
def test_a_from_that_is_no_instant_ends_with_2(since: str) -> None:
    output = invoke("next", "* * * * *", "--from", since)

    assert (output.code, output.stdout) == (2, "")
    assert "--from" in output.stderr
    assert "2026-11-25T01:50:30Z" in output.stderr


@pytest.mark.parametrize("count", ["0", "-1", "100001", "many"])
def test_a_count_out_of_bounds_ends_with_2(count: str) -> None:
    output = invoke("next", "* * * * *", "--count", count)

    assert (output.code, output.stdout) == (2, "")
    assert "--count" in output.stderr


def test_a_day_of_a_job_that_is_due_each_second_can_be_requested() -> None:
    lines = invoke("next", "* * * * * *", "--count", "86400", "--from", "2024-01-01").lines

    assert (len(lines), lines[-1]) == (86400, "2024-01-02T00:00:00Z")


def test_the_end_of_the_calendar_is_the_end_of_the_list() -> None:
    lines = invoke("next", "0 0 * * * *", "--from", "9999-12-31T21:30:00Z").lines

    assert lines == ["9999-12-31T22:00:00Z", "9999-12-31T23:00:00Z"]


def test_json_names_schedule_start_and_instants() -> None:
    output = invoke("next", "every 1h", "--count", "1", "--from", "2024-01-01", "--json")

    assert json.loads(output.stdout) == {
        "job": None,
        "schedule": {"every": "1h"},
        "from": "2024-01-01T00:00:00Z",
        "next": ["2024-01-01T01:00:00Z"],
    }


def test_a_terminal_shows_a_table_with_the_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()

    output = invoke("next", "0 30 4 * * *", "--count", "1", "--from", "2024-07-01T00:00:00Z", terminal=True)

    assert "0 30 4 * * *" in output.lines[0]
    assert any("2024-07-01T04:30:00Z" in line and "2024-07-01 06:30:00 CEST" in line for line in output.lines)
    assert "4 h 30 min" in output.stdout


def test_a_terminal_east_of_utc_survives_the_end_of_the_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    output = invoke("next", "0 0 23 31 12 *", "--from", "9999-12-31T00:00:00Z", terminal=True)

    assert output.code == 0
    assert "9999-12-31T23:00:00Z" in output.stdout


@pytest.mark.usefixtures("_broken_configuration")
def test_an_expression_is_answered_next_to_a_broken_configuration() -> None:
    assert invoke("next", "* * * * *", "--count", "1").code == 0


@pytest.mark.usefixtures("_broken_configuration")
def test_a_job_cannot_be_answered_next_to_a_broken_configuration() -> None:
    output = invoke("next", "a")

    assert (output.code, output.stdout) == (2, "")
    assert "jobs.yaml:1: jobs.a.retires: unknown key, did you mean retry?" in output.stderr


@pytest.mark.usefixtures("_jobs")
def test_a_job_is_planned_by_its_schedule() -> None:
    output = invoke("next", "checkout-api", "--count", "1", "--from", "2024-01-01")

    assert (output.code, output.lines) == (0, ["2024-01-01T00:05:00Z"])


@pytest.mark.usefixtures("_jobs")
@pytest.mark.parametrize(
    ("name", "reported"), [("on-demand", "on-demand has no schedule"), ("sleeping", "sleeping is disabled")]
)
def test_a_job_that_never_starts_by_itself_prints_nothing_and_reports_why(name: str, reported: str) -> None:
    for options in ((), ("--json",)):
        output = invoke("next", name, *options)
        assert output.code == 0
        assert reported in output.stderr
        assert output.stdout == "" or json.loads(output.stdout)["next"] == []
    assert invoke("next", name, terminal=True).stdout == ""


@pytest.mark.usefixtures("_jobs")
def test_a_misspelt_job_is_suggested() -> None:
    output = invoke("next", "chekout-api")

    assert (output.code, output.stdout) == (2, "")
    assert "there is no job named 'chekout-api', did you mean checkout-api?" in output.stderr
    assert "'chekout-api' is not a schedule either" in output.stderr


def test_what_may_be_a_jobs_name_is_what_definitions_allow() -> None:
    assert f"^{JOB_NAME.pattern}$" == NAME_PATTERN


@pytest.mark.parametrize("option", ["--cuont", "--form"])
def test_a_misspelt_option_is_reported(option: str) -> None:
    output = invoke("next", "* * * * *", option, "3")

    assert output.code == 2
    assert f"No such option: {option}" in output.stderr


# --- On the clock of a time zone


def test_an_expression_on_a_zones_clock_is_reported_with_the_zones_offset() -> None:
    output = invoke(
        "next", "0 30 3 * * *", "--timezone", "Europe/Berlin", "--count", "2", "--from", "2026-03-28T00:00Z"
    )

    assert (output.code, output.stderr) == (0, "")
    assert output.lines == ["2026-03-28T03:30:00+01:00", "2026-03-29T03:30:00+02:00"]


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ((), "2026-03-29T03:30:00+02:00"),
        (("--gap", "shift"), "2026-03-29T03:30:00+02:00"),
        (("--gap", "end"), "2026-03-29T03:00:00+02:00"),
        (("--gap", "skip"), "2026-03-30T02:30:00+02:00"),
    ],
)
def test_a_time_that_the_clock_skips_is_due_as_the_option_reports(options: tuple[str, ...], first: str) -> None:
    zone = ("--timezone", "Europe/Berlin", "--from", "2026-03-29T00:00")

    assert invoke("next", "30 2 * * *", *zone, *options, "--count", "1").lines == [first]


def test_a_time_that_the_clock_shows_twice_is_due_as_the_option_reports() -> None:
    zone = ("--timezone", "America/New_York", "--from", "2016-11-06", "--count", "2")

    first = invoke("next", "0 30 1 * * *", *zone, "--repeat", "first").lines
    both = invoke("next", "0 30 1 * * *", *zone, "--repeat", "both").lines

    assert first == ["2016-11-06T01:30:00-04:00", "2016-11-07T01:30:00-05:00"]
    assert both == ["2016-11-06T01:30:00-04:00", "2016-11-06T01:30:00-05:00"]


def test_from_without_an_offset_is_on_the_schedules_clock() -> None:
    output = invoke(
        "next", "0 0 * * * *", "--timezone", "Asia/Kolkata", "--count", "1", "--from", "2026-01-01T10:00:00"
    )

    assert output.lines == ["2026-01-01T11:00:00+05:30"]


def test_utc_is_reported_with_z_when_it_is_the_zone_that_was_named() -> None:
    output = invoke("next", "0 0 3 * * *", "--timezone", "UTC", "--count", "1", "--from", "2026-01-01")

    assert output.lines == ["2026-01-01T03:00:00Z"]


def test_an_interval_is_reported_on_the_clock_that_is_named() -> None:
    output = invoke("next", "every 1h", "--timezone", "Asia/Kolkata", "--count", "1", "--from", "2026-01-01")

    assert output.lines == ["2026-01-01T00:30:00+05:30"]


def test_a_mapping_is_read_as_in_a_job_file() -> None:
    text = "{cron: 0 0 3 * * *, timezone: Europe/Berlin}"

    assert invoke("next", text, "--count", "1", "--from", "2026-01-01").lines == ["2026-01-01T03:00:00+01:00"]


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (
            ("* * * * *", "--timezone", "Europe/Berln"),
            "--timezone: 'Europe/Berln' is not an IANA time zone, did you mean",
        ),
        (
            ("* * * * *", "--timezone", "Europe/Berlin", "--gap", "shft"),
            "--gap: 'shft' is not one of shift, end, skip, did",
        ),
        (("* * * * *", "--timezone", "Europe/Berlin", "--repeat", "2"), "--repeat: '2' is not one of first, both"),
        (("* * * * *", "--gap", "end"), "--gap needs --timezone"),
        (("every 5m", "--timezone", "Europe/Berlin", "--gap", "end"), "--gap: an interval does not depend on DST"),
        (
            ("{cron: 0 3 * * *, timezone: Asia/Tokyo}", "--timezone", "UTC"),
            "the schedule sets its own time zone, Asia/Tokyo",
        ),
        (("{cron: 0 3 * * *, timezon: Asia/Tokyo}",), "timezon: unknown key, did you mean timezone?"),
        (("{cron: 0 3",), "cannot parse"),
        (("{}",), "one of cron, every and monthly is required, not none"),
    ],
)
def test_a_zone_that_cannot_be_meant_ends_with_2(words: tuple[str, ...], reported: str) -> None:
    output = invoke("next", *words)

    assert (output.code, output.stdout) == (2, "")
    assert reported in output.stderr


@pytest.mark.usefixtures("_jobs")
def test_a_job_is_reported_on_the_clock_of_its_own_zone() -> None:
    output = invoke("next", "backup", "--count", "2", "--from", "2026-03-28")

    assert output.lines == ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00"]


@pytest.mark.usefixtures("_jobs")
def test_a_job_is_not_moved_to_another_zone() -> None:
    output = invoke("next", "checkout-api", "--timezone", "Europe/Berlin")

    assert (output.code, output.stdout) == (2, "")
    assert "--timezone applies to an expression without a time zone: checkout-api is a job" in output.stderr


def test_a_terminal_shows_utc_and_the_zones_clock() -> None:
    output = invoke(
        "next", "0 30 4 * * *", "--timezone", "Asia/Tokyo", "--count", "1", "--from", "2024-07-01", terminal=True
    )

    assert "Asia/Tokyo" in output.stdout
    assert any("2024-07-01 04:30:00 JST" in line and "2024-06-30T19:30:00Z" in line for line in output.lines)


def test_the_end_of_the_calendar_is_no_error_on_a_zones_clock() -> None:
    output = invoke("next", "every 5h", "--timezone", "Asia/Tokyo", "--from", "9999-12-31T18:00:00Z")

    assert output.code == 0
    assert [line[:4] for line in output.lines] == ["9999"]


@pytest.fixture
def _depending(job_folder: Path) -> None:
    check = {"check": {"url": "http://127.0.0.1:9/"}}
    database = {"job": "database", "within": "5m"}
    write_jobs(
        job_folder,
        database=check | {"schedule": "0 */5 * * * *"},
        report=check | {"depends_on": ["database", {"job": "mail", "condition": "finished"}]},
        mail=check | {"schedule": "0 */5 * * * *", "depends_on": [database]},
    )


@pytest.mark.usefixtures("_depending")
def test_a_job_without_a_schedule_reports_after_which_jobs_it_runs() -> None:
    output = invoke("next", "report")

    assert (output.code, output.stdout) == (0, "")
    assert output.stderr == "report has no schedule: it runs after database, mail (finished)\n"
    reported = json.loads(invoke("next", "report", "--json").stdout)
    assert reported["next"] == []
    assert [one["job"] for one in reported["depends_on"]] == ["database", "mail"]


@pytest.mark.usefixtures("_depending")
def test_a_scheduled_job_reports_what_it_is_queried_before_it_runs() -> None:
    output = invoke("next", "mail", "--count", "1", "--from", "2024-01-01")

    assert output.lines == ["2024-01-01T00:05:00Z"]
    assert output.stderr == "mail runs only if its dependencies are met: database (within 5m)\n"
