"""The image of the embedded host without rights: it serves, runs a job, stops cleanly, and restarts with its state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.built.containers import STOP_SECONDS, Container, own, run_once, running
from tests.image.built.images import VERSION, BuiltImage
from tests.image.built.targets import Target, running_target
from tests.parts.proc import free_port

NO_CAPABILITIES = "0000000000000000"


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as found:
        yield found


def write_jobs(folder: Path, url: str) -> Path:
    folder.mkdir()
    job = {"check": {"kind": "http", "url": url}, "schedule": "every 1h"}
    (folder / "jobs.json").write_text(json.dumps({"jobs": {"shop": job}}))
    return folder


def start_variables(port: int) -> dict[str, str]:
    return {"SCHEDULER_PORT": str(port), "SCHEDULER_TARGETS__NETWORKS": "127.0.0.0/8"}


def test_it_serves_runs_a_job_stops_cleanly_and_restarts_with_its_state(
    embedded_image: BuiltImage, tmp_path: Path, target: Target
) -> None:
    port, data = free_port(), own(tmp_path / "data")
    volumes = {data: "/data", write_jobs(tmp_path / "jobs", target.url): "/jobs:ro"}
    created = embedded_image.workshop.run(
        *("podman", "run", "--rm", "--read-only", "--cap-drop=all", "--volume", f"{data}:/data", embedded_image.name),
        *("keys", "create", "admin", "--role", "admin"),
    )
    headers = {"authorization": f"Bearer {find_key(created.stdout)}"}

    with running(embedded_image, "first", port, start_variables(port), volumes=volumes, headers=headers) as first:
        check_rights(first)
        assert first.get("/api/health")["version"] == VERSION
        answer = first.post("/api/jobs/shop/run?wait=20s")
        assert answer.status_code == 200, answer.text
        run = answer.json()
        assert (run["outcome"], run["job"]) == ("succeeded", "shop")
        stopped = first.stop()

    assert (stopped.exit_code, target.requests) == (0, 1)
    assert stopped.seconds < STOP_SECONDS
    assert "Traceback" not in stopped.output

    with running(embedded_image, "second", port, start_variables(port), volumes=volumes, headers=headers) as second:
        assert second.get(f"/api/runs/{run['id']}")["outcome"] == "succeeded"
        assert [each["id"] for each in second.get("/api/runs")["runs"]] == [run["id"]]


def find_key(output: str) -> str:
    return next(word for word in output.split() if word.startswith("sch_"))


def check_rights(container: Container) -> None:
    status = container.status_of_process_1()
    assert status["Uid"].split() == ["10001"] * 4
    assert {status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {NO_CAPABILITIES}
    assert status["NoNewPrivs"] == "1"
    for path in ("/opt/scheduler/x", "/etc/x", "/usr/local/bin/x"):
        assert container.execute("touch", path).returncode != 0
    assert container.execute("touch", "/data/x", "/tmp/x").returncode == 0


def test_its_command_line_prints_the_version(embedded_image: BuiltImage) -> None:
    done = run_once(embedded_image, "--version")
    assert (done.returncode, done.stdout) == (0, f"scheduler {VERSION}\n")


def test_it_starts_without_rights_and_without_a_key_it_says_what_is_missing(embedded_image: BuiltImage) -> None:
    done = run_once(embedded_image, "serve")
    assert done.returncode == 2
    assert "keys create" in done.stderr
