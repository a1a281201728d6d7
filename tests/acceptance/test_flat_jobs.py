"""The flat form that existing deployments have: alone in a folder it loads unchanged, and runs against Python's own
`http.server`, which nobody here wrote."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.parts.host import embedded
from tests.parts.http_target import HttpTarget
from tests.parts.ingestion import ManagedIdentityServer
from tests.parts.proc import Program, free_port, run

NAMES = ("databaseHealth", "externalApiHealth", "containerAppHealth")


@asynccontextmanager
async def web_server(folder: Path) -> AsyncIterator[tuple[str, Program]]:
    """`python -m http.server` over one file a job; its URL, and the program, whose stderr is its access log."""
    (folder / "www").mkdir()
    for name in NAMES:
        (folder / "www" / name).write_text('{"status": "ok"}')
    port = free_port()
    arguments = (str(port), "--bind", "127.0.0.1", "--directory", str(folder / "www"))
    async with Program(*arguments, module="http.server") as server:
        await server.ready(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}", server


def flat(url: str, **more: Any) -> str:
    """Three jobs as DESIGN has them."""
    jobs = {
        name: {
            "JobName": name,
            "Endpoint": f"{url}/{name}",
            "HttpMethod": "GET",
            "AuthType": "none",
            "TimeoutSeconds": 10,
            **more,
        }
        for name in NAMES
    }
    return json.dumps(jobs, indent=2)


def jobs_folder(folder: Path, name: str, content: str) -> str:
    """A folder with this file alone."""
    place = folder / "existing"
    place.mkdir()
    (place / name).write_text(content)
    return str(place)


async def test_each_flat_job_runs_from_the_command_line(tmp_path: Path) -> None:
    async with web_server(tmp_path) as (url, server):
        env = {
            "SCHEDULER_JOBS": jobs_folder(tmp_path, "jobs.json", flat(url)),
            "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        }
        ended = [await run("run", name, "--json", env=env, cwd=tmp_path) for name in NAMES]

    runs = [json.loads(each.stdout) for each in ended]
    assert [(each.code, each.stderr) for each in ended] == [(0, "")] * 3
    assert [(run["job"], run["outcome"], run["status_code"]) for run in runs] == [
        (name, "succeeded", 200) for name in NAMES
    ]
    assert all(f'"GET /{name} HTTP/1.1" 200' in server.stderr for name in NAMES)


async def test_each_flat_job_runs_over_the_api(tmp_path: Path) -> None:
    async with web_server(tmp_path) as (url, server):
        place = jobs_folder(tmp_path, "jobs.json", flat(url))
        # Not each minute, which might be just now.
        schedule = {"SCHEDULER_DEFAULT_SCHEDULE": "0 0 0 29 2 *"}
        async with embedded(tmp_path, None, SCHEDULER_JOBS=place, **schedule) as host:
            listed = (await host.get("/api/jobs"))["jobs"]
            runs = [await host.run(name) for name in NAMES]
            await host.stop()

    assert {job["name"]: (job["endpoint"], job["schedule"]) for job in listed} == {
        name: (f"{url}/{name}", "0 0 0 29 2 *") for name in NAMES
    }
    assert [run["outcome"] for run in runs] == ["succeeded"] * 3
    assert all(f'"GET /{name} HTTP/1.1" 200' in server.stderr for name in NAMES)


async def test_flat_jobs_with_a_schedule_run_by_themselves(tmp_path: Path) -> None:
    async with web_server(tmp_path) as (url, server):
        place = jobs_folder(tmp_path, "jobs.json", flat(url, Schedule="* * * * * *"))
        async with embedded(tmp_path, None, SCHEDULER_JOBS=place) as host:
            async with asyncio.timeout(60):
                while not all(server.stderr.count(f"GET /{name} ") >= 2 for name in NAMES):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await host.stop()

    runs = [line for line in host.log() if line.get("Event") == "JOB_PERFORMANCE"]
    assert {line["Trigger"] for line in runs} == {"schedule"}
    assert {line["JobName"] for line in runs} == set(NAMES)


async def test_flat_jobs_without_a_schedule_run_by_the_default_one(tmp_path: Path) -> None:
    async with web_server(tmp_path) as (url, server):
        place = jobs_folder(tmp_path, "jobs.json", flat(url))
        async with embedded(tmp_path, None, SCHEDULER_JOBS=place, SCHEDULER_DEFAULT_SCHEDULE="* * * * * *") as host:
            async with asyncio.timeout(60):
                while not all(server.stderr.count(f"GET /{name} ") >= 2 for name in NAMES):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await host.stop()


async def test_a_flat_job_whose_file_is_gone_reports_what_came_instead(tmp_path: Path) -> None:
    async with web_server(tmp_path) as (url, _):
        place = jobs_folder(tmp_path, "jobs.json", flat(url + "/nothing/here"))
        env = {"SCHEDULER_JOBS": place, "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
        ended = await run("run", NAMES[0], env=env, cwd=tmp_path)

    assert ended.code == 1
    assert "Answered 404 File not found, expected 2xx." in ended.stdout
    assert ended.stderr == ""


ODD_YAML = """
DATABASEHEALTH:
  job_name: databaseHealth
  ENDPOINT: {url}/basic
  httpmethod: get
  authtype: Basic
  UserName: probe
  password-secret-name: db-password
  timeoutSeconds: "2"
