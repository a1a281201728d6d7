"""`test`: the jobs of a working copy, run once without a store; its results for people, programs and pipelines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.parts.http_target import Answer, HttpTarget
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

SECRET = "a-token-that-nobody-may-read"


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as target:
        target.on_call("/echo", lambda request: Answer(500, {}, request.headers["authorization"].encode()))
        target.on("/failing", 500)
        yield target


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; no job file and no store can be used."""
    monkeypatch.setenv("SCHEDULER_ENVIRONMENT", "test")
    monkeypatch.setenv("SCHEDULER_STORE", "sqlite:////proc/nowhere/state.db")
    monkeypatch.setenv("SCHEDULER_JOBS", "/nowhere")
    monkeypatch.setenv("SCHEDULER_SECRET_SHOP_TOKEN", SECRET)
    (tmp_path / "jobs").mkdir()
    return tmp_path / "jobs"


async def test_the_jobs_of_a_tag(target: HttpTarget, copy: Path) -> None:
    smoke = {"tags": {"smoke": "yes"}, "retry": {"attempts": 1}}
    write_jobs(
        copy,
        shop={"check": {"url": f"{target.url}/ok"}, **smoke},
        off={"check": {"url": f"{target.url}/off"}, **smoke, "enabled": False},
        failing=f"{target.url}/failing",
    )

    output = await invoke_concurrently("test", str(copy), "--tag", "smoke")

    assert (output.code, output.stderr) == (0, "2 jobs: 1 succeeded, 1 skipped\n")
    assert [line.split("\t")[:3] for line in output.lines] == [
        ["job", "outcome", "attempts"],
        ["shop", "succeeded", "1"],
        ["off", "skipped", ""],
    ]
    assert len(target.requests) == 1


async def test_failures_in_junit_without_secrets(target: HttpTarget, copy: Path) -> None:
    auth = {"kind": "bearer", "token": {"secret": "shop-token"}}
    check = {"url": f"{target.url}/echo", "auth": auth, "allow_plain_http": True}
    write_jobs(
        copy,
        shop={"check": check, "retry": {"attempts": 2, "initial": "1ms"}},
        denied="http://169.254.169.254/latest/",
        missing={"check": {**check, "auth": {"kind": "bearer", "token": {"secret": "not-there"}}}},
    )
    junit = copy.parent / "results.xml"

    output = await invoke_concurrently("test", str(copy), "--junit", str(junit), "--json")

    assert output.code == 1
    found = {each["job"]: each for each in json.loads(output.stdout)["jobs"]}
    assert len(found["shop"]["attempts"]) == 2
    assert found["denied"]["attempts"][0]["error"] == "target_denied"
    assert found["missing"]["error"] == "secret_unavailable"
    root = ElementTree.fromstring(junit.read_text())
    assert root.attrib["failures"] == "3"
    failure = root.find(".//testcase[@name='shop']/failure")
    assert failure is not None
    assert (failure.text or "").count("attempt ") == 2
    assert target.requests_to("/echo")[0].headers["authorization"] == f"Bearer {SECRET}"
    for text in (junit.read_text(), output.stdout, output.stderr):
        assert SECRET not in text


async def test_a_run_that_takes_too_long_and_a_terminal(target: HttpTarget, copy: Path) -> None:
    target.on("/slow", delay=30)
    write_jobs(copy, slow={"check": {"url": f"{target.url}/slow"}, "retry": {"attempts": 1}})

    output = await invoke_concurrently("test", str(copy), "--timeout", "300ms", terminal=True)

    assert output.code == 1
    assert "slow timed_out: " in output.stdout
    assert "1 job: 1 failed" in output.stderr


@pytest.mark.parametrize(
    ("jobs", "words", "message"),
    [
        ({"a": {"check": {"url": "nonsense"}}}, (), "check.url"),
        ({"a": "http://127.0.0.1:9/"}, ("--tag", "smoke"), "no job matches tag smoke among 1 jobs"),
        ({"a": {"check": {"url": "http://127.0.0.1:9/"}, "enabled": False}}, (), "no job was run"),
        ({"a": "http://127.0.0.1:9/"}, ("--timeout", "0s"), "--timeout"),
        ({"a": "http://127.0.0.1:9/"}, ("--kind", "ftp"), "--kind"),
    ],
)
def test_nothing_to_run_ends_with_2(jobs: dict[str, str], words: tuple[str, ...], message: str, copy: Path) -> None:
    write_jobs(copy, **jobs)

    result = invoke("test", str(copy), *words)

    assert result.code == 2
    assert message in result.stderr


def test_results_that_cannot_be_written_end_with_1(copy: Path) -> None:
    write_jobs(copy, a={"check": {"url": "http://127.0.0.1:9/"}, "retry": {"attempts": 1}})

    result = invoke("test", str(copy), "--junit", "/nowhere/results.xml")

    assert result.code == 1
    assert "/nowhere/results.xml cannot be written: no such file or directory" in result.stderr
