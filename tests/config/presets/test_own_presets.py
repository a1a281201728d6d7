"""Jobs made of presets that users put beside their job files, on kind http."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from config.errors import ConfigurationError
from config.job_files.job_set import JobSet
from config.job_files.reader import JobFileReader
from config.presets.preset import Parameter
from config.stored_jobs import LocatedStoredJob, StoredJobDefiner, read_written_jobs
from jobs.definition import JobDefinition
from scheduler.features.jobs.definitions import written_definition

SITE = """\
description: The start page of a site
minimum_interval: 30s
parameters:
  host: {description: host name, example: shop.example.com}
  limit: {description: time for the page, example: 1s, type: duration, default: null}
job:
  description: Start page of <<host>>
  schedule: every 1m
  check: {url: "https://<<host>>/", headers: {Accept: text/html}}
  expect:
    - {status: 200}
    - {response_time_below: <<limit>>}
"""

Load = Callable[..., JobSet]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(jobs: str, presets: Mapping[str, str] | None = None) -> JobSet:
        folder = tmp_path / "jobs"
        (folder / "presets").mkdir(parents=True, exist_ok=True)
        for name, text in ({"site.yaml": SITE} if presets is None else presets).items():
            (folder / "presets" / name).write_text(text)
        (folder / "jobs.yaml").write_text(jobs)
        return JobFileReader(tmp_path).read(folder)

    return load


def problems_of(load: Load, jobs: str, presets: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load(jobs, presets)
    return "\n".join(map(str, raised.value.problems))


def test_a_job_is_its_preset_with_the_values_of_its_parameters(load: Load) -> None:
    job = load("jobs: {web: {preset: site, with: {host: a.example.com, limit: 200ms}}}").jobs["web"]
    spelled = JobDefinition.model_validate(
        {
            "name": "web",
            "description": "Start page of a.example.com",
            "schedule": "every 1m",
            "check": {"url": "https://a.example.com/", "headers": {"Accept": "text/html"}},
            "expect": [{"status": 200}, {"response_time_below": "200ms"}],
        }
    )
    assert job.generation() == spelled.generation()
    assert job.to_json()["preset"] == {"name": "site", "with": {"host": "a.example.com", "limit": "200ms"}}


def test_an_entry_whose_optional_parameter_has_no_value_is_left_out(load: Load) -> None:
    job = load("jobs: {web: {preset: site, with: {host: a.example.com}}}").jobs["web"]
    assert len(job.expect) == 1


def test_keys_of_the_job_override_the_preset_and_that_overrides_the_defaults_of_the_file(load: Load) -> None:
    job = load(
        "defaults: {schedule: every 2m, retry: {attempts: 2}, check: {headers: {X-Team: a}}}\n"
        "jobs: {web: {preset: site, with: {host: a.example.com}, check: {method: HEAD}, expect: []}}"
    ).jobs["web"]
    assert job.schedule is not None
    assert job.schedule.text == "every 1m"
    assert job.retry.attempts == 2
    assert job.to_json()["check"]["method"] == "HEAD"
    assert dict(job.to_json()["check"]["headers"]) == {"X-Team": "a", "Accept": "text/html"}
    assert job.expect == ()


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("{preset: sitee}", "jobs.yaml:1: jobs.web.preset: unknown preset, did you mean site?"),
        ("{preset: site}", "the preset site needs the parameter host: host name; write with: {host: 'shop"),
        (
            "{preset: site, with: {host: a, zz: 1}}",
            "unknown parameter of the preset site; known parameters: host, limit",
        ),
        ("{preset: site, with: {host: a, limt: 1s}}", "jobs.web.with.limt: unknown parameter of the preset site, did"),
        ("{preset: site, with: {host: a/../b}}", "jobs.web.with.host: 'a/../b' does not match"),
        ("{preset: site, with: {host: 7}}", "jobs.web.with.host: expected a text, not 7 (put it in quotes)"),
        ("{preset: site, with: {host: a, limit: soon}}", "jobs.web.with.limit: expected a duration such as 15m"),
        ("{preset: site, with: [host]}", "jobs.web.with: is not a mapping of values by parameter"),
        ("{preset: site, with: {host: a}, check: {methd: GET}}", "jobs.web.check.methd: unknown key, did you mean"),
        ("{preset: site, with: {host: a}, schedule: every 10s}", "the preset site allows one run in 30s"),
        (
            "{preset: site, with: {host: a}, schedule: ['0 0 12 * * *', '0 0 3 6 1 *', '10 0 3 6 1 *']}",
            "runs every 10s, and the preset site allows one run in 30s",
        ),
        ("{check: {url: 'https://a/'}, with: {host: a}}", "jobs.web.with: unknown key"),
    ],
)
def test_a_wrong_use_of_a_preset_names_the_key_of_the_job(load: Load, job: str, message: str) -> None:
    assert message in problems_of(load, f"jobs: {{web: {job}}}")


def test_a_value_cannot_add_keys_or_entries(load: Load) -> None:
    wide = SITE.replace("example: shop.example.com}", "example: a, pattern: '.*'}").replace("https://", "https://a/")
    job = load("""jobs: {web: {preset: site, with: {host: 'x", method: DELETE, y: "'}}}""", {"site.yaml": wide})
    assert job.jobs["web"].to_json()["check"]["method"] == "GET"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<<host>>/", "<<hots>>/"), "uses <<hots>>: unknown parameter, did you mean host?"),
        (("{status: 200}", "{stauts: 200}"), "site.yaml:11: job.expect[0].stauts: unknown key, did you mean status?"),
        (("description: The", "descripton: The"), "descripton: unknown key, did you mean description?"),
        (("example: shop.example.com", "example: a/b"), "example: 'a/b' does not match"),
        (("  limit: {", "  other: {description: a, example: a}\n  limit: {"), "nothing uses the parameter other"),
        (
            ("example: shop.example.com", "example: a, pattern: '((a{1000}){1000}){1000}'"),
            "host.pattern: '((a{1000}){1000}){1000}' is too large",
        ),
        (("Start page of <<host>>", "<<host>>" * 300), "has 302 placeholders: use at most 200"),
        (("example: shop.example.com", "example: a, pattern: '(a'"), "host.pattern: '(a' is not a regular expression"),
        (
            ("example: shop.example.com", f"example: {'a' * 60}, pattern: '(a|aa)+b'"),
            "its pattern (a|aa)+b takes too long",
        ),
        (
            ("host name, example: shop.example.com", "host name, type: texts, example: [shop]"),
            "job.description has the list <<host>> within a text: write it as the whole text",
        ),
    ],
)
def test_a_mistake_in_a_preset_is_found_without_a_job(load: Load, change: tuple[str, str], message: str) -> None:
    assert message in problems_of(load, "jobs: {}", {"site.yaml": SITE.replace(*change)})


def test_a_folder_of_presets_that_cannot_be_listed_is_a_problem(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load("jobs: {}")
    monkeypatch.setattr(Path, "iterdir", lambda folder: _refuse() if folder.name == "presets" else iter(()))
    assert "jobs/presets: cannot be listed: permission denied" in problems_of(load, "jobs: {}")


def _refuse() -> NoReturn:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_presets_beyond_the_maximum_are_not_read(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.presets.library.MAX_OWN_PRESETS", 2)
    read: list[str] = []

    def read_file(path: Path, shown: str) -> bytes:
        read.append(path.name)
        return path.read_bytes()

    monkeypatch.setattr("config.job_files.reader.read_file", read_file)
    text = problems_of(load, "jobs: {}", {f"{name}.yaml": SITE for name in "abcdef"})
    assert "presets/c.yaml: is one of more than 2 presets; remove some" in text
    assert read == ["a.yaml", "b.yaml", "c.yaml", "jobs.yaml"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "7", True])
def test_a_number_is_finite(value: object) -> None:
    assert Parameter(description="a", example=1, type="number").find_mistake(value).startswith("expected a number")


def test_a_preset_with_a_name_of_the_product_is_refused(load: Load) -> None:
    text = problems_of(load, "jobs: {}", {"budget.yaml": SITE})
    assert "presets/budget.yaml: the scheduler has a preset budget itself; rename the file" in text


def test_a_changed_preset_changes_its_jobs_when_the_files_are_read_again(load: Load) -> None:
    jobs = "jobs: {web: {preset: site, with: {host: a.example.com}}}"
    before = load(jobs)
    after = load(jobs, {"site.yaml": SITE.replace("every 1m", "every 5m")})
    assert before.digest != after.digest
    assert after.jobs["web"].schedule != before.jobs["web"].schedule


def test_a_stored_job_is_made_of_the_presets_beside_the_job_files(load: Load) -> None:
    definer = StoredJobDefiner(None, {}, load("jobs: {}").presets)
    located = definer.define("web", {"preset": "site", "with": {"host": "a.example.com"}})
    assert isinstance(located, LocatedStoredJob)
    assert located.job.preset is not None
    assert isinstance(definer.define("web", {"preset": "budgt"}), tuple)


def test_an_export_is_what_the_user_wrote(load: Load) -> None:
    job = load("jobs: {web: {preset: site, with: {host: a.example.com}, tags: {team: a}}}").jobs["web"]
    assert written_definition(job) == {"preset": "site", "with": {"host": "a.example.com"}, "tags": {"team": "a"}}


def test_an_expanded_definition_of_the_api_reads_as_the_same_job(load: Load) -> None:
    job = load("jobs: {web: {preset: site, with: {host: a.example.com}}}").jobs["web"]
    located = StoredJobDefiner(None, {}).define("web", job.to_json())
    assert isinstance(located, LocatedStoredJob)
    assert located.job.to_json() == job.to_json()


def test_defaults_of_a_document_leave_the_preset_of_a_stored_job_as_it_is(load: Load) -> None:
    presets = load("jobs: {}").presets
    use = {"preset": "site", "with": {"host": "a.example.com"}}
    document = {"defaults": {"schedule": "every 2m", "overlap": "allow"}, "jobs": {"web": use}}
    written = read_written_jobs(document, presets=presets)
    assert written.definitions["web"] == {**use, "overlap": "allow"}
