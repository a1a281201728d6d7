"""A name server on loopback that answers as a test defines, by UDP and TCP on one port.

    async with DnsServer({("a.test", "A"): ["10.0.0.1"]}) as server:
        server.port

What it does not know is NXDOMAIN. `rcodes` names other errors by name; `silent` names get no answer; `large` answers
say by UDP that they do not fit.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer:
    def __init__(
        self,
        records: Mapping[tuple[str, str], Iterable[str]] | None = None,
        *,
        rcodes: Mapping[str, str] | None = None,
        silent: Iterable[str] = (),
        garbage: Iterable[str] = (),
        large: Iterable[str] = (),
    ) -> None:
        self._records = {key: tuple(values) for key, values in (records or {}).items()}
        self._rcodes = dict(rcodes or {})
        self._silent, self._garbage, self._large = set(silent), set(garbage), set(large)
        self.queries: list[tuple[str, str, str]] = []
        """Protocol, name and type of each question."""
        self.port = 0
        self.stray = False
        """Whether a packet from another port comes before each answer by UDP."""

    async def __aenter__(self) -> DnsServer:
        self._tcp = await asyncio.start_server(self._by_tcp, "127.0.0.1", 0)
        self.port = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Udp(self), local_addr=("127.0.0.1", self.port)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _by_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(length), "tcp")
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def answer(self, packet: bytes, protocol: str) -> bytes | None:
        """None: it stays silent."""
        question = dns.message.from_wire(packet)
        query = question.question[0]
        name, kind = query.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(query.rdtype)
        self.queries.append((protocol, name, kind))
        if name in self._silent:
            return None
        if name in self._garbage:
            return packet[:2] + b"\xff" * 7
        answer = dns.message.make_response(question)
        if name in self._rcodes:
            answer.set_rcode(dns.rcode.from_text(self._rcodes[name]))
        elif name in self._large and protocol == "udp":
            answer.flags |= dns.flags.TC
        elif values := self._records.get((name, kind)):
            answer.answer.append(dns.rrset.from_text_list(query.name, 300, "IN", kind, list(values)))
        elif not any(known == name for known, _ in self._records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire(max_size=65_000)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # which it is not by its class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, "udp")
        if self._server.stray:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stray:
                stray.sendto(b"from another port", addr)
        if answer is not None:
            self._transport.sendto(answer, addr)
