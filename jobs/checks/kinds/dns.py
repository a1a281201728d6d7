"""The check of a DNS target: one query to a name server, over UDP or TCP.

dnspython builds the packets. They are the only ones of checks that do not go through jobs.checks.net.network, as UDP
has no connections; the guard checks the server all the same. The functions that query are here, because those of
dnspython parse any answer on the event loop, which 64 KiB of records block for a quarter of a second. Here a thread
parses a large answer, and an answer with too many records is refused before it is parsed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

import dns.asyncbackend
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from jobs.checks.clock import Peer
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.error_mapping import OUT_OF_RESOURCES, describe_resource_shortage
from jobs.checks.errors import IncompleteDnsAnswer, InvalidDnsName, NoNameServer, TargetDenied, TooManyDnsRecords
from jobs.checks.guard import Guard
from jobs.checks.port import AttemptContext, Check
from jobs.runs import ErrorClass, Observation
from jobs.targets.dns import DnsTarget

MAX_DNS_RECORDS = 1000
"""Records of an answer, in all its sections. A thread parses them, in some 60 microseconds each."""

_INLINE_BYTES = 1500
"""Bytes of an answer that is parsed on the event loop, as nearly all are: faster than a thread."""

_MAX_MESSAGE = 65_535
"""Bytes of an answer."""

_HEADER = struct.Struct("!6H")
"""Of a message: id, flags, and the number of questions and records in its sections."""


async def query_over_udp(question: dns.message.Message, server: str, port: int) -> dns.message.Message:
    """Return the first packet of the server that answers the query.

    Raises:
        TooManyDnsRecords
        dns.message.Truncated: the answer does not fit, query over TCP.
        dns.exception.DNSException: it is not an answer.
        OSError
    """
    family = dns.inet.af_for_address(server)
    address = dns.inet.low_level_address_tuple((server, port), family)
    backend = dns.asyncbackend.get_backend("asyncio")
    packets = await backend.make_socket(family, socket.SOCK_DGRAM)  # type: ignore[no-untyped-call]
    async with packets:
        await packets.sendto(question.to_wire(), address, None)
        while True:
            wire, sender = await packets.recvfrom(_MAX_MESSAGE, None)
            # A packet of another sender is ignored: anyone can send one.
            if _is_from(sender, address, family):
                return await _parse_answer(wire, question, raise_on_truncation=True)


async def query_over_tcp(question: dns.message.Message, server: str, port: int) -> dns.message.Message:
    """Return the answer over TCP. Raises also EOFError: the server closed the connection before its answer was
    complete."""
    backend = dns.asyncbackend.get_backend("asyncio")
    family = dns.inet.af_for_address(server)
    stream = await backend.make_socket(family, socket.SOCK_STREAM, destination=(server, port))  # type: ignore[no-untyped-call]
    async with stream:
        wire = question.to_wire()
        await stream.sendall(struct.pack("!H", len(wire)) + wire, None)
        (length,) = struct.unpack("!H", await _read_exactly(stream, 2))
        return await _parse_answer(await _read_exactly(stream, length), question)


def _is_from(sender: Any, address: Any, family: int) -> bool:
    """Return whether a packet comes from the queried address."""
    # As bytes and without the zone of IPv6: one host has several texts.
    hosts = (dns.inet.inet_pton(family, str(host).partition("%")[0]) for host in (sender[0], address[0]))
    return sender[1] == address[1] and len(set(hosts)) == 1


async def _read_exactly(stream: Any, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        more = await stream.recv(count - len(received), None)
        if not more:
            raise EOFError
        received += more
    return bytes(received)


async def _parse_answer(
    wire: bytes, question: dns.message.Message, *, raise_on_truncation: bool = False
) -> dns.message.Message:
    """Return the parsed answer. Raises TooManyDnsRecords, or DNSException: it does not answer the question."""
    # EDNS adds one record.
    if len(wire) >= _HEADER.size and sum(_HEADER.unpack_from(wire)[3:]) > MAX_DNS_RECORDS + 1:
        raise TooManyDnsRecords
    if len(wire) <= _INLINE_BYTES:
        answer = dns.message.from_wire(wire, raise_on_truncation=raise_on_truncation)
    else:
        answer = await asyncio.to_thread(dns.message.from_wire, wire, raise_on_truncation=raise_on_truncation)
    if not question.is_response(answer):
        raise dns.query.BadResponse
    return answer


_UDP_PAYLOAD = 1232
"""Bytes of an answer that fit into one packet on every path (the figure of DNS flag day 2020)."""

_INLINE_RECORDS = 100
"""Records whose texts are made on the event loop."""


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> DnsCheck:
    """Build the check. Called by jobs.checks."""
    return DnsCheck(dependencies.guard)


class DnsCheck:
    """Observes name servers. `system_server`: returns the address of this machine's first one."""

    def __init__(self, guard: Guard, system_server: Callable[[], str] | None = None) -> None:
        self._guard = guard
        self._system_server = system_server or _system_name_server

    async def observe(self, target: DnsTarget, call: AttemptContext) -> Observation:
        """Query once. An answer with an error, such as NXDOMAIN, is an answer."""
        clock, server = call.clock, target.server or ""
        try:
            if server:
                self._guard.filter_allowed(server, target.port, [server])
            clock.enter("first_byte")
            question = _build_query(target)
            server = server or await asyncio.to_thread(self._system_server)
            clock.permission.confirm_request()
            answer = await _query(target, question, server)
        except Exception as error:
            explained = _classify_dns_error(error, Peer(server, target.port), target)
            if explained is None:
                raise
            error_class, message = explained
            return Observation(clock.stop(), error=error_class, message=message)
        phases = clock.stop()
        # The texts of many records take as long as parsing them.
        records = sum(map(len, answer.answer))
        known = (target, server, answer)
        facts = _answer_facts(*known) if records <= _INLINE_RECORDS else await asyncio.to_thread(_answer_facts, *known)
        return Observation(phases, facts=facts)

    def prepare(self, target: DnsTarget) -> None:
        dns.asyncbackend.get_backend("asyncio")
        # Untyped; it loads the module of the record type.
        dns.rdata.get_rdata_class(dns.rdataclass.IN, dns.rdatatype.from_text(target.type))  # type: ignore[no-untyped-call]

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""


