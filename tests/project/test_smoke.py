""".ci/smoke, run as the pipeline runs it, against a server on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.project import ROOT

Smoke = Callable[..., subprocess.CompletedProcess[str]]


class Answers(BaseHTTPRequestHandler):
    """Gives the scripted answers in turn, the last one for ever: (status, version)."""

    script: list[tuple[int, str]]

    def do_GET(self) -> None:
        assert self.path == "/api/health/ready"
        status, version = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        body = json.dumps({"status": "ok" if status == 200 else "down", "version": version}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def smoke() -> Iterator[Smoke]:
    """Runs `.ci/smoke` against a scheduler that gives these answers."""
    handler = type("Scripted", (Answers,), {"script": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def run(answers: list[tuple[int, str]], *arguments: str) -> subprocess.CompletedProcess[str]:
        handler.script = answers  # type: ignore[attr-defined]  # the class is made above
        url = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, str(ROOT / ".ci" / "smoke"), url, *arguments, "--every", "0.01", "--within", "0.2"]
        return subprocess.run(command, text=True, capture_output=True, timeout=20)

    yield run
    server.shutdown()
    server.server_close()


def test_a_ready_scheduler_at_the_expected_version_passes(smoke: Smoke) -> None:
    assert smoke([(200, "abc")], "abc").returncode == 0


def test_the_old_version_is_waited_out(smoke: Smoke) -> None:
    assert smoke([(200, "old"), (503, "abc"), (200, "abc")], "abc").returncode == 0


def test_a_version_that_never_comes_fails_and_reports_which_one_answered(smoke: Smoke) -> None:
    done = smoke([(200, "old")], "abc")
    assert done.returncode == 1
    assert "its version is old, not abc" in done.stderr


def test_a_scheduler_that_stays_unready_fails_and_shows_its_answer(smoke: Smoke) -> None:
    done = smoke([(503, "abc")])
    assert done.returncode == 1
    assert "not ready: status 503" in done.stderr


def test_without_a_version_readiness_is_enough(smoke: Smoke) -> None:
    assert smoke([(200, "whatever")]).returncode == 0
