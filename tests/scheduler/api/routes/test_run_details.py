"""What a run tells of its attempts beyond their status: steps, the TLS session with its certificate, DNS records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.runs import ErrorClass, Observation, Phases
from tests.jobs.running.seen_certificates import certificate
from tests.jobs.running.virtual_time import START, virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


def observed(facts: dict[str, Any], *certificates: bytes, error: ErrorClass | None = None) -> Observation:
    return Observation(Phases(total_ms=5.0), 200, facts=facts, certificates=certificates, error=error)


async def attempt_of(observation: Observation) -> dict[str, Any]:
    async with ApiClient(observation) as client:
        run_id = await client.perform()
        alone = (await client.get(f"/api/runs/{run_id}")).json()
        (listed,) = (await client.get("/api/runs")).json()["runs"]
    assert alone == listed
    attempt: dict[str, Any] = alone["attempts"][0]
    return attempt


@virtual_time
async def test_a_plain_run_has_none() -> None:
    attempt = await attempt_of(observed({}))
    assert (attempt["steps"], attempt["tls"], attempt["dns"]) == ([], None, None)


@virtual_time
async def test_a_run_of_steps_reports_each_of_them() -> None:
    reported = [
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
    attempt = await attempt_of(observed({"steps": reported}))
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
async def test_a_run_over_tls_reports_the_certificate_and_its_days_left_at_that_time() -> None:
    expires = datetime.fromisoformat("2031-01-01T12:00:00Z")
    shown = certificate("api.example", "www.example", expires=expires)
    attempt = await attempt_of(observed({"tls_version": "TLSv1.3"}, shown))
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
async def test_a_run_of_dns_reports_the_records() -> None:
    answered = {"rcode": "NOERROR", "answers": ["10.0.0.1", "10.0.0.2"], "ttl": 60, "server": "10.0.0.53"}
    attempt = await attempt_of(observed(answered))
    assert attempt["dns"] == {
        "rcode": "NOERROR",
        "records": ["10.0.0.1", "10.0.0.2"],
        "record_count": 2,
        "ttl_s": 60,
        "server": "10.0.0.53",
    }


@virtual_time
async def test_a_dead_letter_reports_them_too() -> None:
    reported = [{"name": "sign in", "outcome": "failed", "status": 500, "ms": 1.0, "error": "unexpected_status"}]
    jobs = [entry(dead_letter=True, retry={"attempts": 1})]
    async with ApiClient(observed({"steps": reported}, error=ErrorClass.UNEXPECTED_STATUS), jobs=jobs) as client:
        await client.perform()
        (letter,) = (await client.get("/api/dead-letters")).json()["dead_letters"]
        detail = (await client.get(letter["url"])).json()
    assert [step["name"] for step in detail["attempts"][0]["steps"]] == ["sign in"]
