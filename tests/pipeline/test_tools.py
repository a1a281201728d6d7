"""The tools of the scripts: the Azure CLI, HTTP, records, and what is printed."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.app.http import NoAnswer, UrllibHttp
from delivery.app.runs import ScheduledRuns, fewest_runs, find_missing_runs, find_new_failures
from delivery.az import Az, Completed, execute_program
from delivery.clock import MachineClock, format_duration, parse_duration
from delivery.errors import DeliveryError, UnusableInput
from delivery.record import Record, RecordFile, RunBaseline, Running, with_state
from delivery.reporter import Reporter
from tests.pipeline.azure.world import START, World


def az(world: World, *answers: Completed | Exception) -> Az:
    remaining = list(answers)

    def execute(command: object, timeout: float) -> Completed:
        answer = remaining.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Az("sub", Reporter(world, ("secret-value",)), world, execute=execute)


def test_a_read_is_retried_and_a_change_is_not() -> None:
    world, lost = World("functions"), Completed(1, "", "ERROR: Max retries exceeded")
    assert az(world, lost, lost, Completed(0, '{"a": 1}', "")).read("x") == {"a": 1}
    assert (world.now() - START).total_seconds() == 2 + 4
    with pytest.raises(DeliveryError, match="Check the network"):
        az(world, lost).change("x")
    with pytest.raises(DeliveryError, match=r"may still complete it: run `status`"):
        az(world, TimeoutError()).change("x")


@pytest.mark.parametrize(
    ("printed", "remedy"),
    [
        ("ERROR: Please run 'az login' to setup account.", "Sign in"),
        ("(AuthorizationFailed) The client does not have authorization", "docs/releasing.md"),
        ("(ResourceNotFound) The Resource was not found.", "Compare subscription, resource_group, app"),
        ("az: error: unrecognized arguments: --foo", "update it"),
    ],
)
def test_a_permanent_error_is_explained_and_not_retried(printed: str, remedy: str) -> None:
    with pytest.raises(DeliveryError, match=remedy) as raised:
        az(World("functions"), Completed(1, "", printed)).read("functionapp", "show")
    assert printed in str(raised.value)
    assert "az functionapp show --subscription sub" in str(raised.value)


def test_secrets_are_never_printed(capsys: pytest.CaptureFixture[str]) -> None:
    world = World("functions")
    with pytest.raises(DeliveryError) as raised:
        az(world, Completed(1, "", "ERROR: bad secret-value")).change("x", "--value", "secret-value")
    Reporter(world, ("secret-value",)).fail(str(raised.value))
    printed = capsys.readouterr()
    assert "secret-value" not in printed.out + printed.err
    assert "--value ***" in printed.err


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    script = tmp_path / "az"
    script.write_text(f"#!/bin/sh\n(sleep 1; touch {tmp_path}/late) &\nwait\n")
    script.chmod(0o755)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        execute_program([str(script)], 0.2)
    assert time.monotonic() - started < 1
    assert subprocess.run(["pgrep", "-f", f"{tmp_path}/late"], capture_output=True).stdout == b""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
        else:
            self.send_response(503 if self.path == "/down" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_status_is_an_answer_and_no_redirect_gets_the_key(url: str) -> None:
    client = UrllibHttp()
    statuses = [client.send("GET", f"{url}{path}", {"x-key": "k"}).status for path in ("/", "/down", "/moved")]
    assert statuses == [200, 503, 302]
    with pytest.raises(NoAnswer, match="refused"):
        client.send("GET", "http://127.0.0.1:9/", {})


def record_of(version: str) -> Record:
    return Record("prod", "functions", "app", "i", version, Running("old"), "2026-01-01T00:00:00Z")


def test_a_record_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "record.json")
    file.create(record_of("1"))
    assert file.read() == record_of("1")
    file.write(with_state(record_of("1"), "verified"))
    file.create(record_of("2"))
    assert file.read().version == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2}', "[]", '{"format": 1, "what": 2}'])
def test_what_is_not_a_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(UnusableInput, match="is not a record"):
        RecordFile(tmp_path / "record.json").read()


def test_two_deployments_cannot_create_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RecordFile(tmp_path / "record.json")
    exists = Path.exists
    file.create(record_of("1"))
    monkeypatch.setattr(
        Path, "exists", lambda path: path != file.path and exists(path)
    )  # looked before the other wrote
    with pytest.raises(UnusableInput, match="another process"):
        file.create(record_of("2"))
    assert file.read().version == "1"


def test_bursts_do_not_raise_the_expected_number() -> None:
    """At the full hour 100 runs are due, and 1 each ten seconds otherwise."""
    baseline = RunBaseline("2026-01-01T00:00:00Z", buckets=[1] * 30 + [100] + [1] * 29)
    assert fewest_runs(baseline, 180) == 18
    sample = ScheduledRuns(START, START.replace(minute=3), due=[START] * 17)
    assert find_missing_runs(baseline, sample, 0.9) == ""
    sample.due = [START] * 10
    assert "10 scheduled runs in 180 s, expected at least 16" in find_missing_runs(baseline, sample, 0.9)


def test_jobs_that_failed_before_do_not_count() -> None:
    baseline = RunBaseline("2026-01-01T00:00:00Z", buckets=[10], failing=["a"], failed=1, jobs=20)
    sample = ScheduledRuns(START, START, latest={"a": True, **{f"job-{number}": False for number in range(19)}})
    assert find_new_failures(baseline, sample, 0.05) == ""
    sample.latest["job-1"] = True  # one of twenty is within the share
    assert find_new_failures(baseline, sample, 0.05) == ""
    sample.latest["job-2"] = True
    assert "2 of 20 jobs fail that did not fail before the deployment: job-1, job-2" in find_new_failures(
        baseline, sample, 0.05
    )


def test_a_higher_rate_of_jobs_that_fail_now_and_then_is_found() -> None:
    """Every job failed sometimes before, so their names tell nothing."""
    jobs = [f"job-{number}" for number in range(20)]
    baseline = RunBaseline("2026-01-01T00:00:00Z", buckets=[20] * 60, failing=jobs, failed=60, jobs=20)
    sample = ScheduledRuns(START, START, due=[START] * 300, failed=90, latest=dict.fromkeys(jobs, True))
    assert find_new_failures(baseline, sample, 0.05) == "30% of the runs fail, 5% before the deployment"
    sample.failed = 20
    assert find_new_failures(baseline, sample, 0.05) == ""


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90s", "10m", "1h30m", "0.5s")] == [90, 600, 5400, 0.5]
    assert [format_duration(seconds) for seconds in (0.25, 42, 60, 185)] == ["0.25 s", "42 s", "1 min", "3 min 5 s"]
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration("10")


def test_the_clock_is_that_of_the_machine() -> None:
    assert abs(MachineClock().now().timestamp() - time.time()) < 1
    assert sys.version_info >= (3, 11)
