"""An HTTP server on loopback in a separate thread, for programs under test that block the event loop of the test.

with serve_in_thread(answer) as url:            # answer(request) -> Answer, as of http_server
    httpx.get(f"{url}/path")

Used by arm_server, datadog_api, grafana, and pages for a real Prometheus.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.parts.http_server import Answer, Request


@contextmanager
def serve_in_thread(answer: Callable[[Request], Answer]) -> Iterator[str]:
    """Yield the address without a slash at the end. Of an answer, status, headers of one line and body are sent."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise each answer waits for the acknowledgement of its head

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found = answer(Request(self.command, self.path, headers, body, time.monotonic(), 1))
            self.wfile.write(found.encode(self.command))

        do_GET = do_POST = do_PUT = do_DELETE = handle_request

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # a client may leave its connection open
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
