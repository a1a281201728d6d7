"""The commonest slips in a job file get the form that was meant: file, line, key, what is wrong, what to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.documents.yaml_text import parse_yaml
from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from tests.parts.timing import computes_below

URL = "https://shop.internal/health"


def problems(folder: Path, text: str, name: str = "shop.yaml") -> list[str]:
    (folder / name).write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        JobFileReader(folder).read(folder / name)
    return str(refused.value).splitlines()


def of_job(folder: Path, line: str) -> str:
    (problem,) = problems(folder, f"jobs:\n  shop:\n    check: {{url: {URL}}}\n    {line}\n")
    assert problem.startswith("shop.yaml:4: ")
    return problem.removeprefix("shop.yaml:4: ")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("retry: 3", "jobs.shop.retry: 3 is not a mapping of keys to values; write retry: {attempts: 3}"),
        ("retry: false", "write retry: {attempts: 1}"),
        ("retry: [1s, 5s]", "write retry: {delays: [1s, 5s]}"),
        ("timeout: 10", "jobs.shop.timeout: 10 is not a mapping of keys to values; write timeout: {attempt: 10s}"),
        ("timeout: 5s", "write timeout: {attempt: 5s}"),
        ("circuit: 5", "write circuit: {consecutive_failures: 5}"),
        ("catch_up: last", "write catch_up: {policy: last}"),
        ("concurrency_group: 3", "write concurrency_group: {name: NAME, limit: 3}"),
        ("tags: [a, 'team:payments']", 'write tags: {a: "true", team: payments}'),
        ("tags: payments", 'write tags: {payments: "true"}'),
        ("depends_on: database", "jobs.shop.depends_on: 'database' is not a list; write depends_on: [database]"),
        ("depends_on: {a: failed}", "write depends_on: [{job: a, condition: failed}]"),
        ("expect: {status: 200}", "jobs.shop.expect: a mapping is not a list; write expect: [{status: 200}]"),
        ("expect: {status: 200, body_contains: ok}", "write expect: [{status: 200}, {body_contains: ok}]"),
        ("expect: {json: $.status, equals: ok}", "write expect: [{json: $.status, equals: ok}]"),
        ("expect: 200", "write expect: [{status: 200}]"),
        ("expect: status == 200", "write expect: [{status: 200}]"),
        (
            "expect: [status == 200]",
            "jobs.shop.expect[0]: 'status == 200' is not a mapping of keys to values; write {st",
        ),
        ("expect: ['[STATUS] == 200']", "write {status: 200}"),
        ("expect: ['[STATUS] < 300']", "write {status: 100-299}"),
        ("expect: ['[STATUS] == any(200, 429)']", "write {status: [200, 429]}"),
        ("expect: ['[RESPONSE_TIME] < 300']", "write {response_time_below: 300ms}"),
        ("expect: ['[BODY].status == UP']", "write {json: $.status, equals: UP}"),
        ("expect: ['[CERTIFICATE_EXPIRATION] > 48h']", "write {certificate_valid_for: 48h}"),
        ("expect: [something else]", "write a mapping, such as {status: 200}"),
        ("schedule: 60", "jobs.shop.schedule: 60 has no unit: write {every: 60s} if seconds are meant"),
        ("schedule: 5m", "jobs.shop.schedule: '5m' is not a supported form: write {every: 5m}"),
        ("schedule: every 5 minutes", "write {every: 5m}"),
        ("schedule: every five minutes", "write {every: 5m}"),
        ("schedule: hourly", "write '@hourly' (in quotes)"),
        ("schedule: daily at 3:30am", "write '0 30 3 * * *'"),
        ("schedule: every monday at 9", "write '0 0 9 * * MON'"),
        ("schedule: {every: 5 minutes}", "every: '5 minutes' is not a duration: write 5m"),
        ("schedule: PT1H30M", "write {every: 1h30m}"),
        ("schedule: rate(5 minutes)", "write {every: 5m}"),
        ("schedule: last friday of the month", "write {monthly: {day: last-friday, at: '00:00'}}"),
        ("schedule: last day of month", "write {monthly: {day: last, at: '00:00'}}"),
        ("schedule: {interval: 5m}", "jobs.shop.schedule: interval: unknown key, did you mean every?"),
        ("schedule: {minutes: 5}", "jobs.shop.schedule: minutes: unknown key: write {every: 5m}"),
        ("schedule: {expression: 0 0 3 * * *}", "expression: unknown key, did you mean cron?"),
        ("schedule: {cron: 0 0 3 * * *, tz: Europe/Berlin}", "tz: unknown key, did you mean timezone?"),
        ("schedule: {monthly: last-fri}", "monthly: a mapping is expected, like {day: last-friday, at: '02:00'}"),
        ("timeout: {attempt: 10 seconds}", "jobs.shop.timeout.attempt: '10 seconds' is not a duration: write 10s"),
        ("expect: [{body: pong}]", "write body: {equals: pong}"),
        ("interval: 60", "jobs.shop.interval: unknown key; write schedule: {every: 60s}"),
        ("every: 5m", "jobs.shop.every: unknown key; write schedule: {every: 5m}"),
        ("cron: 0 */5 * * * *", 'jobs.shop.cron: unknown key; write schedule: "0 */5 * * * *"'),
        ("retries: 3", "jobs.shop.retries: unknown key; write retry: {attempts: 4}, which includes the first attempt"),
        ("conditions: ['[STATUS] == 200']", "jobs.shop.conditions: unknown key; write expect: [{status: 200}]"),
        ("expected_status: 204", "write expect: [{status: 204}]"),
        ("disabled: true", "jobs.shop.disabled: unknown key; write enabled: false"),
        ("timezone: Europe/Berlin", 'write it into the schedule: {cron: "0 */5 * * * *", timezone: Europe/Berlin}'),
        ("timeouts: {attempt: 5s}", "jobs.shop.timeouts: unknown key, did you mean timeout?"),
    ],
)
def test_a_slip_gets_the_form_that_was_meant(line: str, problem: str, tmp_path: Path) -> None:
    assert problem in of_job(tmp_path, line)


@pytest.mark.parametrize(
    ("key", "offer"),
    [
        ("type: http", "write kind: http"),
        ("verify_ssl: false", "write tls: {verify: false}"),
        ("insecure: true", "write tls: {verify: false}"),
        ("follow_redirects: false", "write redirects: 0"),
        ("params: {a: b}", "write query: {a: b}"),
        ("json: {a: 1}", "write body: {json: {a: 1}}"),
        ("interval: 60", "write schedule: {every: 60s}, outside of check"),
    ],
)
def test_a_key_of_another_program_in_a_check_gets_its_place(key: str, offer: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"jobs:\n  shop:\n    check:\n      url: {URL}\n      {key}\n")

    assert problem.startswith("shop.yaml:5: jobs.shop.check.")
    assert problem.endswith(offer)


def test_a_long_row_costs_no_more_than_its_length(tmp_path: Path) -> None:
    with computes_below(2):
        problems(tmp_path, f"jobs: *{'a' * 300_000} {'b' * 300_000}")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("schedule: */5 * * * *", 'a text that begins with * must be in quotes; write schedule: "*/5 * * * *"'),
        ("schedule: * * * * *  # each minute", 'must be in quotes; write schedule: "* * * * *"'),
        ("schedule: {cron: */5 * * * *, timezone: Europe/Berlin}", 'must be in quotes; write cron: "*/5 * * * *"'),
        ("schedule: @hourly", 'a text that begins with @ must be in quotes; write schedule: "@hourly"'),
        ("schedule: %HealthSchedule%", 'must be in quotes; write schedule: "%HealthSchedule%"'),
        ("schedule: [*/5 * * * *, '@hourly']", 'must be in quotes; write "*/5 * * * *"'),
        ("schedule: ['@hourly', */5 * * * *]", 'must be in quotes; write "*/5 * * * *"'),
        ("- */5 * * * *", 'must be in quotes; write - "*/5 * * * *"'),
        ("expect: [STATUS] == 200", 'a text that begins with [ must be in quotes; write expect: "[STATUS] == 200"'),
    ],
)
def test_a_text_that_yaml_reads_in_quotes_alone_is_shown_so(line: str, problem: str, tmp_path: Path) -> None:
    assert problem in of_job(tmp_path, line)


def test_an_alias_that_is_not_defined_is_not_counted_as_a_text_without_quotes(tmp_path: Path) -> None:
    assert "*usual names no anchor &usual" in of_job(tmp_path, "retry: *usual")


def test_a_cron_that_begins_with_a_number_needs_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"jobs: {{a: {{schedule: 0 */5 * * * *, check: {{url: '{URL}'}}}}}}")

    assert len(JobFileReader(tmp_path).read(tmp_path)) == 1


def test_a_check_that_is_a_url_alone_gets_its_mapping(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"jobs:\n  shop:\n    check: {URL}\n")

    assert problem.endswith(f"write check: {{url: {URL}}}")
    assert problem.startswith("shop.yaml:3: jobs.shop.check: ")


def test_a_url_next_to_keys_of_the_full_form_is_one_problem(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"jobs:\n  shop:\n    url: {URL}\n    timeout: {{attempt: 5s}}\n")

    assert problem == (f"shop.yaml:3: jobs.shop.url: unknown key, did you mean check.url? write check: {{url: {URL}}}")


def test_a_key_of_the_job_inside_of_its_check_is_sent_one_level_up(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"jobs:\n  shop:\n    check:\n      url: {URL}\n      timeout: 5s\n")

    where, _, hint = problem.partition("; ")
    assert where == "shop.yaml:5: jobs.shop.check.timeout: unknown key in check"
    assert hint == "move timeout out of check: it is a key of the job"


def test_a_key_of_the_job_inside_of_a_step_is_sent_to_the_job(tmp_path: Path) -> None:
    step = f"{{name: a, url: '{URL}', retry: {{attempts: 2}}}}"
    (problem,) = problems(tmp_path, f"jobs:\n  shop:\n    check: {{kind: steps, steps: [{step}]}}\n")

    assert problem.endswith("steps[0].retry: unknown key in check; move retry out of check: it is a key of the job")


def test_slips_in_the_defaults_are_answered_there(tmp_path: Path) -> None:
    text = f"defaults:\n  retry: 3\n  interval: 60\njobs:\n  shop:\n    check: {{url: {URL}}}\n"

    assert problems(tmp_path, text) == [
        "shop.yaml:2: defaults.retry: 3 is not a mapping of keys to values; write retry: {attempts: 3}",
        "shop.yaml:3: defaults.interval: unknown key; write schedule: {every: 60s}",
    ]


def test_a_list_of_jobs_under_the_name_of_another_program_is_shown_its_own(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"endpoints:\n  - name: shop\n    url: {URL}\n")

    assert problem == "shop.yaml:1: endpoints: unknown key; write jobs: in its place, and a check in each job"


def test_slips_in_the_flat_form_keep_the_job_in_the_flat_form(tmp_path: Path) -> None:
    job = {"JobName": "shop", "Endpoint": URL, "retry": 3, "expect": [{"status": 200}], "timeout": "10s"}
    found = problems(tmp_path, json.dumps({"shop": job}, indent=1), "shop.json")

    assert found == [
        "shop.json:5: shop.retry: unknown key, did you mean RetryCount?",
        "shop.json:6: shop.expect: unknown key; write ExpectedStatus, BodyContains or MaxResponseTimeMs",
        "shop.json:11: shop.timeout: '10s' is not a number; write the number without a unit",
    ]


def test_a_flat_job_in_lower_case_may_have_a_timeout_in_seconds(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"shop": {"jobname": "shop", "endpoint": URL, "timeout": 7}}))

    (job,) = JobFileReader(tmp_path).read(tmp_path)

    assert job.timeout.attempt == 7


def test_a_heartbeat_with_both_period_and_schedule_reports_it(tmp_path: Path) -> None:
    check = '{kind: heartbeat, token: {secret: backup}, period: 5m, schedule: "0 0 * * * *"}'
    (problem,) = problems(tmp_path, f"jobs:\n  backup:\n    check: {check}\n")

    assert problem.startswith("shop.yaml:3: jobs.backup.check: has both period and schedule: use period if ")


def test_slips_in_json_are_answered_alike(tmp_path: Path) -> None:
    job: dict[str, Any] = {"check": {"url": URL}, "retry": 3, "timeout": 10, "expect": {"status": 200}}
    found = problems(tmp_path, json.dumps({"jobs": {"shop": job}}, indent=1), "shop.json")

    assert sorted(one.rpartition("; ")[2] for one in found) == [
        'write "expect": [{"status": 200}]',
        'write "retry": {"attempts": 3}',
        'write "timeout": {"attempt": "10s"}',
    ]


@pytest.mark.parametrize(
    "line",
    ["retry: nope", "timeout: soon", "tags: 5", "depends_on: 5", "expect: true", "circuit: x", "interval: soon"],
)
def test_nothing_is_offered_for_what_no_one_can_report(line: str, tmp_path: Path) -> None:
    assert "write" not in of_job(tmp_path, line)


@pytest.mark.parametrize("line", ["auth: hunter2", "token: [hunter2]", "password: hunter2"])
def test_an_offer_never_repeats_what_may_be_secret(line: str, tmp_path: Path) -> None:
    found = problems(tmp_path, f"jobs:\n  shop:\n    check:\n      url: {URL}\n      {line}\n")

    assert "hunter2" not in str([one for one in found if "auth" not in line or "write" in one])


CLEAR = [
    "retry: 3",
    "timeout: 10",
    "circuit: 5",
    "catch_up: last",
    "tags: [a]",
    "expect: {status: 200}",
    "expect: status == 200",
    "interval: 60",
    "conditions: ['[RESPONSE_TIME] < 300', '[BODY].a.b == 5']",
    "schedule: 5m",
]


def test_what_is_offered_can_be_read(tmp_path: Path) -> None:
    """Each offer, put in the place of the slip, makes a file that loads."""
    for number, line in enumerate(CLEAR):
        offer = of_job(tmp_path, line).rpartition("write ")[2]
        written = f"schedule: {offer}" if offer.startswith("{every") else offer
        file = tmp_path / "good" / f"{number}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"jobs:\n  shop:\n    check: {{url: {URL}}}\n    {written}\n")
        assert parse_yaml(file.read_text()).value is not None
        assert len(JobFileReader(tmp_path).read(file)) == 1
