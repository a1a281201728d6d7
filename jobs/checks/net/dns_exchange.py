"""One query to a name server and its answer, over UDP or TCP. Called by jobs.checks.kinds.dns.

dnspython's own functions parse any answer on the event loop: 64 KiB of records take it a quarter of a second.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import dns.asyncbackend
import dns.inet
import dns.message
import dns.query

from jobs.checks.errors import TooManyDnsRecords

MOST_DNS_RECORDS = 1000
"""Records of an answer, in all its sections. A thread parses them, in some 60 microseconds each."""

_INLINE_BYTES = 1500
"""Bytes of an answer that is parsed on the event loop, as nearly all are: faster than a thread."""

_LARGEST_MESSAGE = 65_535
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
    place = dns.inet.low_level_address_tuple((server, port), family)
    backend = dns.asyncbackend.get_backend("asyncio")
    packets = await backend.make_socket(family, socket.SOCK_DGRAM)  # type: ignore[no-untyped-call]
    async with packets:
        await packets.sendto(question.to_wire(), place, None)
        while True:
            wire, sender = await packets.recvfrom(_LARGEST_MESSAGE, None)
            if _is_from(sender, place, family):
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


def _is_from(sender: Any, place: Any, family: int) -> bool:
    """Return whether a packet comes from the queried address."""
    known = (dns.inet.inet_pton(family, str(host).partition("%")[0]) for host in (sender[0], place[0]))
    return sender[1] == place[1] and len(set(known)) == 1


async def _read_exactly(stream: Any, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        more = await stream.recv(count - len(found), None)
        if not more:
            raise EOFError
        found += more
    return bytes(found)


async def _parse_answer(
    wire: bytes, question: dns.message.Message, *, raise_on_truncation: bool = False
) -> dns.message.Message:
    # EDNS adds one record.
    if len(wire) >= _HEADER.size and sum(_HEADER.unpack_from(wire)[3:]) > MOST_DNS_RECORDS + 1:
        raise TooManyDnsRecords
    if len(wire) <= _INLINE_BYTES:
        answer = dns.message.from_wire(wire, raise_on_truncation=raise_on_truncation)
    else:
        answer = await asyncio.to_thread(dns.message.from_wire, wire, raise_on_truncation=raise_on_truncation)
    if not question.is_response(answer):
        raise dns.query.BadResponse
    return answer
