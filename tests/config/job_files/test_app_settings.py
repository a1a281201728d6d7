"""`%NAME%` in a job's schedule is an app setting, as in the schedule of a Functions timer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from config.loading import load_configuration
from jobs.definition import JobDefinition
from jobs.targets import HeartbeatTarget
from tests.project import ROOT

URL = "https://shop.internal/health"


def load(folder: Path, text: str, environ: Mapping[str, str], name: str = "shop.yaml") -> JobDefinition:
    (folder / name).write_text(text)
    (job,) = JobFileReader(folder, environ).read(folder / name)
    return job


def job(schedule: str) -> str:
    return f"jobs:\n  shop:\n    schedule: {schedule}\n    check: {{url: {URL}}}\n"


def problem(folder: Path, text: str, environ: Mapping[str, str], name: str = "shop.yaml") -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(folder, text, environ, name)
    return str(refused.value)


@pytest.mark.parametrize(
    ("schedule", "environ", "text"),
    [
        ('"%HealthSchedule%"', {"HealthSchedule": "0 */5 * * * *"}, "0 */5 * * * *"),
        ('"%healthschedule%"', {"HealthSchedule": " 00:05:00 "}, "every 5m"),
        ('"%HealthSchedule%"', {"HEALTHSCHEDULE": "@hourly"}, "@hourly"),
        ('"%Timers:Health%"', {"Timers__Health": "*/10 * * * * *"}, "*/10 * * * * *"),
        ('"0 */%Minutes% * * * *"', {"Minutes": "5"}, "0 */5 * * * *"),
        ('{every: "%Every%"}', {"Every": "5m"}, "every 5m"),
        ('{cron: "%S%", timezone: "%Z%"}', {"S": "0 0 3 * * *", "Z": "Europe/Berlin"}, "0 0 3 * * * Europe/Berlin"),
        (
            '"%S%"',
            {"S": '{monthly: {day: last, at: "02:00"}, timezone: Europe/Berlin}'},
            "monthly last at 02:00 Europe/Berlin",
        ),
        ('["%S%", {every: 6h}]', {"S": "0 0 9 * * *"}, "0 0 9 * * *; every 6h"),
    ],
)
def test_a_schedule_is_accepted_from_the_app_settings(
    schedule: str, environ: dict[str, str], text: str, tmp_path: Path
) -> None:
    found = load(tmp_path, job(schedule), environ).schedule

    assert found is not None
    assert found.text == text


def test_the_flat_form_takes_it_as_well(tmp_path: Path) -> None:
    flat = {"JobName": "shop", "Endpoint": URL, "Schedule": "%HealthSchedule%", "TimeZone": "%Zone%"}
    environ = {"HealthSchedule": "0 0 3 * * *", "Zone": "Europe/Berlin"}

    found = load(tmp_path, json.dumps({"shop": flat}), environ, "shop.json").schedule

    assert found is not None
    assert found.text == "0 0 3 * * * Europe/Berlin"


def test_defaults_and_the_schedule_of_a_heartbeat_take_it_as_well(tmp_path: Path) -> None:
    check = '{kind: heartbeat, token: {secret: t}, schedule: "%Pings%"}'
    text = f'defaults: {{schedule: "%Often%"}}\njobs:\n  backup:\n    check: {check}'
    found = load(tmp_path, text, {"Often": "every 1m", "Pings": "0 0 3 * * *"})

    assert isinstance(found.check, HeartbeatTarget)
    assert found.check.schedule is not None
    assert (found.runs_when, found.check.schedule.text) == ("every 1m", "0 0 3 * * *")


def test_what_else_is_wrong_with_the_job_is_reported_too(tmp_path: Path) -> None:
    found = problem(tmp_path, job('"%HealthSchedule%"') + "    retry: {attempts: 99}\n", {})

    assert len(found.splitlines()) == 2
    assert "retry.attempts: 99 is too large" in found


def test_a_missing_setting_is_a_problem_that_names_the_variable(tmp_path: Path) -> None:
    assert problem(tmp_path, job('"%HealthSchedule%"'), {"HealthSchedul": "x"}) == (
        "shop.yaml:3: jobs.shop.schedule: the app setting HealthSchedule is not set; set the variable HealthSchedule, "
        "or write the name of the variable that is set: HealthSchedul"
    )
    flat = {"JobName": "shop", "Endpoint": URL, "Schedule": "%Timers:Health%"}
    assert problem(tmp_path, json.dumps({"shop": flat}), {}, "shop.json") == (
        "shop.json:1: shop.Schedule: the app setting Timers:Health is not set; set the variable Timers__Health"
    )


def test_a_wrong_value_is_reported_with_the_setting_from_which_it_comes(tmp_path: Path) -> None:
    found = problem(tmp_path, job('"%HealthSchedule%"'), {"HealthSchedule": "0 0 25 * * *"})

    assert found == (
        "shop.yaml:3: jobs.shop.schedule: hour: 25 is out of range 0-23 in '0 0 25 * * *'; the value comes from the "
        "app setting HealthSchedule"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AzureWebJobsStorage", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2=="),
        ("SCHEDULER_SECRET_CHECKOUT", "hunter2"),
        ("ApiToken", "0 0 hunter2 * * *"),
        ("Plain", "hunter2"),
        ("Plain", "hunter2hunter2 hunter2"),
        ("Plain", '{"password": "hunter2"}'),
        ("Plain", '{"cron": "0 0 * * *", "password": "hunter2"}'),
        ("Plain", ""),
    ],
)
def test_a_value_that_is_no_schedule_is_never_repeated(name: str, value: str, tmp_path: Path) -> None:
    found = problem(tmp_path, job(f'"%{name}%"'), {name: value})

    assert "hunter2" not in found
    assert name in found


@pytest.mark.parametrize("text", ['"%%"', '"% Health %"', '"100%"'])
def test_a_percent_sign_that_names_nothing_is_no_reference(text: str, tmp_path: Path) -> None:
    assert "app setting" not in problem(tmp_path, job(text), {})


def test_other_places_retain_their_percent_signs(tmp_path: Path) -> None:
    text = f'jobs:\n  shop:\n    description: "%Health%"\n    check: {{url: "{URL}?q=%C3%A4%20b"}}\n'

    found = load(tmp_path, text, {})

    assert found.description == "%Health%"
    assert found.check.url == f"{URL}?q=%C3%A4%20b"  # type: ignore[union-attr]


def test_the_configuration_resolves_from_its_own_variables(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(job('"%HealthSchedule%"'))
    environ = {"SCHEDULER_JOBS": str(tmp_path), "HealthSchedule": "0 */5 * * * *"}

    found = load_configuration(environ, root=ROOT).jobs.jobs["shop"].schedule

    assert found is not None
    assert found.text == "0 */5 * * * *"
