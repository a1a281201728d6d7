"""`run` and `history RUN` show steps, certificates and DNS records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.parts.dns_server import DnsServer
from tests.parts.http_target import HttpTarget
from tests.parts.tls import ca_file
from tests.scheduler.cli.invocation import CommandResult, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

ONCE = {"retry": {"attempts": 1}}


async def ran(
    job_folder: Path, check: dict[str, Any], **more: Any
) -> tuple[CommandResult, CommandResult, dict[str, Any]]:
    """What `run` prints in a pipe, then `history RUN` on a terminal and as JSON."""
    write_jobs(job_folder, shop={"check": check, **ONCE, **more})
    piped = await invoke_concurrently("run", "shop")
    run_id = (await invoke_concurrently("history", "shop")).lines[1].split("\t")[-1]
    shown = await invoke_concurrently("history", run_id, terminal=True)
    attempt: dict[str, Any] = json.loads((await invoke_concurrently("history", run_id, "--json")).stdout)["attempts"][
        -1
    ]
    return piped, shown, attempt


async def test_each_step_is_shown_with_its_status_its_time_and_how_it_ended(job_folder: Path) -> None:
    async with HttpTarget() as target:
        target.sequence("/order", 500)
        steps = [{"name": "sign in", "url": f"{target.url}/health"}, {"name": "order", "url": "/order"}]
        piped, shown, attempt = await ran(job_folder, {"kind": "steps", "steps": steps})

    head = piped.lines.index("attempt\tstep\tstatus\tduration_ms\toutcome\terror\tcleanup")
    rows = [line.split("\t") for line in piped.lines[head + 1 : head + 3]]
    # A run that started late says so before its trace.
    after = [line.partition("\t")[0] for line in piped.lines[head + 3 :]]
    assert [name for name in after if name != "late"][:1] == ["trace"]
    assert [(row[1], row[2], row[4], row[5]) for row in rows] == [
        ("sign in", "200", "succeeded", ""),
        ("order", "500", "failed", "unexpected_status"),
    ]
    assert all(float(row[3]) > 0 for row in rows)
    assert [step["name"] for step in attempt["steps"]] == ["sign in", "order"]
    assert all(word in shown.stdout for word in ("sign in", "order", "unexpected_status"))


async def test_a_healthy_https_run_shows_its_certificate(job_folder: Path) -> None:
    async with HttpTarget(tls="good") as target:
        piped, shown, attempt = await ran(job_folder, {"url": f"{target.url}/health", "tls": {"ca_file": ca_file()}})

    (line,) = [line for line in piped.lines if line.startswith("certificate\t")]
    assert "tls\tTLSv1.3" in piped.lines
    assert "(89 days left), names: 127.0.0.1, ::1, localhost" in line
    assert attempt["tls"]["certificate"]["days_left"] == 89
    assert "issued by" in shown.stdout
    assert "TLSv1.3" in shown.stdout


async def test_a_dns_run_shows_its_records(job_folder: Path) -> None:
    async with DnsServer({("a.example", "A"): ["10.0.0.1", "10.0.0.2"]}) as server:
        check = {"kind": "dns", "name": "a.example", "server": "127.0.0.1", "port": server.port}
        piped, shown, attempt = await ran(job_folder, check)

    assert "records\t10.0.0.1, 10.0.0.2" in piped.lines
    assert "10.0.0.1, 10.0.0.2" in shown.stdout
    assert (attempt["dns"]["rcode"], attempt["dns"]["record_count"]) == ("NOERROR", 2)


async def test_a_health_document_shows_the_entries_that_are_not_up(job_folder: Path) -> None:
    report = {
        "status": "Unhealthy",
        "entries": {
            "cosmosdb": {"status": "Unhealthy", "description": "timeout", "duration": "00:00:23.1"},
            "mail": {"status": "Degraded", "description": "no relay\x1b[31m"},
            "redis": {"status": "Healthy"},
        },
    }
    async with HttpTarget() as target:
        target.on("/health", 503, body=report)
        expect = [{"health": "aspnet", "ignore": ["mail"]}]
        piped, shown, attempt = await ran(job_folder, {"url": f"{target.url}/health"}, expect=expect)

    assert "entry\tcosmosdb: Unhealthy, timeout, 23.1 s" in piped.lines
    assert "entry\tmail: Degraded (does not count), no relay\\x1b[31m" in piped.lines
    assert "up\t1 entry" in piped.lines
    assert "Unhealthy because of cosmosdb (timeout, 23.1 s)." in " ".join(shown.stdout.split())
    assert attempt["health"]["reported_status"] == "Unhealthy"
    assert [(entry["name"], entry["effect"]) for entry in attempt["health"]["entries"]] == [
        ("cosmosdb", "down"),
        ("mail", "none"),
        ("redis", "none"),
    ]
