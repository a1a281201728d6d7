"""Cuts a run or a dead letter that is too large for a row, step by step, so that it can be stored. Pure.

Used by scheduler.stores.runs and scheduler.stores.dead_letters. Azure Tables sets the limit: 1 MiB an entity, in which
the text is compressed. A text that does not compress has to fit, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from jobs.runs import Attempt, Failure, Run

MAX_ROW_BYTES = 800_000
"""Bytes of a row's text as UTF-8. The rest of the row is left for later additions."""

_MAX_BYTES_PER_CHARACTER = 4

_MAX_FAILURES, _MAX_FAILURE_PART = 5, 200
"""Retained of a row that is too large: failures of an attempt, and characters of each part of a failure."""
_MAX_ATTEMPT_MESSAGE, _MAX_MESSAGE = 1000, 10_000
"""Retained of such a row: characters of an attempt's message, and of the run's."""
_MAX_TRACEBACK = 10_000
_LARGE_TAGS = 50_000
"""Characters of tags that are cut first."""

AttemptTuple = tuple[Attempt, ...]


class _ShrinkableLetter(Protocol):
    """A dead letter, see scheduler.stores.dead_letters."""

    @property
    def reason(self) -> str: ...
    @property
    def tried(self) -> AttemptTuple: ...
    @property
    def traceback(self) -> str: ...
    @property
    def message(self) -> str: ...


_Reduction = tuple[str, Callable[[Any], Any]]
"""What is lost, and the same thing without it."""
_T = TypeVar("_T")
_L = TypeVar("_L", bound=_ShrinkableLetter)


def fits_row(text: str) -> bool:
    """Return whether every store accepts the text as a row."""
    if len(text) * _MAX_BYTES_PER_CHARACTER <= MAX_ROW_BYTES:
        return True
    return len(text) <= MAX_ROW_BYTES and len(text.encode("utf-8", "replace")) <= MAX_ROW_BYTES


def shrink_run_to_fit(run: Run, encode: Callable[[Run], str]) -> tuple[str, str]:
    """Return the text of the run, and a sentence about what was cut, which the run's message ends with.

    The sentence is empty if nothing had to be cut.
    """
    return _shrink_to_fit(
        run, encode, _CUTS_OF_RUN, lambda cut, words: replace(cut, message=f"{cut.message} {words}".strip())
    )


def shrink_letter_to_fit(letter: _L, encode: Callable[[_L], str]) -> tuple[str, str]:
    """Return a dead letter as a text that fits into a row, and a sentence about what was cut, part of its reason."""
    return _shrink_to_fit(letter, encode, _CUTS_OF_LETTER, _add_to_reason)


def _shrink_to_fit(
    whole: _T, encode: Callable[[_T], str], cuts: Sequence[_Reduction], saying: Callable[[_T, str], _T]
) -> tuple[str, str]:
    text = encode(whole)
    if fits_row(text):
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
            f"and a row holds {MAX_ROW_BYTES} bytes of UTF-8.)"
        )
        text = encode(saying(whole, words))
        if fits_row(text):
            break
    return text, words


def _add_to_reason(letter: Any, words: str) -> Any:
    return replace(letter, reason=f"{letter.reason} {words}".strip())


# --- what is cut, the least missed first ---


def _without_earlier_bodies(attempts: AttemptTuple) -> AttemptTuple:
    return (*(replace(attempt, body="") for attempt in attempts[:-1]), *attempts[-1:])


def _without_bodies(attempts: AttemptTuple) -> AttemptTuple:
    return tuple(replace(attempt, body="") for attempt in attempts)


def _with_few_failures(attempts: AttemptTuple) -> AttemptTuple:
    return tuple(
        replace(attempt, failures=tuple(map(_shorten_failure, attempt.failures[:_MAX_FAILURES])))
        for attempt in attempts
    )


def _shorten_failure(failure: Failure) -> Failure:
    parts = (failure.expectation, failure.expected, failure.observed)
    expectation, expected, observed = (_truncate(part, _MAX_FAILURE_PART) for part in parts)
    return Failure(expectation, expected, observed, failure.severity)


def _with_short_messages(attempts: AttemptTuple) -> AttemptTuple:
    return tuple(replace(attempt, message=_truncate(attempt.message, _MAX_ATTEMPT_MESSAGE)) for attempt in attempts)


def _without_details(attempts: AttemptTuple) -> AttemptTuple:
    return tuple(replace(attempt, details=None) for attempt in attempts)


def _truncate(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_CUTS_OF_ATTEMPTS: tuple[tuple[str, Callable[[AttemptTuple], AttemptTuple]], ...] = (
    ("the answers of all attempts but the last", _without_earlier_bodies),
    ("the answers of all attempts", _without_bodies),
    (f"more than {_MAX_FAILURES} failures of an attempt", _with_few_failures),
    (f"more than {_MAX_ATTEMPT_MESSAGE} characters of an attempt's message", _with_short_messages),
    ("the steps, TLS and DNS details of its attempts", _without_details),
)


def _apply_to_run(cut: Callable[[AttemptTuple], AttemptTuple]) -> Callable[[Run], Run]:
    return lambda run: replace(run, attempts=cut(run.attempts))


def _apply_to_letter(cut: Callable[[AttemptTuple], AttemptTuple]) -> Callable[[Any], Any]:
    return lambda letter: replace(letter, tried=cut(letter.tried))


def _without_large_tags(run: Run) -> Run:
    """Drop large tags first: each run of the job has them, and each attempt to fit would encode them again."""
    size = sum(len(key) + len(text) for key, text in run.tags.items())
    return replace(run, tags={}) if size > _LARGE_TAGS else run


_CUTS_OF_RUN: tuple[_Reduction, ...] = (
    ("its tags", _without_large_tags),
    *((what, _apply_to_run(cut)) for what, cut in _CUTS_OF_ATTEMPTS),
    (
        f"more than {_MAX_MESSAGE} characters of its message",
        lambda run: replace(run, message=_truncate(run.message, _MAX_MESSAGE)),
    ),
    ("its tags", lambda run: replace(run, tags={})),
)
_CUTS_OF_LETTER: tuple[_Reduction, ...] = (
    *((what, _apply_to_letter(cut)) for what, cut in _CUTS_OF_ATTEMPTS),
    (
        f"more than {_MAX_TRACEBACK} characters of its traceback",
        lambda letter: replace(letter, traceback=letter.traceback[-_MAX_TRACEBACK:]),
    ),
    ("the job's definition", lambda letter: replace(letter, definition=None)),
    (
        f"more than {_MAX_MESSAGE} characters of its reason",
        lambda letter: replace(letter, reason=_truncate(letter.reason, _MAX_MESSAGE)),
    ),
)
