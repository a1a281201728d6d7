"""What services answered to messages, for a test of a channel. Senders add it; nothing is collected otherwise.

with collect_answers() as answers:
    await sender.send(message, None)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_answers: ContextVar[list[str] | None] = ContextVar("answers", default=None)


@contextmanager
def collect_answers() -> Iterator[list[str]]:
    """Collect the answers to what this task, and tasks that it starts, send in the block."""
    answers: list[str] = []
    token = _answers.set(answers)
    try:
        yield answers
    finally:
        _answers.reset(token)


def add_answer(text: str) -> None:
    """Add the answer of a service: a clause without secrets."""
    answers = _answers.get()
    if answers is not None:
        answers.append(text)