def _build_query(target: DnsTarget) -> dns.message.Message:
    """Raises InvalidDnsName."""
    try:
        return dns.message.make_query(target.name, target.type, use_edns=0, payload=_UDP_PAYLOAD)
    except dns.exception.DNSException as error:
        raise InvalidDnsName(type(error).__name__) from None


async def _query(target: DnsTarget, question: dns.message.Message, server: str) -> dns.message.Message:
    if target.protocol == "tcp":
        return await query_over_tcp(question, server, target.port)
    try:
        return await query_over_udp(question, server, target.port)
    except dns.message.Truncated:
        pass
    try:
        return await query_over_tcp(question, server, target.port)
    except (OSError, EOFError) as error:
        if getattr(error, "errno", None) in OUT_OF_RESOURCES:
            raise
        raise IncompleteDnsAnswer from error


def _answer_facts(target: DnsTarget, server: str, answer: dns.message.Message) -> dict[str, Any]:
    record_type = dns.rdatatype.from_text(target.type)
    sets = [one for one in answer.answer if one.rdtype == record_type]
    return {
        "rcode": dns.rcode.to_text(answer.rcode()),
        "answers": sorted(_record_text(record) for one in sets for record in one),
        "ttl": min((one.ttl for one in sets), default=None),
        "authoritative": bool(answer.flags & dns.flags.AA),
        "server": server,
    }


def _record_text(record: Any) -> str:
    """Return a record as zone files write it, names without the dot at their end, texts without quotes."""
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")
    text: str = record.to_text()
    return text.rstrip(".") if text != "." else text


def _classify_dns_error(error: Exception, peer: Peer, target: DnsTarget) -> tuple[ErrorClass, str] | None:
    match error:
        case TargetDenied():
            return ErrorClass.TARGET_DENIED, f"{error}".rstrip(".") + "."
        case NoNameServer():
            return ErrorClass.INTERNAL_ERROR, f"{error}"
        case OSError() if error.errno in OUT_OF_RESOURCES:
            return ErrorClass.OUT_OF_RESOURCES, describe_resource_shortage(error, peer)
        case InvalidDnsName():
            return ErrorClass.DNS_FAILURE, f"{target.name} is not a valid DNS name ({error}): check name."
        case TooManyDnsRecords():
            return (
                ErrorClass.PROTOCOL_ERROR,
                f"{peer} answered about {target.name} with more than {MAX_DNS_RECORDS:,} records: query a name or a "
                "type with fewer.",
            )
        case IncompleteDnsAnswer():
            number = getattr(error.__cause__, "errno", None)
            reason = os.strerror(number) if number else "it closed the connection"
            return (
                ErrorClass.CONNECTION_FAILED,
                f"{peer} truncated its answer over UDP, and gave none over TCP ({reason}).",
            )
        case ConnectionRefusedError():
            return ErrorClass.CONNECTION_REFUSED, f"{peer} refused the query: no name server listens on this port."
        case ConnectionError():
            return ErrorClass.CONNECTION_RESET, f"{peer} reset the connection before its answer was complete."
        case OSError():
            reason = error.strerror or type(error).__name__
            return ErrorClass.CONNECTION_FAILED, f"The query did not reach {peer}: {reason}."
        case EOFError():
            return ErrorClass.CONNECTION_RESET, f"{peer} closed the connection before its answer was complete."
        case dns.exception.DNSException():
            kind = type(error).__name__
            return (
                ErrorClass.PROTOCOL_ERROR,
                f"{peer} answered about {target.name} with something that is not a DNS message ({kind}).",
            )
    return None


def _system_name_server() -> str:
    """Raises NoNameServer."""
    try:
        servers = dns.resolver.Resolver().nameservers
    except dns.resolver.NoResolverConfiguration:
        servers = []
    if not servers:
        raise NoNameServer("This machine has no name server configured (/etc/resolv.conf): set check.server.")
    return str(servers[0])
