"""Tasks that the tests of judging hand over: they do what a library may do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.expectations.budget import BudgetExceeded
from jobs.judging import OnPartStarted
from jobs.redaction import Redact


@dataclass(frozen=True)
class Sample:
    """Its result is a text. `does`: the name of a function below."""

    does: str
    size: int = 0
    brief: bool = False

    def is_brief(self) -> bool:
        return self.brief

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> str:
        on_part_started(0)
        on_part_started(1)
        return _DOES[self.does](redact)

    def pack(self, result: str) -> Any:
        return result

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> str:
        return complete(packed)

    def undecided(self, place: int, why: str) -> str:
        return f"undecided at {place}: {why}"


def _computes_for_ever(_: Redact) -> str:
    while True:
        pass


def _takes_all_memory(_: Redact) -> str:
    return str(len([bytearray(1024 * 1024) for _ in range(1024)]))


def _fails(_: Redact) -> str:
    raise ValueError("a value of the target")


def _exceeds(_: Redact) -> str:
    raise BudgetExceeded


_DOES: dict[str, Callable[[Redact], str]] = {
    "pid": lambda _: str(os.getpid()),
    "environment": lambda _: " ".join(os.environ),
    "redacts": lambda redact: f"says '{redact('my correct-horse-battery')}'",
    "computes for ever": _computes_for_ever,
    "takes all memory": _takes_all_memory,
    "fails": _fails,
    "exceeds": _exceeds,
    "crashes": lambda _: os.kill(os.getpid(), signal.SIGABRT) or "",
    "ends": lambda _: os.kill(os.getpid(), signal.SIGKILL) or "",
}
