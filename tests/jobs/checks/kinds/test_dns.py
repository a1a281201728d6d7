"""The DNS check asks a name server on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoNameServer
from jobs.checks.guard import LOCAL_GUARD, Guard, TargetRules
from jobs.checks.kinds import dns as dns_module
from jobs.checks.kinds.dns import MAX_DNS_RECORDS, DnsCheck
from jobs.checks.port import AttemptContext
from jobs.runs import ErrorClass, Observation
from jobs.targets.dns import DnsTarget
from tests.parts.bad_servers import refused_port, reset_on_connect
from tests.parts.dns_server import DnsServer

RECORDS = {
    ("shop.test", "A"): ["10.0.0.2", "10.0.0.1"],
    ("shop.test", "TXT"): ['"v=spf1 " "-all"'],
    ("shop.test", "MX"): ["10 mx.shop.test."],
    ("www.test", "CNAME"): ["shop.test."],
}


async def run_check(port: int, guard: Guard = LOCAL_GUARD, **target: Any) -> Observation:
    known = {"kind": "dns", "name": "shop.test", "server": "127.0.0.1", "port": port}
    return await DnsCheck(guard).observe(
        DnsTarget.model_validate({**known, **target}), AttemptContext("j@1", 1, PhaseClock())
    )


@pytest.mark.parametrize(
    ("kind", "name", "answers"),
    [
        ("A", "shop.test", ["10.0.0.1", "10.0.0.2"]),
        ("TXT", "shop.test", ["v=spf1 -all"]),
        ("MX", "shop.test", ["10 mx.shop.test"]),
        ("CNAME", "www.test", ["shop.test"]),
        ("AAAA", "shop.test", []),
    ],
)
async def test_the_records_are_reported_as_people_write_them(kind: str, name: str, answers: list[str]) -> None:
    async with DnsServer(RECORDS) as server:
        observed = await run_check(server.port, type=kind, name=name)
    assert (observed.error, observed.facts["rcode"], observed.facts["answers"]) == (None, "NOERROR", answers)
    assert observed.facts["ttl"] == (300 if answers else None)


@pytest.mark.parametrize(("name", "rcode"), [("nobody.test", "NXDOMAIN"), ("ill.test", "SERVFAIL")])
async def test_an_error_of_the_server_is_an_answer(name: str, rcode: str) -> None:
    async with DnsServer(RECORDS, rcodes={"ill.test": "SERVFAIL"}) as server:
        observed = await run_check(server.port, name=name)
    assert (observed.error, observed.facts["rcode"], observed.facts["answers"]) == (None, rcode, [])


def addresses(count: int) -> list[str]:
    return [f"10.1.{number // 256}.{number % 256}" for number in range(count)]


async def test_as_many_records_are_reported_as_the_bound_reports() -> None:
    async with DnsServer({("many.test", "A"): addresses(MAX_DNS_RECORDS)}) as server:
        observed = await run_check(server.port, name="many.test", protocol="tcp")
    assert (observed.error, len(observed.facts["answers"])) == (None, MAX_DNS_RECORDS)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_an_answer_of_more_records_is_refused_before_it_is_parsed(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DnsServer({("many.test", "A"): addresses(MAX_DNS_RECORDS + 1)}) as server:
        monkeypatch.setattr(dns_module.dns.message, "from_wire", _only_small(dns_module.dns.message.from_wire))
        observed = await run_check(server.port, name="many.test", protocol=protocol)
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert (
        "answered about many.test with more than 1,000 records: query a name or a type with fewer" in observed.message
    )


def _only_small(parse: Any) -> Any:
    """The server parses its questions with the same function."""

    def from_wire(wire: bytes, **options: Any) -> Any:
        assert len(wire) < 1000
        return parse(wire, **options)

    return from_wire


async def test_a_packet_from_elsewhere_is_not_counted_as_the_answer() -> None:
    async with DnsServer(RECORDS) as server:
        server.stray = True
        assert (await run_check(server.port)).facts["answers"] == ["10.0.0.1", "10.0.0.2"]


async def test_an_answer_that_does_not_fit_is_requested_by_tcp() -> None:
    async with DnsServer(RECORDS, large=["shop.test"]) as server:
        observed = await run_check(server.port)
        assert [protocol for protocol, *_ in server.queries] == ["udp", "tcp"]
    assert observed.facts["answers"] == ["10.0.0.1", "10.0.0.2"]


async def test_tcp_is_queried_at_once_where_the_job_reports_it() -> None:
    async with DnsServer(RECORDS) as server:
        await run_check(server.port, protocol="tcp")
        assert server.queries == [("tcp", "shop.test", "A")]


async def test_garbage_is_no_answer() -> None:
    async with DnsServer(RECORDS, garbage=["shop.test"]) as server:
        observed = await run_check(server.port)
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert "not a DNS message" in observed.message


async def test_an_answer_that_fits_on_no_way_is_reported() -> None:
    class ByUdpAlone(DnsServer):
        async def _by_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

    async with ByUdpAlone(RECORDS, large=["shop.test"]) as server:
        observed = await run_check(server.port)
    assert observed.error is ErrorClass.CONNECTION_FAILED
    assert "truncated its answer over UDP, and gave none over TCP" in observed.message


async def test_a_server_that_resets_the_connection_existed() -> None:
    async with reset_on_connect() as server:
        observed = await run_check(server.port, protocol="tcp")
    assert observed.error is ErrorClass.CONNECTION_RESET


@pytest.mark.parametrize("name", ["\\999.test", "shop\\", "\u2603.test"])
async def test_what_is_no_name_is_not_blamed_on_the_server(name: str) -> None:
    target = DnsTarget(kind="dns", name=name, server="127.0.0.1")
    observed = await DnsCheck(LOCAL_GUARD).observe(target, AttemptContext("j@1", 1, PhaseClock()))
    assert observed.error is ErrorClass.DNS_FAILURE
    assert "is not a valid DNS name" in observed.message


async def test_a_port_without_server_refuses() -> None:
    async with refused_port() as port:
        observed = await run_check(port.port, protocol="tcp")
    assert observed.error is ErrorClass.CONNECTION_REFUSED


async def test_silence_lasts_until_the_deadline() -> None:
    async with DnsServer(RECORDS, silent=["shop.test"]) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await run_check(server.port)


async def test_the_guard_is_queried_about_the_server() -> None:
    async with DnsServer(RECORDS) as server:
        observed = await run_check(server.port, Guard(TargetRules()))
        assert server.queries == []
    assert observed.error is ErrorClass.TARGET_DENIED


async def test_the_server_of_this_machine_is_queried_where_the_job_names_none() -> None:
    async with DnsServer(RECORDS) as server:
        target = DnsTarget(kind="dns", name="shop.test", port=server.port)
        observed = await DnsCheck(LOCAL_GUARD, lambda: "127.0.0.1").observe(
            target, AttemptContext("j@1", 1, PhaseClock())
        )
    assert observed.facts["server"] == "127.0.0.1"


async def test_a_machine_without_name_server_is_reported() -> None:
    def none() -> str:
        raise NoNameServer("This machine names no name server.")

    observed = await DnsCheck(LOCAL_GUARD, none).observe(
        DnsTarget(kind="dns", name="a.test"), AttemptContext("j@1", 1, PhaseClock())
    )
    assert observed.error is ErrorClass.INTERNAL_ERROR
