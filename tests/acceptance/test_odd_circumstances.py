"""What happens around the program at bad hours: full disks, names that stand twice, second signals, readers that stop
reading, crowds."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.parts.host import Host, embedded, job
from tests.parts.http_target import Answer, HttpTarget
from tests.parts.proc import Program, run

MIB = 2**20


def troubles(host: Host) -> list[str]:
    """What the program itself says is wrong."""
    return [line["Message"] for line in host.log() if line["Level"] in ("WARNING", "ERROR") and "Event" not in line]


async def test_one_name_in_two_files_is_reported_with_both_places_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"checkout": {"Endpoint": "http://127.0.0.1:9/"}}')
    (tmp_path / "two.yaml").write_text('jobs:\n  checkout:\n    check: {url: "http://127.0.0.1:9/"}\n')

    ended = await run("serve", "--port", "0", env={"SCHEDULER_JOBS": str(tmp_path)}, cwd=tmp_path)

    assert ended.code == 2
    assert "two.yaml:2: jobs.checkout" in ended.stderr
    assert f"defined twice: first in {tmp_path / 'one.json'}:1" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("/proc/no/such.db", ("check the path",)),
        ("{folder}", ("check the path",)),
        ("{folder}/no.db", ("is not a SQLite database", "SCHEDULER_STORE")),
    ],
)
async def test_a_store_that_cannot_be_is_named_with_what_to_do(
    store: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "no.db").write_text("certainly not what SQLite writes " * 100)
    path = store.format(folder=tmp_path)

    ended = await run("jobs", env={"SCHEDULER_STORE": f"sqlite:///{path}"}, cwd=tmp_path)

    assert (ended.code, ended.stdout) == (1, "")
    assert all(word in ended.stderr for word in (f"store {path}: ", *words))
    assert "Traceback" not in ended.stderr


@asynccontextmanager
async def no_room(host: Host) -> AsyncIterator[None]:
    """The program's files cannot grow during the block, as on a full disk."""
    if sys.platform != "linux":
        pytest.skip("only Linux limits another process")
    _, most = resource.prlimit(host.program.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(host.program.pid, resource.RLIMIT_FSIZE, (4096, most))
    yield
    resource.prlimit(host.program.pid, resource.RLIMIT_FSIZE, (most, most))


async def test_a_full_disk_is_reported_everywhere_and_all_is_well_once_there_is_room(tmp_path: Path) -> None:
    async with HttpTarget() as target, embedded(tmp_path, {"checkout": job(target.url)}) as host:
        before = await host.run("checkout")
        async with no_room(host):
            refused = await host.client.post("/api/jobs/checkout/run")
            health = await host.client.get("/api/health")
            ready, live = [await host.client.get(f"/api/health/{which}") for which in ("ready", "live")]
            history = await host.runs()
        after = await host.run("checkout")
        recovered = await host.get("/api/health")
        await host.stop()

    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert f"store {tmp_path / 'state.db'}: " in refused.json()["detail"]
    assert (health.status_code, ready.status_code, live.status_code) == (503, 503, 200)
    assert [part["name"] for part in health.json()["parts"] if part["status"] == "down"] == ["store"]
    assert [run["id"] for run in history] == [before["id"]]  # what was recorded can be read meanwhile
    assert (after["outcome"], recovered["status"]) == ("succeeded", "ok")
    assert "Traceback" not in host.program.stdout + host.program.stderr


@pytest.mark.slow
async def test_what_a_run_finds_out_is_reported_while_the_disk_is_full_and_recorded_once_there_is_room(
    tmp_path: Path,
) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/", Answer(500))
        async with embedded(tmp_path, {"checkout": job(f"{target.url}/")}) as host:
            await host.client.post("/api/jobs/checkout/run")
            await target.wait_for_requests(1)
            async with no_room(host):
                gate.set()
                async with asyncio.timeout(60):
                    while not any("its result waits for the store" in trouble for trouble in troubles(host)):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                health = await host.client.get("/api/health")
            (recorded,) = await finished(host)
            await host.stop()

    results = {part["name"]: part for part in health.json()["parts"]}["results"]
    assert (results["status"], results["message"].startswith("1 result waits (0.0 MiB) since ")) == ("degraded", True)
    assert (recorded["outcome"], recorded["status_code"]) == ("failed", 500)

    failed = [line for line in host.log() if line.get("Event") == "JOB_FAILED"]
    assert [line["StatusCode"] for line in failed] == [500]


async def finished(host: Host) -> list[dict[str, Any]]:
    """The finished runs, as soon as there is one."""
    async with asyncio.timeout(60):
        while not (runs := await host.runs(outcome="failed")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return runs


async def test_a_run_in_work_ends_as_it_would_and_the_end_is_reported_last(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/")
        async with embedded(tmp_path, {"checkout": job(f"{target.url}/")}) as host:
            await host.client.post("/api/jobs/checkout/run")
            await target.wait_for_requests(1)
            host.program.signal(signal.SIGTERM)
            await host.logged("waiting up to")
            gate.set()
            assert await host.program.exited() == 0

    assert host.program.stderr == ""
    ends = [line for line in host.log() if line.get("Event") in ("JOB_PERFORMANCE", "SERVICE_STOPPED")]
    assert [(line["Event"], line.get("Outcome")) for line in ends] == [
        ("JOB_PERFORMANCE", "succeeded"),
        ("SERVICE_STOPPED", None),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_an_idle_host_at_once_and_quietly(number: signal.Signals, tmp_path: Path) -> None:
    async with embedded(tmp_path, {}, SCHEDULER_LOG__FORMAT="text") as host:
        host.program.signal(number)
        assert await host.program.exited(within=20) == 0

    assert host.program.stderr == ""
    assert host.program.stdout.rstrip().endswith("scheduler stopped")


async def test_nothing_warns_even_when_warnings_are_errors(tmp_path: Path) -> None:
    async with HttpTarget(tls="good") as target:
        jobs = {
            "checkout": job(target.url, check={"url": target.url, "tls": {"ca_file": target.ca_file}}),
            "each": job("http://checkout.invalid/", "every 1s"),
        }
        async with embedded(tmp_path, jobs, PYTHONWARNINGS="error") as host:
            run_ = await host.run("checkout")
            page = await host.client.get("/api/dashboard")
            async with asyncio.timeout(60):
                while not await host.runs(job="each", outcome="failed"):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await host.stop()

    assert (run_["outcome"], page.status_code) == ("succeeded", 200)
    assert troubles(host) == []
    assert host.program.stderr == ""


async def test_a_command_next_to_a_running_host_shares_its_history_and_circuits(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.on("/", 500)
        jobs = {"checkout": job(f"{target.url}/", circuit={"consecutive_failures": 2, "open_for": "60s"})}
        async with embedded(tmp_path, jobs) as host:
            env = {
                "SCHEDULER_ENVIRONMENT": "test",
                "SCHEDULER_JOBS": str(tmp_path / "jobs"),
                "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
            }
            first = await run("run", "checkout", "--json", env=env, cwd=tmp_path)
            second = await host.run("checkout")
            third = await run("run", "checkout", env=env, cwd=tmp_path)
            fourth = await host.run("checkout")
            history = await host.runs(job="checkout")
            await host.stop()

    assert (first.code, json.loads(first.stdout)["outcome"], second["outcome"]) == (1, "failed", "failed")
    assert (third.code, "the circuit is open" in third.stdout, fourth["outcome"]) == (1, True, "rejected")
    assert "2 failures in a row" in fourth["message"]
    assert [run["outcome"] for run in history] == ["rejected", "rejected", "failed", "failed"]
    assert len(target.requests) == 2


async def test_two_hosts_of_samples_side_by_side_request_targets_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    dev = {"SCHEDULER_ENVIRONMENT": "dev", "SCHEDULER_SAMPLES": "true"}
    async with embedded(tmp_path, None, **dev) as one, embedded(tmp_path / "other", None, **dev) as other:
        # The runs of its schedule: one that is asked for beside these is skipped, as its overlap says.
        runs = await asyncio.gather(*(succeeded(host, "databaseHealth") for host in (one, other)))
        await asyncio.gather(one.stop(), other.stop())

    assert len({run["endpoint"] for run in runs}) == 2


async def succeeded(host: Host, job: str) -> dict[str, Any]:
    """A run of the job that succeeded, as soon as there is one."""
    async with asyncio.timeout(60):
        while not (runs := await host.runs(job=job, outcome="succeeded")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return runs[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the pipe is made small")
async def test_a_reader_of_the_log_that_stops_reading_holds_nothing_up(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": {"checkout": job(target.url, overlap="allow")}}))
        wrapper = SILENT_READER.format(python=sys.executable)
        env = {"SCHEDULER_JOBS": str(tmp_path / "jobs.json"), "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
        async with Program("-c", wrapper, module=None, env=env | {"SCHEDULER_ENVIRONMENT": "test"}) as program:
            async with asyncio.timeout(60):
                while "\n" not in program.stdout:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            code = await program.exited()

    output = dict(line.split("=") for line in program.stdout.split())
    assert (code, program.stderr) == (0, "")
    # Its pipe was full after a few of them.
    assert (output["runs"], output["health"], output["code"]) == ("40", "ok", "0")
    assert float(output["seconds"]) < 15


SILENT_READER = """
import fcntl, json, os, signal, socket, subprocess, sys, time, urllib.request
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
reader, writer = os.pipe()
fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
host = subprocess.Popen([{python!r}, "-m", "scheduler", "serve", "--port", str(port)], stdout=writer)
os.close(writer)
def ask(path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{{port}}{{path}}", method=method)
    return json.load(urllib.request.urlopen(request, timeout=10))
while True:
    try:
        ask("/api/health/ready")
        break
    except OSError:
        time.sleep(0.05)
print("ready=1", flush=True)
runs = [ask("/api/jobs/checkout/run?wait=10s", "POST")["outcome"] for _ in range(40)]
health = ask("/api/health")["status"]
began = time.monotonic()
host.send_signal(signal.SIGTERM)
code = host.wait()
seconds = time.monotonic() - began
print(f"runs={{runs.count('succeeded')}} health={{health}} code={{code}} seconds={{seconds}}", flush=True)
"""


@pytest.mark.slow
async def test_ten_thousand_jobs_in_one_file_start_soon_and_are_served_quickly(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        jobs = {
            f"job-{number:05}": job(f"{target.url}/{number}", f"{number % 60} {number % 59} {number % 23} * * *")
            for number in range(10_000)
        }
        async with embedded(tmp_path, jobs | {"each-second": job(target.url, "* * * * * *")}, Program) as host:
            process = psutil.Process(host.program.pid)
            rss, started = process.memory_info().rss, cpu_seconds(process)
            for path in ("/api/jobs?limit=500", "/api/dashboard", "/api/jobs/job-09999", "/api/health"):
                assert (await host.client.get(path)).status_code == 200
            answered = cpu_seconds(process) - started
            near = await host.client.get("/api/jobs/job-0999")
            runs = await host.runs(job="each-second")
            stopped = await host.stop()

    assert started < 12
    assert answered < 2
    assert rss < 140 * MIB
    assert "Did you mean job-0999" in near.json()["detail"]
    assert stopped < 15
    assert len({run["due_at"] for run in runs}) == len(runs)


def cpu_seconds(process: psutil.Process) -> float:
    """What the process has computed so far, which does not grow while other programs keep the machine busy."""
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.mark.slow
async def test_three_thousand_runs_requested_at_once_all_happen_within_the_bound(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.on("/slow", delay=0.05)
        jobs = {"slow": job(f"{target.url}/slow", overlap="allow"), "each-second": job(target.url, "* * * * * *")}
        async with embedded(tmp_path, jobs, Program, SCHEDULER_CONCURRENCY="50", SCHEDULER_SHARES__JOB="1") as host:
            places = asyncio.Semaphore(40)

            async def send_request() -> int:
                async with places:
                    return (await host.client.post("/api/jobs/slow/run")).status_code

            statuses = set(await asyncio.gather(*(send_request() for _ in range(3000))))
            async with asyncio.timeout(90):
                # The other job's runs are claimed a little ahead, so one of them is always there.
                while (  # noqa: ASYNC110
                    len(target.requests_to("/slow")) < 3000 or await host.runs(job="slow", outcome="running")
                ):
                    await asyncio.sleep(0.25)
            queued = await host.runs(outcome="queued")
            rss = psutil.Process(host.program.pid).memory_info().rss
            await host.stop()

    assert (statuses, queued) == ({202}, [])
    assert target.max_in_flight <= 51
    assert rss < 140 * MIB
    assert troubles(host) == []
