"""Warnings about jobs: where they stand in a file, and those that files, secrets and folders show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trustme

from config import warnings
from config.errors import ConfigurationError, format_warning
from config.job_files.reader import JobFile, JobFileReader, JobSet
from config.settings.model import Settings
from config.warnings import warnings_of_unusable_files, warnings_of_unusable_secrets
from jobs.checks.net.tls_contexts import CaFiles
from jobs.problems import Problem
from jobs.schedules import parse_schedule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "jobs"
    path.mkdir()
    return path


def read(folder: Path, **more: Any) -> JobSet:
    return JobFileReader(folder.parent).read(folder, **more)


def texts(jobs: JobSet) -> list[str]:
    return [format_warning(warning) for warning in jobs.warnings]


# --- Places -----------------------------------------------------------------------------------------------------------


def test_a_warning_stands_at_the_key_in_the_full_form(folder: Path) -> None:
    (folder / "a.yaml").write_text("jobs:\n  a:\n    schedule: 0 0 22-2 * * *\n    check: {url: https://a.example/}\n")
    (warning,) = texts(read(folder))
    assert warning.startswith("jobs/a.yaml:3: warning: jobs.a.schedule: hour: '22-2' is a reversed range")


def test_a_warning_stands_at_the_key_in_the_flat_form(folder: Path) -> None:
    job = {
        "Endpoint": "https://a.example/",
        "CronExpression": "0 0 0 30 2 *",
        "Headers": {"X-Api-Key": "hunter2hunter2"},
    }
    (folder / "a.json").write_text(json.dumps({"a": job}, indent=1))
    schedule, header = texts(read(folder))
    assert schedule.startswith("jobs/a.json:4: warning: a.CronExpression: is never due")
    assert header.startswith(
        "jobs/a.json:6: warning: a.Headers.X-Api-Key: contains the credential X-Api-Key as plain text"
    )


def test_a_warning_about_a_default_stands_there_once(folder: Path) -> None:
    (folder / "a.yaml").write_text(
        "defaults:\n  schedule: '*/0 * * * * *'\njobs:\n"
        "  a: {check: {url: 'https://a.example/'}}\n  b: {check: {url: 'https://b.example/'}}\n"
    )
    (warning,) = texts(read(folder))
    assert warning.startswith("jobs/a.yaml:2: warning: defaults.schedule: second: '*/0' has a step of 0")


def test_a_refusal_is_a_problem_at_the_flat_key(folder: Path) -> None:
    job = {"url": "http://a.example/", "AuthType": "bearer", "TokenSecretName": "t"}
    (folder / "a.json").write_text(json.dumps({"a": job}))
    with pytest.raises(ConfigurationError, match=r"jobs/a\.json:1: a\.url: sends secrets over plain http"):
        read(folder)
    (folder / "a.json").write_text(json.dumps({"a": {**job, "allow_plain_http": "true"}}))
    assert read(folder).jobs["a"].check.allow_plain_http is True


def test_warnings_come_with_the_problems_of_other_jobs(folder: Path) -> None:
    (folder / "a.yaml").write_text("jobs: {a: {schedule: '*/0 * * * * *', check: {url: 'https://a.example/'}}}")
    (folder / "b.yaml").write_text("jobs: {b: {chek: {}}}")
    with pytest.raises(ConfigurationError) as caught:
        read(folder)
    assert [problem.file for problem in caught.value.problems] == ["jobs/b.yaml"]
    assert [warning.file for warning in caught.value.warnings] == ["jobs/a.yaml"]


def test_reading_again_gives_the_same_warnings_of_files_that_stay(folder: Path) -> None:
    (folder / "a.yaml").write_text("jobs: {a: {schedule: '*/0 * * * * *', check: {url: 'https://a.example/'}}}")
    reader = JobFileReader(folder.parent)
    assert reader.read(folder).warnings == reader.read(folder).warnings != ()


# --- The first generation's file --------------------------------------------------------------------------------------

FIRST_GENERATION = {
    name: {
        "JobName": name,
        "Endpoint": "https://api.example.com/health",
        "HttpMethod": "GET",
        "AuthType": auth,
        "TimeoutSeconds": 10,
    }
    for name, auth in (("databaseHealth", "none"), ("externalApiHealth", "bearer"))
}
MANAGED = {**FIRST_GENERATION["databaseHealth"], "JobName": "containerAppHealth", "AuthType": "managedidentity"}


def test_the_whole_set_of_the_first_generation_loads_as_it_is(folder: Path) -> None:
    jobs = {**FIRST_GENERATION, "containerAppHealth": {**MANAGED, "Scope": "api://app/.default"}}
    (folder / "jobs.json").write_text(json.dumps(jobs, indent=1))
    found = read(folder, default_schedule=parse_schedule("0 * * * * *"))
    assert list(found.jobs) == ["databaseHealth", "externalApiHealth", "containerAppHealth"]
    (warning,) = texts(found)
    assert warning.startswith("jobs/jobs.json:13: warning: externalApiHealth.AuthType: bearer names no secret, so")
    assert "external-api-health-token" in warning


# --- The default schedule ---------------------------------------------------------------------------------------------


def test_a_flat_job_without_a_schedule_has_the_default_and_reports_it(folder: Path) -> None:
    (folder / "jobs.json").write_text(json.dumps(FIRST_GENERATION))
    (first, *_) = read(folder, default_schedule=parse_schedule("0 * * * * *"))
    assert first.schedule is not None
    assert first.schedule.text == "0 * * * * * (default_schedule)"
    assert first.schedule.spec == "0 * * * * *"
    assert first.runs_when == "0 * * * * * (default_schedule)"


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("jobs: {a: {check: {url: 'https://a.example/'}}}", None),
        (
            "jobs: {a: {depends_on: [b], check: {url: 'https://a.example/'}}, b: {check: {url: 'https://a.example/'}}}",
            None,
        ),
        ("a: {Endpoint: 'https://a.example/', IntervalSeconds: 30}", "every 30s"),
        ("a: {Endpoint: 'https://a.example/', Schedule: '0 0 3 * * *'}", "0 0 3 * * *"),
    ],
)
def test_every_other_job_runs_as_it_defines(text: str, schedule: str | None, folder: Path) -> None:
    (folder / "a.yaml").write_text(text)
    found = read(folder, default_schedule=parse_schedule("0 * * * * *")).jobs["a"].schedule
    assert (None if found is None else found.text) == schedule


def test_an_empty_schedule_of_a_flat_job_counts_as_none(folder: Path) -> None:
    (folder / "a.yaml").write_text("a: {Endpoint: 'https://a.example/', Schedule: ''}")
    found = read(folder, default_schedule=parse_schedule("every 5m")).jobs["a"]
    assert found.runs_when == "every 5m (default_schedule)"


def test_each_job_has_its_own_jitter_of_a_default_schedule(folder: Path) -> None:
    (folder / "jobs.json").write_text(json.dumps(FIRST_GENERATION))
    found = list(read(folder, default_schedule=parse_schedule({"every": "1m", "jitter": "50s"})))
    assert len({job.schedule.next_after_ms(0) for job in found if job.schedule is not None}) == 2


def test_another_default_schedule_holds_at_the_next_reading(folder: Path) -> None:
    (folder / "jobs.json").write_text(json.dumps(FIRST_GENERATION))
    reader = JobFileReader(folder.parent)
    reader.read(folder, default_schedule=parse_schedule("every 5m"))
    assert reader.read(folder).jobs["databaseHealth"].schedule is None


# --- The folder -------------------------------------------------------------------------------------------------------


def test_a_folder_without_any_job_is_warned_of(folder: Path) -> None:
    (folder / "notes.txt").write_text("no jobs")
    assert texts(read(folder)) == [
        "jobs: warning: has no job, so nothing is checked; jobs are defined in files *.yaml, *.yml, *.json there"
    ]


def test_files_without_any_job_are_warned_of(folder: Path) -> None:
    (folder / "a.yaml").write_text("jobs: {}\n")
    assert len(texts(read(folder))) == 1
    assert texts(JobFileReader(folder).read(folder / "a.yaml")) == [
        "a.yaml: warning: has no job, so nothing is checked; write jobs: with the jobs below it"
    ]


def test_job_files_in_folders_inside_are_named_as_they_are_not_read(folder: Path) -> None:
    (folder / "a.yaml").write_text("jobs: {a: {check: {url: 'https://a.example/'}}}")
    for name in ("team/b.yaml", "team/deep/c.json", ".hidden/d.yaml", "..data/e.yaml", "team/.f.yaml", "team/g.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("jobs: {b: {check: {url: 'https://a.example/'}}}")
    found = read(folder)
    assert list(found.jobs) == ["a"]
    assert texts(found) == [
        "jobs: warning: jobs/team/b.yaml, jobs/team/deep/c.json are not read, because they are in a folder inside; "
        "move them into the folder itself"
    ]


def test_many_files_in_folders_inside_are_counted(folder: Path) -> None:
    files = [JobFile(f"{number}.yaml", f"team/{number}.yaml", None) for number in range(5)]
    (nested, _) = JobFileReader(folder).parse("https://a.example/jobs", files).warnings
    assert nested.message.startswith("team/0.yaml, team/1.yaml, team/2.yaml and 2 more are not read")
    assert nested.file == "https://a.example/jobs"


def test_the_samples_of_the_program_are_no_files_that_a_user_forgot(tmp_path: Path) -> None:
    samples = tmp_path / "config" / "jobs" / "samples"
    samples.mkdir(parents=True)
    (samples / "a.yaml").write_text("jobs: {}")
    (only,) = JobFileReader(tmp_path).read(tmp_path / "config" / "jobs").warnings
    assert only.message.startswith("has no job")


def test_the_samples_are_recognized_when_the_place_is_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = tmp_path / "config" / "jobs" / "samples"
    samples.mkdir(parents=True)
    (samples / "a.yaml").write_text("jobs: {}")
    monkeypatch.chdir(tmp_path)

    (only,) = JobFileReader(tmp_path).read(Path("config/jobs")).warnings

    assert only.message.startswith("has no job")


# --- Files that jobs name ---------------------------------------------------------------------------------------------


def with_ca(folder: Path, ca_file: str) -> JobSet:
    check = f"{{url: 'https://a.example/', tls: {{ca_file: {ca_file}}}}}"
    (folder / "a.yaml").write_text(f"jobs:\n  a:\n    check: {check}\n  b: {{check: {check}}}\n")
    return read(folder)


def unusable(jobs: JobSet) -> list[Problem]:
    """Of jobs that may be told everything about the disk."""
    return list(warnings_of_unusable_files(jobs, CaFiles(explained=[Path("/")])))


def test_a_ca_file_that_is_missing_is_reported_at_each_key_that_names_it(folder: Path) -> None:
    first, second = map(str, unusable(with_ca(folder, f"{folder}/ca.pem")))
    assert first == (
        f"jobs/a.yaml:3: jobs.a.check.tls.ca_file: the CA file {folder}/ca.pem cannot be used: "
        "no such file or directory; correct the path"
    )
    assert second.startswith("jobs/a.yaml:4: jobs.b.")


def test_a_ca_file_without_a_certificate_is_reported(folder: Path) -> None:
    (folder / "ca.pem").write_text("not a certificate")
    (first, *_) = unusable(with_ca(folder, str(folder / "ca.pem")))
    assert "it contains no certificate in PEM form" in first.message


def test_a_relative_path_is_reported_with_the_folder_that_it_starts_from(folder: Path) -> None:
    (first, *_) = unusable(with_ca(folder, "nowhere/ca.pem"))
    assert first.hint == f"relative paths start from {Path.cwd()}"


def test_a_ca_file_that_can_be_used_has_no_warning(folder: Path) -> None:
    trustme.CA().cert_pem.write_to_path(folder / "ca.pem")
    assert list(unusable(with_ca(folder, str(folder / "ca.pem")))) == []


# --- Secrets ----------------------------------------------------------------------------------------------------------

SECRETS = """
jobs:
  a:
    check: {url: "https://a.example/", auth: {kind: bearer, token: {secret: a-token}}}
  b:
    check: {url: "https://a.example/", auth: {kind: bearer, token: {secret: a-token}}, headers: {X: {secret: b-key}}}
  off:
    enabled: false
    check: {url: "https://a.example/", headers: {X: {secret: off-key}}}
  beat:
    check: {kind: heartbeat, token: {secret: beat-token}, period: 1h}
