"""Storms with one planted cause through the whole program in virtual time: one incident, led by that cause, with the
jobs that share it and are fine; and each resolution arrives.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trustme

from jobs.incidents.values import Incident
from jobs.runs import ErrorClass
from scheduler.alerting.evaluation.silent_jobs import DueTimes
from scheduler.alerting.facts import SIBLINGS_READ
from tests.parts.alerting_program import Scene, alerting_program

SLICES = 6
"""Of a minute: the jobs of a real schedule do not run in one second."""


def jobs_on(host: str, count: int, scheme: str = "http", start: int = 0) -> dict[str, Any]:
    return {
        f"{host}-{number}": job_of_check({"kind": "http", "url": f"{scheme}://{host}.{host}-shop.example/{number}"})
        for number in range(start, start + count)
    }


def job_of_check(check: Mapping[str, Any]) -> dict[str, Any]:
    schedule, alerts = {"every": "1m"}, [{"open_after": 1}]
    return {"check": check, "retry": {"attempts": 1}, "schedule": schedule, "alerts": alerts}


def open_scene(folder: Path, *parts: Mapping[str, Any], **more: Any) -> AbstractAsyncContextManager[Scene]:
    return alerting_program(folder, {name: job for part in parts for name, job in part.items()}, **more)


async def run_minute(scene: Scene) -> None:
    """Let each job run once, a sixth of them each ten seconds."""
    names = list(scene.program.catalog.names())
    for start in range(SLICES):
        await scene.run(*names[start::SLICES])
        await scene.wait(10)


async def storm(scene: Scene, hosts: Sequence[str], error: ErrorClass | int) -> list[Incident]:
    """Return the incidents after hosts fail for three minutes. The minute before, all jobs are fine."""
    await run_minute(scene)
    scene.network.down(*hosts, error=error)
    for _ in range(3):
        await run_minute(scene)
    incidents = await scene.incidents()
    await check_members(scene, incidents)
    return incidents


async def check_members(scene: Scene, incidents: Sequence[Incident]) -> None:
    firing = {each.subject for each in scene.program.alerting.evaluator._alerts.list_all() if each.is_firing}
    held = Counter(member.key.subject for incident in incidents for member in incident.open_members)
    assert held == dict.fromkeys(firing, 1), "each firing alert is in exactly one open incident"


async def check_resolution(scene: Scene, hosts: Sequence[str]) -> None:
    """Each incident that was announced is resolved, and each resolution is sent once."""
    scene.network.up(*hosts)
    for _ in range(2):
        await run_minute(scene)
    incidents = await scene.incidents()
    assert not any(each.is_open for each in incidents)
    sent = Counter((each.message.incident, str(each.message.kind)) for each in scene.channels.messages)
    assert {key: count for key, count in sent.items() if key[1] in ("opened", "resolved")} == {
        (each.id, kind): 1 for each in incidents for kind in ("opened", "resolved")
    }


async def test_five_hundred_jobs_behind_one_host_are_one_incident(tmp_path: Path) -> None:
    async with open_scene(tmp_path, jobs_on("api", 500), jobs_on("other", 20)) as scene:
        (incident,) = await storm(scene, ["api"], ErrorClass.CONNECT_TIMEOUT)
        assert incident.cause == "host api.api-shop.example"
        assert len(incident.members) == 500
        assert (incident.shared[0].failing, incident.shared[0].sharing, incident.shared[0].fine) == (500, 500, 0)
        assert len(scene.sent) <= 7, "the opening, and one message each ten seconds of the first minute"
        await check_resolution(scene, ["api"])


FIVE = ("one", "two", "three", "four", "five")


def on_one_address() -> list[dict[str, Any]]:
    return [jobs_on(host, 20) for host in FIVE]


async def test_one_of_five_hosts_of_an_address_leads_because_the_others_are_fine(tmp_path: Path) -> None:
    async with open_scene(tmp_path, *on_one_address()) as scene:
        scene.network.addresses = dict.fromkeys(FIVE, "10.0.0.7")
        (incident,) = await storm(scene, ["one"], ErrorClass.CONNECT_TIMEOUT)
        assert incident.cause == "host one.one-shop.example"
        shown = {each.cause: each for each in incident.shared}
        assert (shown["address 10.0.0.7"].failing, shown["address 10.0.0.7"].sharing) == (20, 100)
        assert shown["address 10.0.0.7"].fine > 50
        await check_resolution(scene, ["one"])


async def test_the_address_leads_if_all_its_hosts_fail(tmp_path: Path) -> None:
    async with open_scene(tmp_path, *on_one_address(), jobs_on("other", 30)) as scene:
        scene.network.addresses = dict.fromkeys(FIVE, "10.0.0.7") | {"other": "10.0.0.8"}
        (incident,) = await storm(scene, FIVE, ErrorClass.CONNECT_TIMEOUT)
        assert incident.cause == "address 10.0.0.7"
        assert len(incident.members) == 100
        await check_resolution(scene, FIVE)


async def test_the_address_takes_over_if_its_hosts_fail_one_after_the_other(tmp_path: Path) -> None:
    async with open_scene(tmp_path, *on_one_address(), jobs_on("other", 30)) as scene:
        scene.network.addresses = dict.fromkeys(FIVE, "10.0.0.7") | {"other": "10.0.0.8"}
        await run_minute(scene)
        scene.network.down("one", error=ErrorClass.CONNECT_TIMEOUT)
        await scene.run(*jobs_on("one", 20))
        await scene.wait(15)
        (incident,) = await scene.incidents()
        assert incident.cause == "host one.one-shop.example"
        scene.network.down(*FIVE, error=ErrorClass.CONNECT_TIMEOUT)
        await run_minute(scene)
        (incident,) = await scene.incidents()
        assert (incident.cause, len(incident.members)) == ("address 10.0.0.7", 100)
        assert "cause_widened" in {each.code for each in await scene.decisions(incident)}
        await check_resolution(scene, FIVE)


@pytest.fixture
def certificate() -> bytes:
    issued = trustme.CA().issue_cert("*.shop.example", common_name="*.shop.example")
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


async def test_an_expired_certificate_of_four_hosts_leads(tmp_path: Path, certificate: bytes) -> None:
    hosts = FIVE[:4]
    secure = [jobs_on(host, 10, "https") for host in hosts]
    plain = [jobs_on(host, 10, start=10) for host in FIVE]
    async with open_scene(tmp_path, *secure, *plain) as scene:
        scene.network.certificates = dict.fromkeys(hosts, certificate)
        (incident,) = await storm(scene, hosts, ErrorClass.TLS_CERTIFICATE)
        assert incident.cause.startswith("certificate *.shop.example of ")
        assert len(incident.members) == 40
        assert (incident.shared[0].failing, incident.shared[0].sharing) == (40, 40)
        await check_resolution(scene, hosts)


async def test_a_dead_name_server_leads_and_not_the_errors_of_forty_hosts(tmp_path: Path) -> None:
    hosts = [f"site{number}" for number in range(40)]
    numeric = {f"ip-{each}": job_of_check({"kind": "http", "url": f"http://10.1.0.{each}/"}) for each in range(20)}
    async with open_scene(tmp_path, *(jobs_on(host, 1) for host in hosts), numeric) as scene:
        (incident,) = await storm(scene, hosts, ErrorClass.DNS_TIMEOUT)
        assert incident.cause == "nameserver of this machine"
        assert len(incident.members) == 40
        await check_resolution(scene, hosts)


async def test_a_name_server_that_jobs_query_leads(tmp_path: Path) -> None:
    def queries(server: str) -> dict[str, Any]:
        return {
            f"dns-{server[-2:]}-{number}": job_of_check(
                {"kind": "dns", "name": f"a.zone{number}.example", "server": server}
            )
            for number in range(20)
        }

    async with open_scene(tmp_path, queries("10.0.0.53"), queries("10.0.0.54")) as scene:
        await run_minute(scene)
        scene.network.dead_servers.add("10.0.0.53")
        for _ in range(2):
            await run_minute(scene)
        (incident,) = await scene.incidents()
        assert (incident.cause, len(incident.members)) == ("nameserver 10.0.0.53", 20)
        scene.network.dead_servers.clear()
        await check_resolution(scene, [])


async def test_two_independent_causes_in_one_minute_stay_two(tmp_path: Path) -> None:
    fine = [jobs_on(f"fine{number}", 2) for number in range(30)]
    async with open_scene(tmp_path, jobs_on("left", 10), jobs_on("right", 10), *fine) as scene:
        incidents = await storm(scene, ["left", "right"], ErrorClass.CONNECT_TIMEOUT)
        assert sorted((each.cause, len(each.members)) for each in incidents) == [
            ("host left.left-shop.example", 10),
            ("host right.right-shop.example", 10),
        ]
        await check_resolution(scene, ["left", "right"])


async def test_two_hosts_with_one_job_each_are_not_joined_by_their_error_alone(tmp_path: Path) -> None:
    fine = [jobs_on(f"fine{number}", 1) for number in range(30)]
    async with open_scene(tmp_path, jobs_on("left", 1), jobs_on("right", 1), *fine) as scene:
        incidents = await storm(scene, ["left", "right"], ErrorClass.CONNECT_TIMEOUT)
        assert [each.cause for each in incidents] == ["", ""]
        text = [each.cause for each in incidents[0].shared]
        assert text == ["error connect_timeout"]


@pytest.mark.parametrize("shared", [True, False])
async def test_where_other_processes_execute_runs_some_of_the_jobs_that_share_a_cause_are_read(
    tmp_path: Path, shared: bool
) -> None:
    """Also where they are of an earlier process."""
    async with open_scene(tmp_path, jobs_on("one", 4), jobs_on("two", 60), shared=shared) as scene:
        scene.program.alerting.evaluator._due_times = DueTimes(scene.program.runs)  # the pass is of another process
        scene.network.down("one", error=ErrorClass.CONNECT_TIMEOUT)
        await scene.run(*scene.program.catalog.names())
        await scene.wait(30)
        await scene.run(*scene.program.catalog.names())
        await scene.wait(60)
        (incident,) = await scene.incidents()
        shown = {each.cause: each for each in incident.shared}
        assert incident.cause == "host one.one-shop.example"
        assert 0 < shown["error connect_timeout"].fine <= SIBLINGS_READ
