"""Measures memory and readiness during an attack. Used by bench.attack."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from bench._attacks.harness import Scene

EVERY = 0.5
"""Seconds between two looks."""


class Watch:
    """A thread that measures the program until the block ends."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(look,)) for look in (self._memory, self._ready)]
        self.most_memory = 0.0
        """MiB of a process and its child processes, pages that they share counted once; of several the largest."""

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look(self, look: object) -> None:
        assert callable(look)
        while not self._over.wait(EVERY):
            look()

    def _memory(self) -> None:
        for pid in self._scene.scheduler.pids:
            self.most_memory = max(self.most_memory, sum(_mib(each) for each in _family(pid)))

    def _ready(self) -> None:
        now = time.time()
        self._scene.ready.append((now, self._scene.scheduler.status("/api/health/ready")))


def _family(pid: int) -> list[int]:
    """The process and what it has started, directly or not (Linux)."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in children.read_text().split()]
    return found


def _mib(pid: int) -> float:
    """Proportional resident memory; 0 if the process has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