"""


def secrets_of(folder: Path, settings: Settings | None = None, **environ: str) -> list[str]:
    (folder / "a.yaml").write_text(SECRETS)
    return [str(warning) for warning in warnings_of_unusable_secrets(read(folder), settings or Settings(), environ)]


def test_each_secret_that_cannot_be_read_is_reported_once_where_it_is_named_first(folder: Path) -> None:
    token, key, beat = secrets_of(folder)
    assert token == (
        "jobs/a.yaml:4: jobs.a.check.auth.token: secret a-token: the variable SCHEDULER_SECRET_A_TOKEN is not set, "
        "and no Key Vault is configured; set the variable, or SCHEDULER_KEY_VAULT_URL"
    )
    assert key.startswith("jobs/a.yaml:6: jobs.b.check.headers.X: secret b-key: ")
    assert beat.startswith("jobs/a.yaml:11: jobs.beat.check.token: secret beat-token: ")


def test_secrets_of_variables_and_files_can_be_read(folder: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "b-key").write_text("from-a-file")
    (mounted / "beat-token").write_text("")
    settings = Settings(secrets_folder=mounted)
    (beat,) = secrets_of(folder, settings, SCHEDULER_SECRET_A_TOKEN="from-a-variable")
    assert beat.endswith(f"secret beat-token: {mounted / 'beat-token'} is empty")


def test_a_vault_that_does_not_answer_is_waited_for_within_one_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from config.secrets.key_vault import KeyVault

    async def hang(self: KeyVault, name: str) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(KeyVault, "read_secret", hang)
    monkeypatch.setattr(warnings, "SECRET_CHECKS_TIMEOUT", 0.05)
    settings = Settings(key_vault_url="https://my-vault.vault.azure.net")
    found = secrets_of(folder, settings, SCHEDULER_SECRET_A_TOKEN="x")
    assert [one.partition(": secret ")[2] for one in found] == [
        "b-key: could not be looked up within 0.05 s",
        "beat-token: could not be looked up within 0.05 s",
    ]


def test_a_token_of_a_heartbeat_that_is_too_short_is_reported_and_never_shown(folder: Path) -> None:
    variables = {"SCHEDULER_SECRET_A_TOKEN": "x", "SCHEDULER_SECRET_B_KEY": "x"}
    (beat,) = secrets_of(folder, **variables, SCHEDULER_SECRET_BEAT_TOKEN="hunter2")
    assert beat.endswith(
        "jobs.beat.check.token: secret beat-token: it is too short for a token: at least 16 characters"
    )
    assert secrets_of(folder, **variables, SCHEDULER_SECRET_BEAT_TOKEN="x" * 16) == []


def test_a_client_certificate_is_one_with_its_key(folder: Path) -> None:
    leaf = trustme.CA().issue_cert("client.example")
    certificate = leaf.cert_chain_pems[0].bytes().decode()
    (folder / "a.yaml").write_text(
        "jobs:\n  a:\n    check: {url: https://a.example/, tls: {client_certificate: {secret: client}}}\n"
    )

    def reported(value: str) -> list[str]:
        return [
            str(one)
            for one in warnings_of_unusable_secrets(read(folder), Settings(), {"SCHEDULER_SECRET_CLIENT": value})
        ]

    assert reported(certificate) == [
        "jobs/a.yaml:3: jobs.a.check.tls.client_certificate: secret client: it holds no client certificate with its "
        "key, both in PEM form and the key not encrypted"
    ]
    assert reported(leaf.private_key_pem.bytes().decode() + certificate) == []


def test_jobs_without_secrets_have_none_to_search_for(folder: Path) -> None:
    (folder / "a.yaml").write_text("jobs: {a: {check: {url: 'https://a.example/'}}}")
    assert warnings_of_unusable_secrets(read(folder), Settings(), {}) == ()


def test_a_secret_of_a_channel_or_a_rota_that_cannot_be_read_is_reported_at_its_entry(folder: Path) -> None:
    (folder / "a.yaml").write_text(
        "jobs: {}\nalerting:\n  channels:\n    chat: {kind: teams, url: {secret: chat-url}}\n"
        "    push: {kind: ntfy, topic: push, token: {secret: push-token}}\n"
        "  on_call:\n    primary: {url: {secret: rota-url}, people: {Anna: chat}, otherwise: push}\n"
    )
    found = warnings_of_unusable_secrets(read(folder), Settings(), {"SCHEDULER_SECRET_PUSH_TOKEN": "t0ken"})
    assert [(warning.line, warning.key, warning.message.partition(":")[0]) for warning in found] == [
        (4, "alerting.channels.chat", "secret chat-url"),
        (7, "alerting.on_call.primary", "secret rota-url"),
    ]
