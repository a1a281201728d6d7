"""Cuts a run or a dead letter that is too large for a row, step by step, so that it is recorded. Pure.

Used by runs, run_steps and dead_letters. What a store can hold is set by Azure Tables: 1 MiB an entity, in which the
text is compressed. A text that cannot be compressed has to fit, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from jobs.runs import Attempt, Failure, Run

LARGEST_TEXT = 800_000
"""Bytes of a row's text as UTF-8: some room is left for what is added to the row later."""

_MOST_BYTES_A_CHARACTER = 4

_KEPT_FAILURES, _KEPT_PART = 5, 200
"""Failures of an attempt, and characters of each part of one, that are kept of a row that is too large."""
_KEPT_MESSAGE, _KEPT_SENTENCES = 1000, 10_000
"""Characters of an attempt's message, and of the run's, that are kept of such a row."""
_KEPT_TRACEBACK = 10_000
_LARGE_TAGS = 50_000
"""Characters of tags that are cut first."""

Attempts = tuple[Attempt, ...]


class _Letter(Protocol):
    """A dead letter, see dead_letters.py."""

    @property
    def reason(self) -> str: ...
    @property
    def tried(self) -> Attempts: ...
    @property
    def traceback(self) -> str: ...
    @property
    def message(self) -> str: ...


_Cut = tuple[str, Callable[[Any], Any]]
"""What is lost, and the same thing without it."""
_T = TypeVar("_T")
_L = TypeVar("_L", bound=_Letter)


def fits(text: str) -> bool:
    """Whether every store takes the text as a row."""
    if len(text) * _MOST_BYTES_A_CHARACTER <= LARGEST_TEXT:
        return True
    return len(text) <= LARGEST_TEXT and len(text.encode("utf-8", "replace")) <= LARGEST_TEXT


def run_that_fits(run: Run, encode: Callable[[Run], str]) -> tuple[str, str]:
    """The text of the run, and what was cut off it: a sentence, which the run's message says as well.

    The sentence is empty if nothing had to be cut.
    """
    return _fitted(run, encode, _CUTS_OF_RUN, lambda cut, words: replace(cut, message=f"{cut.message} {words}".strip()))


def letter_that_fits(letter: _L, encode: Callable[[_L], str]) -> tuple[str, str]:
    """The same of a dead letter, whose reason says it."""
    return _fitted(letter, encode, _CUTS_OF_LETTER, _with_reason)


def _fitted(
    whole: _T, encode: Callable[[_T], str], cuts: Sequence[_Cut], saying: Callable[[_T, str], _T]
) -> tuple[str, str]:
    text = encode(whole)
    if fits(text):
        return text, ""
    size, lost, words = len(text), list[str](), ""
    for what, cut in cuts:
        smaller = cut(whole)
        if smaller == whole:
            continue
        whole = smaller
        lost.append(what)
        words = (
            f"(Stored without {', '.join(lost)}: it has {size} characters, "
            f"and a row holds {LARGEST_TEXT} bytes of UTF-8.)"
        )
        text = encode(saying(whole, words))
        if fits(text):
            break
    return text, words


def _with_reason(letter: Any, words: str) -> Any:
    return replace(letter, reason=f"{letter.reason} {words}".strip())


# --- what is cut, the least missed first ---


def _without_earlier_bodies(attempts: Attempts) -> Attempts:
    return (*(replace(attempt, body="") for attempt in attempts[:-1]), *attempts[-1:])


def _without_bodies(attempts: Attempts) -> Attempts:
    return tuple(replace(attempt, body="") for attempt in attempts)


def _with_few_failures(attempts: Attempts) -> Attempts:
    return tuple(
        replace(attempt, failures=tuple(map(_shortened, attempt.failures[:_KEPT_FAILURES]))) for attempt in attempts
    )


def _shortened(failure: Failure) -> Failure:
    parts = (failure.expectation, failure.expected, failure.observed)
    expectation, expected, observed = (_start(part, _KEPT_PART) for part in parts)
    return Failure(expectation, expected, observed, failure.severity)


def _with_short_messages(attempts: Attempts) -> Attempts:
    return tuple(replace(attempt, message=_start(attempt.message, _KEPT_MESSAGE)) for attempt in attempts)


def _without_details(attempts: Attempts) -> Attempts:
    return tuple(replace(attempt, details=None) for attempt in attempts)


def _start(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_CUTS_OF_ATTEMPTS: tuple[tuple[str, Callable[[Attempts], Attempts]], ...] = (
    ("the answers of all attempts but the last", _without_earlier_bodies),
    ("the answers of all attempts", _without_bodies),
    (f"more than {_KEPT_FAILURES} failures of an attempt", _with_few_failures),
    (f"more than {_KEPT_MESSAGE} characters of an attempt's message", _with_short_messages),
    ("the steps, TLS and DNS details of its attempts", _without_details),
)


def _of_run(cut: Callable[[Attempts], Attempts]) -> Callable[[Run], Run]:
    return lambda run: replace(run, attempts=cut(run.attempts))


def _of_letter(cut: Callable[[Attempts], Attempts]) -> Callable[[Any], Any]:
    return lambda letter: replace(letter, tried=cut(letter.tried))


def _without_large_tags(run: Run) -> Run:
    """Each run of the job has them, and each would be encoded several times until they are cut last."""
    size = sum(len(key) + len(text) for key, text in run.tags.items())
    return replace(run, tags={}) if size > _LARGE_TAGS else run


_CUTS_OF_RUN: tuple[_Cut, ...] = (
    ("its tags", _without_large_tags),
    *((what, _of_run(cut)) for what, cut in _CUTS_OF_ATTEMPTS),
    (
        f"more than {_KEPT_SENTENCES} characters of its message",
        lambda run: replace(run, message=_start(run.message, _KEPT_SENTENCES)),
    ),
    ("its tags", lambda run: replace(run, tags={})),
)
_CUTS_OF_LETTER: tuple[_Cut, ...] = (
    *((what, _of_letter(cut)) for what, cut in _CUTS_OF_ATTEMPTS),
    (
        f"more than {_KEPT_TRACEBACK} characters of its traceback",
        lambda letter: replace(letter, traceback=letter.traceback[-_KEPT_TRACEBACK:]),
    ),
    ("the job's definition", lambda letter: replace(letter, definition=None)),
    (
        f"more than {_KEPT_SENTENCES} characters of its reason",
        lambda letter: replace(letter, reason=_start(letter.reason, _KEPT_SENTENCES)),
    ),
)
