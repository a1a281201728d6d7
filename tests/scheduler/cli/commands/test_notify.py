"""`notify test`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs


@contextmanager
def service(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A service on loopback, and the bodies that it received."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", "8")
            self.end_headers()
            self.wfile.write(b"received")

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def define_channel(folder: Path, url: str) -> None:
    write_jobs(folder, checkout={"check": {"url": "http://127.0.0.1:9/"}})
    channels = {"team": {"kind": "webhook", "url": url}}
    (folder / "alerting.json").write_text(json.dumps({"alerting": {"channels": channels}}))


def test_it_prints_what_was_sent_and_the_answer(job_folder: Path) -> None:
    with service(202) as (url, received):
        define_channel(job_folder, url)
        done = invoke("notify", "test", "team")
    assert done.code == 0, done.stderr
    assert done.lines[0].startswith("TEST DOWN checkout since 03:01")
    assert done.lines[-2] == f"answer: {url.removeprefix('http://')} responded with status 202: received"
    assert done.lines[-1].startswith("channel team (webhook) accepted the test within ")
    assert json.loads(received[0])["title"] == done.lines[0]
    assert "a test message was sent to channel team" in invoke("audit", "list").stdout


def test_a_channel_that_does_not_accept_it_is_a_failure(job_folder: Path) -> None:
    with service(503) as (url, _):
        define_channel(job_folder, url)
        done = invoke("notify", "test", "team", "--json")
    assert done.code == 1
    assert "responded with status 503" in json.loads(done.stdout)["error"]


def test_an_unknown_channel_or_incident_is_a_failure(job_folder: Path) -> None:
    define_channel(job_folder, "http://127.0.0.1:9/")
    assert "did you mean team" in invoke("notify", "test", "taem").stderr
    assert "there is no incident" in invoke("notify", "test", "team", "--incident", "x").stderr
