"""The DNS check asks a name server on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoNameServer
from jobs.checks.guard.guard import LOCAL_GUARD, Guard, TargetRules
from jobs.checks.kinds.dns import DnsCheck
from jobs.checks.net import dns_exchange
from jobs.checks.net.dns_exchange import MOST_DNS_RECORDS
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


async def ask(port: int, guard: Guard = LOCAL_GUARD, **target: Any) -> Observation:
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
async def test_the_records_are_told_as_people_write_them(kind: str, name: str, answers: list[str]) -> None:
    async with DnsServer(RECORDS) as server:
        seen = await ask(server.port, type=kind, name=name)
    assert (seen.error, seen.facts["rcode"], seen.facts["answers"]) == (None, "NOERROR", answers)
    assert seen.facts["ttl"] == (300 if answers else None)


@pytest.mark.parametrize(("name", "rcode"), [("nobody.test", "NXDOMAIN"), ("ill.test", "SERVFAIL")])
async def test_an_error_of_the_server_is_an_answer(name: str, rcode: str) -> None:
    async with DnsServer(RECORDS, rcodes={"ill.test": "SERVFAIL"}) as server:
        seen = await ask(server.port, name=name)
    assert (seen.error, seen.facts["rcode"], seen.facts["answers"]) == (None, rcode, [])


def addresses(count: int) -> list[str]:
    return [f"10.1.{number // 256}.{number % 256}" for number in range(count)]


async def test_as_many_records_are_told_as_the_bound_says() -> None:
    async with DnsServer({("many.test", "A"): addresses(MOST_DNS_RECORDS)}) as server:
        seen = await ask(server.port, name="many.test", protocol="tcp")
    assert (seen.error, len(seen.facts["answers"])) == (None, MOST_DNS_RECORDS)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_an_answer_of_more_records_is_refused_before_it_is_parsed(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DnsServer({("many.test", "A"): addresses(MOST_DNS_RECORDS + 1)}) as server:
        monkeypatch.setattr(dns_exchange.dns.message, "from_wire", _only_small(dns_exchange.dns.message.from_wire))
        seen = await ask(server.port, name="many.test", protocol=protocol)
    assert seen.error is ErrorClass.PROTOCOL_ERROR
    assert "answered about many.test with more than 1,000 records: query a name or a type with fewer" in seen.message


def _only_small(parse: Any) -> Any:
    """The server parses its questions with the same function."""

    def from_wire(wire: bytes, **options: Any) -> Any:
        assert len(wire) < 1000
        return parse(wire, **options)

    return from_wire


async def test_a_packet_from_elsewhere_is_not_taken_for_the_answer() -> None:
    async with DnsServer(RECORDS) as server:
        server.stray = True
        assert (await ask(server.port)).facts["answers"] == ["10.0.0.1", "10.0.0.2"]


async def test_an_answer_that_does_not_fit_is_asked_for_by_tcp() -> None:
    async with DnsServer(RECORDS, large=["shop.test"]) as server:
        seen = await ask(server.port)
        assert [protocol for protocol, *_ in server.queries] == ["udp", "tcp"]
    assert seen.facts["answers"] == ["10.0.0.1", "10.0.0.2"]


async def test_tcp_is_asked_at_once_where_the_job_says_so() -> None:
    async with DnsServer(RECORDS) as server:
        await ask(server.port, protocol="tcp")
        assert server.queries == [("tcp", "shop.test", "A")]


async def test_garbage_is_no_answer() -> None:
    async with DnsServer(RECORDS, garbage=["shop.test"]) as server:
        seen = await ask(server.port)
    assert seen.error is ErrorClass.PROTOCOL_ERROR
    assert "not a DNS message" in seen.message


async def test_an_answer_that_fits_on_no_way_is_told() -> None:
    class ByUdpAlone(DnsServer):
        async def _by_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

    async with ByUdpAlone(RECORDS, large=["shop.test"]) as server:
        seen = await ask(server.port)
    assert seen.error is ErrorClass.CONNECTION_FAILED
    assert "truncated its answer over UDP, and gave none over TCP" in seen.message


async def test_a_server_that_resets_the_connection_was_there() -> None:
    async with reset_on_connect() as server:
        seen = await ask(server.port, protocol="tcp")
    assert seen.error is ErrorClass.CONNECTION_RESET


@pytest.mark.parametrize("name", ["\\999.test", "shop\\", "\u2603.test"])
async def test_what_is_no_name_is_not_blamed_on_the_server(name: str) -> None:
    target = DnsTarget(kind="dns", name=name, server="127.0.0.1")
    seen = await DnsCheck(LOCAL_GUARD).observe(target, AttemptContext("j@1", 1, PhaseClock()))
    assert seen.error is ErrorClass.DNS_FAILURE
    assert "is not a valid DNS name" in seen.message


async def test_a_port_without_server_refuses() -> None:
    async with refused_port() as port:
        seen = await ask(port.port, protocol="tcp")
    assert seen.error is ErrorClass.CONNECTION_REFUSED


async def test_silence_lasts_until_the_deadline() -> None:
    async with DnsServer(RECORDS, silent=["shop.test"]) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask(server.port)


async def test_the_guard_is_asked_about_the_server() -> None:
    async with DnsServer(RECORDS) as server:
        seen = await ask(server.port, Guard(TargetRules()))
        assert server.queries == []
    assert seen.error is ErrorClass.TARGET_DENIED


async def test_the_server_of_this_machine_is_asked_where_the_job_names_none() -> None:
    async with DnsServer(RECORDS) as server:
        target = DnsTarget(kind="dns", name="shop.test", port=server.port)
        seen = await DnsCheck(LOCAL_GUARD, lambda: "127.0.0.1").observe(target, AttemptContext("j@1", 1, PhaseClock()))
    assert seen.facts["server"] == "127.0.0.1"


async def test_a_machine_without_name_server_is_told() -> None:
    def none() -> str:
        raise NoNameServer("This machine names no name server.")

    seen = await DnsCheck(LOCAL_GUARD, none).observe(
        DnsTarget(kind="dns", name="a.test"), AttemptContext("j@1", 1, PhaseClock())
    )
    assert seen.error is ErrorClass.INTERNAL_ERROR
