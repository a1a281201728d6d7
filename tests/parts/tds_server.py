"""A double of SQL Server: the sign-in of TDS 7.4 with TLS in pre-login packets, and answers to batches.

    async with TdsServer(answers={"SELECT": ...}) as server:

Written from MS-TDS. `passwords`: those accepted; a token counts as one. `route`: where a gateway redirects to.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.parts.tls import server_context

_PACKET = 4088
_PRELOGIN, _LOGIN7, _ATTENTION, _REPLY = 18, 16, 6, 4


@dataclass
class TdsServer:
    passwords: Sequence[str] = ()
    error: tuple[int, str] | None = None
    """Number and text with which a sign-in is refused."""
    route: tuple[str, int] | None = None
    rows: Mapping[str, Sequence[Sequence[str | int]]] = field(default_factory=dict)
    """By a part of the batch."""
    silent_after: str = ""
    """A part of the batch that is never answered."""
    with_tls: bool = True
    batches: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    read_intents: list[bool] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _Peer(reader, writer)
        try:
            await self._converse(peer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _converse(self, peer: _Peer) -> None:
        await peer.read_message()
        encryption = 1 if self.with_tls else 2
        # VERSION and ENCRYPTION, then their values.
        body = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes((16, 0, 0, 0, 0, 0, encryption))
        await peer.send(body)
        if self.with_tls:
            await peer.start_tls(server_context("good"))
        kind, login = await peer.read_message()
        assert kind == _LOGIN7
        await peer.send(self._answer_login(login))
        while True:
            kind, body = await peer.read_message()
            if kind == _ATTENTION:
                await peer.send(_done(status=0x20))
                continue
            text = body[struct.unpack_from("<I", body)[0] :].decode("utf-16-le")
            self.batches.append(text)
            if self.silent_after and self.silent_after in text:
                await asyncio.sleep(60)
            rows = next((rows for part, rows in self.rows.items() if part in text), None)
            await peer.send(_done() if rows is None else _table(rows))

    def _answer_login(self, login: bytes) -> bytes:
        self.read_intents.append(bool(login[26] & 0x20))
        offset, length = struct.unpack_from("<HH", login, 44)
        password = bytes(_unscramble(each) for each in login[offset : offset + 2 * length]).decode("utf-16-le")
        if login[27] & 0x10:
            password = self._read_token(login)
        if self.error is not None:
            return _error(*self.error) + _done(status=2)
        if password not in self.passwords:
            return _error(18456, "Login failed for user 'monitor'.") + _done(status=2)
        name = "SQL".encode("utf-16-le")
        ack = struct.pack("<B4sB", 1, b"\x74\x00\x00\x04", 3) + name + bytes((16, 0, 0, 0))
        answer = b"\xad" + struct.pack("<H", len(ack)) + ack
        if self.route is not None:
            host = self.route[0].encode("utf-16-le")
            value = struct.pack("<BHH", 0, self.route[1], len(self.route[0])) + host
            change = struct.pack("<BH", 20, len(value)) + value + b"\0\0"
            answer += b"\xe3" + struct.pack("<H", len(change)) + change
        return answer + _done()

    def _read_token(self, login: bytes) -> str:
        (at,) = struct.unpack_from("<I", login, struct.unpack_from("<H", login, 56)[0])
        assert login[at] == 2
        (length,) = struct.unpack_from("<I", login, at + 6)
        token = login[at + 10 : at + 10 + length].decode("utf-16-le")
        self.tokens.append(token)
        return token


class _Peer:
    """Packets of TDS over a stream, with TLS or without."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def read_message(self) -> tuple[int, bytes]:
        body = b""
        while True:
            kind, status, length = struct.unpack(">BBH", (await self._read(8))[:4])
            body += await self._read(length - 8)
            if status & 1:
                return kind, body

    async def send(self, body: bytes, kind: int = _REPLY) -> None:
        for begin in range(0, len(body), _PACKET):
            part = body[begin : begin + _PACKET]
            is_last = begin + _PACKET >= len(body)
            packet = struct.pack(">BBHHBB", kind, int(is_last), len(part) + 8, 0, 1, 0) + part
            if self._tls is not None:
                self._tls.write(packet)
                packet = self._outgoing.read()
            self._writer.write(packet)
        await self._writer.drain()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    await self.send(self._outgoing.read(), _PRELOGIN)
                self._incoming.write((await self.read_message())[1])
                continue
            await self.send(self._outgoing.read(), _PRELOGIN)
            self._tls = tls
            return

    async def _read(self, size: int) -> bytes:
        if self._tls is None:
            return await self._reader.readexactly(size)
        content = b""
        while len(content) < size:
            try:
                content += self._tls.read(size - len(content))
            except ssl.SSLWantReadError:
                received = await self._reader.read(4096)
                if not received:
                    raise asyncio.IncompleteReadError(content, size) from None
                self._incoming.write(received)
        return content


def _unscramble(byte: int) -> int:
    byte ^= 0xA5
    return (byte << 4 | byte >> 4) & 0xFF


def _done(status: int = 0) -> bytes:
    return struct.pack("<BHHQ", 0xFD, status, 0, 0)


def _error(number: int, text: str) -> bytes:
    words = struct.pack("<iBBH", number, 1, 14, len(text)) + text.encode("utf-16-le")
    words += b"\x03" + "SQL".encode("utf-16-le") + b"\0" + struct.pack("<I", 1)
    return b"\xaa" + struct.pack("<H", len(words)) + words


def _table(rows: Sequence[Sequence[str | int]]) -> bytes:
    """Columns c1, c2, ...: nvarchar or int by the first row."""
    out = struct.pack("<BH", 0x81, len(rows[0]))
    for number, value in enumerate(rows[0], 1):
        kind = b"\x26\x04" if isinstance(value, int) else b"\xe7\x40\x1f" + bytes((9, 4, 0xD0, 0, 0x34))
        name = f"c{number}"
        out += struct.pack("<IH", 0, 1) + kind + bytes((len(name),)) + name.encode("utf-16-le")
    for row in rows:
        out += b"\xd1"
        for cell in row:
            if isinstance(cell, int):
                out += b"\x04" + struct.pack("<i", cell)
            else:
                content = cell.encode("utf-16-le")
                out += struct.pack("<H", len(content)) + content
    return out + _done()
