"""`gate`: against a running scheduler over its API, and against a store; its rounds are a tenth of a second apart."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.api_keys import create_key
from tests.parts.host import Host, embedded
from tests.parts.http_target import HttpTarget
from tests.parts.proc import ForkedProgram
from tests.scheduler.cli.invocation import CommandResult, invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

QUICK = {
    "scheduler.features.gate.watching.RUN_INTERVAL": 0.1,
    "scheduler.features.gate.watching._LAST_RUNS_PAUSE": 0.05,
}
PAYMENTS = {"tags": {"team": "payments"}, "retry": {"attempts": 1}}


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as target:
        yield target


def jobs_of(target: HttpTarget) -> dict[str, Any]:
    return {
        "checkout": {"check": {"url": f"{target.url}/checkout"}, **PAYMENTS},
        "refunds": {"check": {"url": f"{target.url}/refunds"}, **PAYMENTS},
        "book": {"check": {"url": f"{target.url}/book"}, **PAYMENTS, "effect": "once"},
        "other": {"check": {"url": f"{target.url}/other"}, "retry": {"attempts": 1}},
    }


@pytest.fixture
async def host(target: HttpTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    async with embedded(tmp_path, jobs_of(target), SCHEDULER_HTTP__AUTHENTICATION="own") as host:
        store = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
        key = await create_key(store, "deploy", role="operator", tags=["team:payments"])
        monkeypatch.setenv("SCHEDULER_API_KEY", key)
        monkeypatch.setenv("SCHEDULER_STORE", "sqlite:////proc/nowhere/state.db")
        yield host


async def over_api(host: Host, *words: str) -> CommandResult:
    return await invoke_concurrently("gate", *words, "--url", str(host.client.base_url), patches=QUICK)


async def test_a_running_scheduler(host: Host, target: HttpTarget) -> None:
    accepted = await over_api(host, "--tag", "team:payments", "--for", "1s", "--marker", "4ebecbce", "--json")

    report = json.loads(accepted.stdout)
    assert (accepted.code, report["accepted"], report["early"]) == (0, True, False), accepted
    assert [each["name"] for each in report["jobs"]] == ["book", "checkout", "refunds"]
    assert report["notes"] == ["book was observed only: its effect is once"]
    assert len(target.requests_to("/checkout")) >= 2
    assert not target.requests_to("/book")
    assert not target.requests_to("/other")
    markers = (await host.get("/api/markers"))["markers"]
    (marker,) = [each for each in markers if each["tags"]]
    assert (marker["text"], marker["tags"], marker["author"]) == ("4ebecbce", {"team": "payments"}, "api_key:deploy")

    target.on("/checkout", 500)
    refused = await over_api(host, "--tag", "team=payments", "--for", "6s", "--markdown", "--marker", "a`b|c")

    assert refused.code == 1, refused
    assert refused.stdout.startswith("### Deployment ``a`b|c`` refused\n")
    assert "| `checkout` | `" in refused.stdout
    assert "before the end, because the result is certain" in refused.stdout
    markers = (await host.get("/api/markers"))["markers"]
    assert "a`b|c" in [each["text"] for each in markers]


async def test_jobs_that_do_not_exist_for_the_key(host: Host) -> None:
    for words, message in (
        (("--tag", "team:nobody"), "no enabled job matches tag team=nobody"),
        (("--name", "other"), "no enabled job matches"),  # of another tag than the key
        (("--all", "--deployed-at", "2999-01-01"), "in the future"),
    ):
        result = await over_api(host, *words)

        assert (result.code, result.stdout) == (2, "")
        assert message in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--all", "--tag", "team:x"),
        ("--all", "--for", "0s"),
        ("--all", "--for", "2d"),
        ("--all", "--for", "soon"),
        ("--all", "--before", "30d"),
        ("--all", "--marker", ""),
        ("--all", "--marker", "two\nlines"),
        ("--all", "--marker", "x" * 201),
        ("--all", "--deployed-at", "yesterday"),
        ("--all", "--slowdown", "0.5"),
        ("--all", "--timezone", "Nowhere/City"),
        ("--all", "--json", "--markdown"),
        ("--all", "--url", "nonsense"),
    ],
)
def test_bad_input_ends_with_2(words: tuple[str, ...], job_folder: Path) -> None:
    write_jobs(job_folder, a="http://127.0.0.1:9/")

    result = invoke("gate", *words)

    assert (result.code, result.stdout) == (2, "")


async def test_no_scheduler_ends_with_1(monkeypatch: pytest.MonkeyPatch, job_folder: Path) -> None:
    words = ("gate", "--all", "--url", "http://127.0.0.1:9")
    result = await invoke_concurrently(*words, patches={"scheduler.features.delivery.remote.MAX_TRIES": 1})

    assert result.code == 1
    assert "http://127.0.0.1:9 does not answer" in result.stderr


async def test_a_store(target: HttpTarget, job_folder: Path) -> None:
    write_jobs(job_folder, checkout={"check": {"url": f"{target.url}/checkout"}, **PAYMENTS})
    words = ("gate", "--name", "check*", "--for", "1s", "--marker", "release 7")

    accepted = await invoke_concurrently(*words, patches=QUICK)

    assert accepted.code == 0, accepted
    assert accepted.lines[0].split("\t") == ["job", "side", "runs", "failed", "p50_ms", "p95_ms"]
    assert accepted.lines[1].split("\t")[:2] == ["checkout", "after"]
    assert "accepted after" in accepted.stderr

    target.on("/checkout", 503)
    refused = await invoke_concurrently(*words, "--for", "6s", patches=QUICK, terminal=True)

    assert refused.code == 1, refused
    assert "checkout: " in refused.stderr
    assert "(by chance: " in refused.stderr


async def test_an_interrupted_gate_leaves_no_run_behind(target: HttpTarget, job_folder: Path) -> None:
    answering = target.hold("/checkout")
    write_jobs(job_folder, checkout={"check": {"url": f"{target.url}/checkout"}, **PAYMENTS})

    async with ForkedProgram("gate", "--all", "--for", "10m", env=dict(os.environ)) as program:
        await target.wait_for_requests(1)
        program.signal(signal.SIGINT)
        code = await program.exited()
    answering.set()

    assert code == 130
    assert "\tcancelled\t" in (await invoke_concurrently("history", "checkout")).stdout
