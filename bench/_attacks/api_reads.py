"""Many clients read the largest answers of the API, and some never take them."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from bench._attacks.harness import Attack, Scene

READERS = 100
PIPELINED = 5


class ApiReads(Attack):
    """100 clients ask for lists of 500 runs again and again, five at once, half of them without reading."""

    name = "api-reads"

    def strike(self, scene: Scene) -> None:
        until = time.monotonic() + self.seconds - 3
        readers = [threading.Thread(target=_ask, args=(scene, number, until)) for number in range(READERS)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()


def _ask(scene: Scene, number: int, until: float) -> None:
    url = urlsplit(scene.scheduler.url)
    request = b"GET /api/runs?limit=500 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * PIPELINED
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection((url.hostname, url.port), timeout=2) as client:
            client.sendall(request)
            if number % 2:
                time.sleep(min(5.0, max(0.0, until - time.monotonic())))
            else:
                while client.recv(65_536) and time.monotonic() < until:
                    pass


ATTACKS = (ApiReads(),)
