"""Docker Compose itself accepts the files, and the program accepts the settings in them."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from config.job_files.reader import JobFileReader
from config.settings.loading import load_settings
from config.settings.model import Settings
from tests.infra.images import read_image_variables
from tests.infra.programs import run_program
from tests.parts.proc import Program, free_port, run
from tests.project import ROOT

FOLDER = ROOT / "infra" / "compose"
FILES = ("compose.yaml", "compose.telemetry.yaml")


@cache
def render(*files: str, variables: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """Return the configuration that Docker Compose makes of the files; it rejects what its schema does not allow."""
    options = [part for file in files for part in ("--file", str(FOLDER / file))]
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **dict(variables)}
    text = run_program("docker-compose", *options, "--profile", "tls", "config", environ=environ)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.fixture
def scheduler() -> dict[str, Any]:
    service: dict[str, Any] = render(*FILES)["services"]["scheduler"]
    return service


@pytest.mark.parametrize("service", ["scheduler", "first-key", "proxy"])
def test_services_have_the_least_rights(service: str) -> None:
    found = render(*FILES)["services"][service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "proxy" else [])
    assert int(found["mem_limit"]) > 0
    assert found["logging"]["options"]["max-size"] == "10m"


def test_the_program_runs_as_its_user_and_is_published_on_loopback(scheduler: dict[str, Any]) -> None:
    assert scheduler["user"] == "10001:10001"
    assert [port["host_ip"] for port in scheduler["ports"]] == ["127.0.0.1"]
    assert scheduler["build"]["target"] == "embedded"
    assert Path(scheduler["build"]["context"]) == ROOT


def test_only_the_data_is_written(scheduler: dict[str, Any]) -> None:
    volumes = {volume["target"]: volume for volume in scheduler["volumes"]}
    assert [target for target, volume in volumes.items() if not volume.get("read_only")] == ["/data"]
    assert volumes["/data"]["type"] == "volume"
    for target in ("/jobs", "/run/secrets/jobs"):
        assert Path(volumes[target]["source"]).is_dir()


def test_the_program_has_time_to_end(scheduler: dict[str, Any]) -> None:
    assert int(scheduler["stop_grace_period"].removesuffix("s")) >= Settings().shutdown_grace + 10


def test_the_settings_are_valid_and_their_files_are_secrets(scheduler: dict[str, Any], tmp_path: Path) -> None:
    environ = read_image_variables() | scheduler["environment"]
    mounted = {secret["target"] for secret in scheduler["secrets"]}
    files = {name for name in environ if name.endswith("_FILE")}
    assert {environ[name] for name in files} == mounted
    for name in files:
        (tmp_path / name).write_text("InstrumentationKey=00000000-0000-0000-0000-000000000000\n")
        environ[name] = str(tmp_path / name)
    settings = load_settings(environ, root=ROOT).settings
    assert settings.datadog.api_key is not None
    assert settings.application_insights.connection_string is not None
    assert str(settings.secrets_folder) in {volume["target"] for volume in scheduler["volumes"]}
    assert settings.http.accepted_hosts() == ("scheduler",)


def test_with_a_domain_the_program_accepts_what_the_proxy_passes_on() -> None:
    variables = {"SCHEDULER_HTTP__PUBLIC_URL": "https://checks.example.com", "SCHEDULER_HTTP__BEHIND_PROXY": "true"}
    found = render("compose.yaml", variables=tuple(variables.items()))["services"]["scheduler"]["environment"]
    settings = load_settings(read_image_variables() | found, root=ROOT).settings
    assert "checks.example.com" in settings.http.accepted_hosts()
    assert settings.http.behind_proxy


def test_the_proxy_serves_the_domain() -> None:
    found = render("compose.yaml", variables=(("DOMAIN", "checks.example.com"),))
    assert found["services"]["proxy"]["environment"] == {"DOMAIN": "checks.example.com"}
    assert found["configs"]["caddyfile"]["content"].startswith("{$$DOMAIN} {")
    assert "reverse_proxy scheduler:8080" in found["configs"]["caddyfile"]["content"]


def test_without_the_profile_no_other_machine_reaches_it() -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    text = run_program("docker-compose", "--file", FOLDER / "compose.yaml", "config", "--services", environ=environ)
    assert set(text.split()) == {"first-key", "scheduler"}


async def test_the_first_start_prints_a_key_and_later_ones_none(scheduler: dict[str, Any], tmp_path: Path) -> None:
    first = render("compose.yaml")["services"]["first-key"]
    assert scheduler["depends_on"] == {"first-key": {"condition": "service_completed_successfully", "required": True}}
    assert (first["restart"], first.get("ports")) == ("no", None)
    assert first["volumes"] == render("compose.yaml")["services"]["scheduler"]["volumes"]
    image = {name: value for name, value in read_image_variables().items() if name.startswith("SCHEDULER_")}
    environ = image | first["environment"]
    store = {"SCHEDULER_STORE": environ["SCHEDULER_STORE"].replace("/data", str(tmp_path))}
    starts = [await run(*first["command"], env=environ | store, cwd=tmp_path) for _ in range(2)]
    assert [each.code for each in starts] == [0, 0]
    assert starts[0].stdout.startswith("sch_")
    assert (starts[1].stdout, starts[1].stderr) == ("", "no key was created: one is active\n")
    # The service, as Compose starts it next: it neither ends nor restarts, and accepts the key that was printed.
    assert (scheduler.get("command"), scheduler["restart"]) == (None, "unless-stopped")
    port = free_port()
    own = {"schedule": "every 1h", "check": {"url": f"http://127.0.0.1:{port}/api/health/live"}}
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "jobs.json").write_text(json.dumps({"jobs": {"own": own}}))
    here = {"SCHEDULER_JOBS": str(tmp_path / "jobs"), "SCHEDULER_SECRETS_FOLDER": str(FOLDER / "secrets")}
    here["SCHEDULER_TARGETS__NETWORKS"] = "127.0.0.0/8"
    plain = {name: value for name, value in scheduler["environment"].items() if not name.endswith("_FILE")}
    command = ("serve", "--host", "127.0.0.1", "--port", str(port))
    async with Program(*command, env=image | plain | store | here, cwd=tmp_path) as program:
        url = f"http://127.0.0.1:{port}"
        await program.ready(f"{url}/api/health/ready")
        async with httpx.AsyncClient(base_url=url) as client:
            headers = {"X-API-Key": starts[0].stdout.split()[0]}
            answers = [await client.get("/api/jobs", headers=each) for each in ({}, headers)]
            first_run = await client.post("/api/jobs/own/run?wait=10s", headers=headers)
    assert [each.status_code for each in answers] == [401, 200]
    assert first_run.json()["state"] == "finished", first_run.text


def test_a_file_with_settings_is_optional(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text((FOLDER / "compose.yaml").read_text())
    (tmp_path / "settings.env").write_text("SCHEDULER_CONCURRENCY=50\n")
    text = run_program("docker-compose", "--file", tmp_path / "compose.yaml", "config")
    for name in ("scheduler", "first-key"):
        assert yaml.safe_load(text)["services"][name]["environment"]["SCHEDULER_CONCURRENCY"] == "50"
    assert "SCHEDULER_CONCURRENCY" not in render("compose.yaml")["services"]["scheduler"]["environment"]


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: a, readonly: true}}")
    with pytest.raises(AssertionError, match="readonly"):
        run_program("docker-compose", "--file", tmp_path / "compose.yaml", "config")


def test_the_jobs_are_valid() -> None:
    jobs = JobFileReader(ROOT, {}).read(FOLDER / "jobs")
    assert len(jobs) > 0
    assert jobs.warnings == ()


def test_no_secret_is_committed() -> None:
    assert [path.name for path in (FOLDER / "secrets").iterdir()] == [".keep"]
    rules = (FOLDER / ".gitignore").read_text().split()
    assert {"/secrets/*", "!/secrets/.keep", "/telemetry/", "/.env", "/settings.env"} <= set(rules)
