"""Clients of the API that hold connections and bodies: none of them may cost a run."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from bench._attacks.harness import Attack, Scene

HALF_SENT = 2500
SLOW_HEADS = 300
LARGE = 600_000_000
ROUTE = "/api/jobs/late-00000/pause"


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))


class LargeBody(Attack):
    """A page of another site posts 600 MB, with a length and in chunks."""

    name = "large-body"

    def strike(self, scene: Scene) -> None:
        self.sent = [
            _pour(scene, f"sec-fetch-site: cross-site\r\ncontent-length: {LARGE}", b"x" * 65_536),
            _pour(scene, f"content-length: {LARGE}", b"x" * 65_536),
            _pour(scene, "transfer-encoding: chunked", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        ]

    def problems(self, scene: Scene) -> Iterator[str]:
        for status, sent in self.sent:
            if status not in (403, 413) or sent > LARGE / 4:
                yield f"a large body was answered {status} after {sent} bytes"


class HalfSentRequests(Attack):
    """A local user holds 2,500 half-sent requests, at ulimit -n 1024."""

    name = "half-sent-requests"
    limits = staticmethod(_few_files)
    seconds = 30
    head = b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"
    count = HALF_SENT

    def strike(self, scene: Scene) -> None:
        until = time.monotonic() + self.seconds - 5
        with ExitStack() as held:
            for _ in range(self.count):
                held.enter_context(_connected(scene)).send(self.head % ROUTE.encode())
            while time.monotonic() < until:
                for _ in range(20):  # those that were closed come again
                    with suppress(OSError):
                        held.enter_context(_connected(scene)).send(self.head % ROUTE.encode())
                time.sleep(0.2)


class SlowHeads(HalfSentRequests):
    """300 clients send a header a second and never end, at ulimit -n 1024."""

    name = "slow-heads"

    def strike(self, scene: Scene) -> None:
        self.opened, self.longest = 0, 0.0
        with ExitStack() as held, selectors.DefaultSelector() as watched:
            clients: dict[socket.socket, float] = {}
            until = time.monotonic() + self.seconds - 5
            while time.monotonic() < until:
                while len(clients) < SLOW_HEADS:
                    client = held.enter_context(_connected(scene))
                    client.send(b"GET /api/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\n")
                    clients[client] = time.monotonic()
                    watched.register(client, selectors.EVENT_READ)
                    self.opened += 1
                for client in list(clients):
                    with suppress(OSError):
                        client.send(b"x-header: value\r\n")
                for key, _ in watched.select(1.0):
                    client = key.fileobj  # type: ignore[assignment]
                    self.longest = max(self.longest, time.monotonic() - clients.pop(client))
                    watched.unregister(client)
                    client.close()
                time.sleep(0.5)

    def problems(self, scene: Scene) -> Iterator[str]:
        if self.opened == SLOW_HEADS:
            yield "no slow head was ended"
        if self.longest > 20:
            yield f"a slow head was open for {self.longest:.0f} s"


class CrossSite(Attack):
    """Pages of other sites pause the healthy jobs, as old and new browsers send it."""

    name = "cross-site"
    headers = (
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
        "origin: https://evil.example",
        "origin: null",
        "origin: http://127.0.0.1:3000",
        "referer: https://evil.example/page",
        "host: evil.example",
    )

    def strike(self, scene: Scene) -> None:
        self.accepted = []
        for number in range(20):
            for header in self.headers:
                status = _answer(scene, f"/api/jobs/late-{number:05}/pause", header)
                if status not in (400, 403):
                    self.accepted.append(f"{header} ({status})")

    def problems(self, scene: Scene) -> Iterator[str]:
        if self.accepted:
            yield f"{len(self.accepted)} cross-site requests were accepted: {self.accepted[0]}"


def _connected(scene: Scene) -> socket.socket:
    url = urlsplit(scene.scheduler.url)
    return socket.create_connection((url.hostname, url.port), timeout=10)


def _answer(scene: Scene, path: str, header: str) -> int:
    with _connected(scene) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{header}\r\ncontent-length: 0\r\n\r\n".encode())
        return _status(client.recv(4096))


def _pour(scene: Scene, header: str, piece: bytes) -> tuple[int, int]:
    """Send a body until the server has had enough. Returns its status and the bytes that it took."""
    with _connected(scene) as client:
        client.sendall(f"POST {ROUTE} HTTP/1.1\r\nhost: 127.0.0.1\r\n{header}\r\n\r\n".encode())
        sent, answer = 0, b""
        while sent < LARGE:
            try:
                sent += client.send(piece)
                client.setblocking(False)
                with suppress(BlockingIOError):
                    answer += client.recv(4096)
                client.settimeout(10)
            except OSError:
                break
        if not answer:
            with suppress(OSError):
                answer = client.recv(4096)
        return _status(answer), sent


def _status(answer: bytes) -> int:
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


ATTACKS = (LargeBody(), HalfSentRequests(), SlowHeads(), CrossSite())
