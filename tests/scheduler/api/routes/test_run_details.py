"""What a run tells of its attempts beyond their status: steps, the TLS session with its certificate, DNS records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.runs import ErrorClass, Observation, Phases
from tests.jobs.running.seen_certificates import certificate
from tests.jobs.running.virtual_time import START, virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


def seen(facts: dict[str, Any], *certificates: bytes, error: ErrorClass | None = None) -> Observation:
    return Observation(Phases(total_ms=5.0), 200, facts=facts, certificates=certificates, error=error)


async def attempt_of(observation: Observation) -> dict[str, Any]:
    async with ApiClient(observation) as desk:
        run_id = await desk.perform()
        alone = (await desk.get(f"/api/runs/{run_id}")).json()
        (listed,) = (await desk.get("/api/runs")).json()["runs"]
    assert alone == listed
    attempt: dict[str, Any] = alone["attempts"][0]
    return attempt


@virtual_time
async def test_a_plain_run_has_none() -> None:
    attempt = await attempt_of(seen({}))
    assert (attempt["steps"], attempt["tls"], attempt["dns"]) == ([], None, None)


@virtual_time
async def test_a_run_of_steps_tells_each_of_them() -> None:
    told = [
        {"name": "sign in", "outcome": "succeeded", "status": 200, "ms": 12.0},
        {
            "name": "remove",
            "outcome": "failed",
            "status": 500,
            "ms": 3.0,
            "error": "unexpected_status",
            "cleanup": True,
        },
    ]
    attempt = await attempt_of(seen({"steps": told}))
    assert attempt["steps"] == [
        {
            "name": "sign in",
            "outcome": "succeeded",
            "status_code": 200,
            "duration_ms": 12.0,
            "error": None,
            "cleanup": False,
        },
        {
            "name": "remove",
            "outcome": "failed",
            "status_code": 500,
            "duration_ms": 3.0,
            "error": "unexpected_status",
            "cleanup": True,
        },
    ]


@virtual_time
async def test_a_run_over_tls_tells_the_certificate_and_its_days_left_at_that_time() -> None:
    expires = datetime.fromisoformat("2031-01-01T12:00:00Z")
    shown = certificate("api.example", "www.example", expires=expires)
    attempt = await attempt_of(seen({"tls_version": "TLSv1.3"}, shown))
    assert attempt["tls"] == {
        "version": "TLSv1.3",
        "certificate": {
            "subject": "api.example",
            "issuer": "Example CA",
            "names": ["api.example", "www.example"],
            "name_count": 2,
            "expires_at": "2031-01-01T12:00:00Z",
            "days_left": (expires - START).days,
        },
    }


@virtual_time
async def test_a_run_of_dns_tells_the_records() -> None:
    answered = {"rcode": "NOERROR", "answers": ["10.0.0.1", "10.0.0.2"], "ttl": 60, "server": "10.0.0.53"}
    attempt = await attempt_of(seen(answered))
    assert attempt["dns"] == {
        "rcode": "NOERROR",
        "records": ["10.0.0.1", "10.0.0.2"],
        "record_count": 2,
        "ttl_s": 60,
        "server": "10.0.0.53",
    }


@virtual_time
async def test_a_dead_letter_tells_them_too() -> None:
    told = [{"name": "sign in", "outcome": "failed", "status": 500, "ms": 1.0, "error": "unexpected_status"}]
    jobs = [entry(dead_letter=True, retry={"attempts": 1})]
    async with ApiClient(seen({"steps": told}, error=ErrorClass.UNEXPECTED_STATUS), jobs=jobs) as desk:
        await desk.perform()
        (letter,) = (await desk.get("/api/dead-letters")).json()["dead_letters"]
        detail = (await desk.get(letter["url"])).json()
    assert [step["name"] for step in detail["attempts"][0]["steps"]] == ["sign in"]
