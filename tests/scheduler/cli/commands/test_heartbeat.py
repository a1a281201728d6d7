"""`heartbeat` and `uptime`."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.heartbeat import Ping, PingSignal
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.sqlite.file_lock import FileLock, write_api_address
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

CAPTURED = {"capture_output": True, "text": True, "check": True}
TOKEN = "2fd4e1c67a2d28fced849ee1bb76e739"
CURL = 'curl -fsS -m 10 --retry 5 "http://127.0.0.1:7071/api/ping/$TOKEN/$?"'
CHECK = {"kind": "heartbeat", "token": {"secret": "nightly-token"}, "period": "24h"}


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jobs(job_folder, nightly={"check": CHECK}, checkout={"check": {"url": "http://127.0.0.1:9/"}})
    monkeypatch.setenv("SCHEDULER_SECRET_NIGHTLY_TOKEN", TOKEN)


def ping(folder: Path, signal: PingSignal, ago: timedelta = timedelta(), **more: object) -> None:
    async def put() -> None:
        store = await open_sqlite(folder.parent / "state.db", StoreAccess.SHARED)
        at = datetime.now(UTC) - ago
        await Heartbeats(store).add("nightly", lambda _: Ping(at, signal, **more))  # type: ignore[arg-type]
        await store.aclose()

    asyncio.run(put())


def test_a_heartbeat_is_shown_with_its_pings_and_how_to_send_one(job_folder: Path) -> None:
    ping(job_folder, PingSignal.FAIL, exit_code=3, source="10.0.0.1", body="disk\tfull\n")

    shown = invoke("heartbeat", "nightly")

    names, row = (line.split("\t") for line in shown.lines)
    reported = dict(zip(names, row, strict=True))
    assert (reported["number"], reported["signal"], reported["exit_code"], reported["source"]) == (
        "1",
        "fail",
        "3",
        "10.0.0.1",
    )
    assert reported["body"] == r"disk\tfull\n"
    assert shown.stderr.splitlines()[-1] == CURL
    assert "the secret nightly-token in the variable TOKEN" in shown.stderr
    assert TOKEN not in shown.stdout + shown.stderr


@pytest.mark.parametrize("columns", ["30", "60", "200"])
def test_the_line_that_sends_a_ping_can_be_copied_from_any_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert CURL in invoke("heartbeat", "nightly", terminal=True).stderr.splitlines()


@pytest.mark.parametrize(
    ("variables", "base"),
    [
        ({"SCHEDULER_PORT": "8080"}, "http://127.0.0.1:8080"),
        ({"SCHEDULER_HOST": "::1"}, "http://[::1]:7071"),
        ({"WEBSITE_HOSTNAME": "my-app.azurewebsites.net"}, "https://my-app.azurewebsites.net"),
    ],
)
def test_the_line_names_the_address_of_the_settings(
    variables: dict[str, str], base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert f'"{base}/api/ping/$TOKEN/$?"' in invoke("heartbeat", "nightly").stderr


def test_the_line_names_the_server_that_runs_on_the_same_state(job_folder: Path) -> None:
    ping(job_folder, PingSignal.SUCCESS)  # so that there is a state
    lock = FileLock(job_folder.parent / "state.db")
    assert lock.acquire(0)
    write_api_address(job_folder.parent / "state.db", "http://127.0.0.1:7171")

    output = invoke("heartbeat", "nightly")
    lock.release()

    assert '"http://127.0.0.1:7171/api/ping/$TOKEN/$?"' in output.stderr


def test_a_server_that_is_gone_is_not_named(job_folder: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    ping(job_folder, PingSignal.SUCCESS)
    (job_folder.parent / "state.db.lock").write_text(f"{gone.pid}\nhttp://127.0.0.1:7171\n")

    assert CURL in invoke("heartbeat", "nightly").stderr


def test_the_line_sends_the_exit_code_of_the_command_before_it() -> None:
    command = CURL.replace("curl", "echo")

    output = subprocess.run(["sh", "-c", f"exit_with() {{ return 3; }}; TOKEN=abc; exit_with; {command}"], **CAPTURED)

    assert output.stdout == "-fsS -m 10 --retry 5 http://127.0.0.1:7071/api/ping/abc/3\n"


def test_a_person_reads_its_state_in_words(job_folder: Path) -> None:
    assert "nightly is new. No ping has arrived yet." in invoke("heartbeat", "nightly", terminal=True).stdout
    ping(job_folder, PingSignal.START)
    ping(job_folder, PingSignal.SUCCESS)

    shown = invoke("heartbeat", "nightly", terminal=True).stdout

    for words in ("nightly is up. The last ping arrived at", "Without a ping it goes down in 1 d", "The last run took"):
        assert words in shown


def test_programs_get_what_the_api_answers(job_folder: Path) -> None:
    ping(job_folder, PingSignal.SUCCESS)
    reported = json.loads(invoke("heartbeat", "nightly", "--json").stdout)
    assert (reported["state"], len(reported["pings"])) == ("up", 1)


def test_a_job_without_a_heartbeat_or_without_a_file_is_bad_input() -> None:
    without, unknown = invoke("heartbeat", "checkout"), invoke("heartbeat", "nihgtly")
    assert (without.code, unknown.code) == (2, 2)
    assert "has no heartbeat: its check is of kind http" in without.stderr
    assert "did you mean nightly?" in unknown.stderr


def test_a_run_before_the_first_ping_is_skipped_and_no_uptime(job_folder: Path) -> None:
    shown = invoke("run", "nightly")

    assert (shown.code, shown.lines[:2]) == (1, ["nightly skipped", "No ping has arrived yet."])
    names, row = (line.split("\t") for line in invoke("jobs").lines if line.startswith(("name", "nightly")))
    assert dict(zip(names, row, strict=True))["latest"] == "skipped"
    assert "nightly has no run that counts for uptime" in invoke("uptime", "nightly").stderr


def test_the_uptime_of_a_job_is_shown_in_each_form(job_folder: Path) -> None:
    assert "nightly has no run that counts for uptime" in invoke("uptime", "nightly").stderr
    ping(job_folder, PingSignal.SUCCESS)
    assert invoke("run", "nightly").code == 0

    rows, reported = invoke("uptime", "nightly"), json.loads(invoke("uptime", "nightly", "--json").stdout)
    shown = invoke("uptime", "nightly", terminal=True).stdout

    assert rows.lines[1].split("\t")[:4] == ["24h", "1.000000", "1", "0"]
    assert (reported["windows"][0]["ratio"], reported["months"][0]["outages"]) == (1.0, 0)
    assert "100.000%" in shown


def test_what_has_gone_down_is_not_reported_to_go_down_some_day(job_folder: Path) -> None:
    ping(job_folder, PingSignal.SUCCESS, ago=timedelta(days=2))

    shown = invoke("heartbeat", "nightly", terminal=True).stdout

    assert "nightly is down. No ping since" in shown
    assert "It went down 23 h" in shown
    assert "Without a ping" not in shown
