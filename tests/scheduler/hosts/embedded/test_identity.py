"""Who may use the API of the embedded host: everyone on loopback in development, elsewhere the owner of a key."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.parts.api_keys import bearer, create_key
from tests.parts.proc import Program, free_port


def settings(folder: Path, **more: str) -> dict[str, str]:
    (folder / "jobs").mkdir(exist_ok=True)
    return {
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_JOBS": str(folder / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_PORT": str(free_port()),
        **more,
    }


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"SCHEDULER_ENVIRONMENT": "dev", "SCHEDULER_HTTP__AUTHENTICATION": "own"},
        {"SCHEDULER_ENVIRONMENT": "dev", "SCHEDULER_ALLOW_REMOTE": "true", "SCHEDULER_HOST": "0.0.0.0"},
        {"SCHEDULER_HTTP__EASY_AUTH": "true"},
    ],
    ids=["prod", "own", "another address", "easy auth without roles"],
)
async def test_without_an_identity_the_host_ends_with_2(tmp_path: Path, more: dict[str, str]) -> None:
    async with Program("serve", env=settings(tmp_path, **more)) as program:
        code = await program.exited()

    assert code == 2
    assert "keys create NAME --role admin" in program.stderr
    assert "SCHEDULER_HTTP__ENTRA__TENANT" in program.stderr
    assert "Traceback" not in program.stderr


async def test_open_is_refused_outside_of_development(tmp_path: Path) -> None:
    async with Program("serve", env=settings(tmp_path, SCHEDULER_HTTP__AUTHENTICATION="open")) as program:
        code = await program.exited()

    assert code == 2
    assert "SCHEDULER_HTTP__AUTHENTICATION: open is for dev and test, not for prod" in program.stderr


async def test_a_key_that_was_made_before_the_first_start_opens_the_api(tmp_path: Path) -> None:
    environ = settings(tmp_path)
    key = await create_key(environ, role="viewer")
    url = f"http://127.0.0.1:{environ['SCHEDULER_PORT']}"

    async with Program("serve", env=environ) as program, httpx.AsyncClient(base_url=url, timeout=30) as client:
        await program.ready(f"{url}/api/health/ready")
        nobody = await client.get("/api/jobs")
        viewer = await client.get("/api/jobs", headers=bearer(key))
        other_header = await client.get("/api/jobs", headers={"x-api-key": key})
        in_the_url = await client.get("/api/jobs", params={"code": key})
        denied = await client.delete("/api/dead-letters/none", headers=bearer(key))

    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="scheduler"')
    assert nobody.headers["content-type"] == "application/problem+json"
    assert (viewer.status_code, other_header.status_code, in_the_url.status_code) == (200, 200, 401)
    assert denied.status_code == 403
    assert "needs the role admin" in denied.json()["detail"]
    assert key not in program.stdout + program.stderr


async def test_in_development_the_api_on_loopback_needs_no_key(tmp_path: Path) -> None:
    environ = settings(tmp_path, SCHEDULER_ENVIRONMENT="dev")
    url = f"http://127.0.0.1:{environ['SCHEDULER_PORT']}"

    async with Program("serve", env=environ) as program, httpx.AsyncClient(base_url=url, timeout=30) as client:
        await program.ready(f"{url}/api/health/ready")
        assert (await client.get("/api/jobs")).status_code == 200