externalApiHealth:
  Url: {url}/bearer
  HTTP_METHOD: Get
  AUTHTYPE: BEARER
  SecretName: api_token
  IntervalSeconds: 1
containerAppHealth:
  jobname: containerAppHealth
  EndpointUrl: {url}/key
  method: HEAD
  authenticationType: ApiKey
  ApiKeySecretName: app-key
  apikeyheader: X-Probe-Key
identityHealth:
  endpoint: {url}/identity
  AuthType: Managed_Identity
  resource: api://checkout
"""

SECRETS = {
    "SCHEDULER_SECRET_DB_PASSWORD": "pa:ss wörd",
    "SCHEDULER_SECRET_API_TOKEN": "the-bearer-token",
    "SCHEDULER_SECRET_APP_KEY": "the-api-key",
}


async def test_every_auth_type_reaches_the_target_from_yaml_with_keys_in_odd_cases(tmp_path: Path) -> None:
    async with HttpTarget() as target, ManagedIdentityServer() as identity:
        place = jobs_folder(tmp_path, "odd.YAML", ODD_YAML.format(url=target.url))
        variables = {"SCHEDULER_DEFAULT_SCHEDULE": "none", **SECRETS, **identity.environ}
        async with embedded(tmp_path, None, SCHEDULER_JOBS=place, **variables) as host:
            runs = [await host.run(name) for name in ("databaseHealth", "containerAppHealth", "identityHealth")]
            async with asyncio.timeout(60):
                while not target.requests_to("/bearer"):  # noqa: ASYNC110 - on its schedule
                    await asyncio.sleep(0.05)
            await host.stop()

    assert [run["outcome"] for run in runs] == ["succeeded"] * 3
    basic, bearer, key, token = (target.requests_to(f"/{path}")[0] for path in ("basic", "bearer", "key", "identity"))
    expected = base64.b64encode("probe:pa:ss wörd".encode()).decode()
    assert (basic.method, basic.headers["authorization"]) == ("GET", f"Basic {expected}")
    assert bearer.headers["authorization"] == "Bearer the-bearer-token"
    assert (key.method, key.headers["x-probe-key"]) == ("HEAD", "the-api-key")
    assert token.headers["authorization"] == f"Bearer {identity.token('api://checkout')}"
    output = host.program.stdout + host.program.stderr
    assert not [
        secret for secret in (*SECRETS.values(), expected, identity.token("api://checkout")) if secret in output
    ]


MISTAKES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "oauth": ({"AuthType": "oauth"}, ("AuthType", "'oauth'", "managedidentity")),
    "no-url": ({"Endpoint": "db-probe/health"}, ("Endpoint", "https://checkout.internal/health")),
    "misspelt": ({"TimeoutSecond": 3}, ("TimeoutSecond: unknown key, did you mean TimeoutSeconds?",)),
    "secret": ({"AuthType": "bearer", "Token": "abc-secret"}, ("Token: ", "must not contain a secret value")),
    "too-long": ({"TimeoutSeconds": 9999}, ("TimeoutSeconds", "at most 480 seconds")),
    "no-minute": ({"Schedule": "0 61 * * * *"}, ("Schedule", "minute: 61 is out of range")),
}


async def test_what_is_wrong_in_a_flat_file_is_reported_all_at_once_with_file_line_and_key(tmp_path: Path) -> None:
    jobs = {name: {"Endpoint": "http://127.0.0.1:9/", **change} for name, (change, _) in MISTAKES.items()}
    place = jobs_folder(tmp_path, "jobs.json", json.dumps(jobs, indent=2))
    env = {"SCHEDULER_JOBS": place, "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state' / 'runs.db'}"}

    ended = await run("serve", "--port", "0", env=env, cwd=tmp_path)

    assert ended.code == 2
    lines = ended.stderr.splitlines()
    for name, (_, words) in MISTAKES.items():
        reported = [line for line in lines if f": {name}." in line]
        assert any(all(word in line for word in words) for line in reported), (name, reported)
        assert all(re.search(r"jobs\.json:\d+: ", line) for line in reported)
    assert "Traceback" not in ended.stderr
    assert "abc-secret" not in ended.stderr
    assert not (tmp_path / "state").exists()
