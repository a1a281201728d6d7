"""A server on loopback that speaks HTTP/2 alone: by ALPN behind TLS, without TLS at once.

async with Http2Server(tls=True) as server:
    server.status, server.body = 503, b"down"
    server.then = "reset"               # or "goaway", "close": instead of the body
    server.url, server.ca_file, server.requests     # requests: their headers as dicts, with :method and the like
"""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events

from tests.parts.http_server import StreamServer
from tests.parts.tls import ca_file, server_context


class Http2Server(StreamServer):
    def __init__(self, *, tls: bool = False) -> None:
        context = server_context() if tls else None
        if context is not None:
            context.set_alpn_protocols(["h2"])
        super().__init__(scheme="https" if tls else "http", context=context)
        self.ca_file = ca_file()
        self.status = 200
        self.body = b"ready"
        self.then = ""
        self.delay = 0.0
        self.heads: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        writer.write(http.data_to_send())
        body = b""
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.heads.append({str(name): str(value) for name, value in event.headers})
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                    http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, h2.events.StreamEnded):
                    self.bodies.append(body)
                    writer.write(http.data_to_send())
                    await asyncio.sleep(self.delay)
                    if self._answer(http, event.stream_id):
                        writer.write(http.data_to_send())
                        writer.write_eof()
            writer.write(http.data_to_send())

    def _answer(self, http: h2.connection.H2Connection, stream: int) -> bool:
        """Whether the connection ends with it."""
        http.send_headers(stream, [(":status", str(self.status)), ("x-node", "a"), ("x-node", "b")])
        if self.then == "reset":
            http.reset_stream(stream, 2)
        elif self.then == "goaway":
            http.close_connection(2, last_stream_id=0)
        elif self.then != "close":
            http.send_data(stream, self.body, end_stream=True)
        return self.then in ("close", "goaway")
