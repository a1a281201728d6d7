"""A server on loopback that counts its requests, for the jobs of containers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Target:
    """`requests`: how many it has answered."""

    def __init__(self) -> None:
        self.requests = 0
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target.requests += 1
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Print no access log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@contextmanager
def running_target() -> Iterator[Target]:
    target = Target()
    Thread(target=target.server.serve_forever, daemon=True).start()
    try:
        yield target
    finally:
        target.server.shutdown()
        target.server.server_close()
