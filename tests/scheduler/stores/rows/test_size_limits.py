"""Runs and dead letters that are too large for a row: what of them is stored, and what is said of the rest."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs import Failure, Outcome, Run
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import Store
from scheduler.stores.runs.codec import encode_finished
from scheduler.stores.runs.open_runs import RunResult
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.size_limits import MAX_ROW_BYTES, fits_row, shrink_run_to_fit
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import at, run_of, ticket

FAILURE = Failure("body_contains 'x'", "x" * 200, "y" * 300)


def letters(count: int, seed: int = 1) -> str:
    """Text that no compression makes small, of three bytes a character."""
    return "".join(map(chr, random.Random(seed).choices(range(0x4E00, 0x9FFF), k=count)))


def large(*, failures: int = 0, body: str = "", message: str = "It failed.", attempts: int = 20) -> Run:
    run = run_of(ticket(), Outcome.FAILED)
    one = replace(run.attempts[0], message="It failed.", failures=(FAILURE,) * failures)
    # Each another one, as equal ones are stored once.
    tried = tuple(
        replace(one, number=number, body=f"{number}{body}", started_at=at(number)) for number in range(1, attempts + 1)
    )
    return replace(run, attempts=tried, message=message)


async def stored(store: Store, run: Run) -> Run:
    runs = Runs(store)
    claim = await runs.claim(ticket(), "me", run.started_at + timedelta(minutes=1), run.started_at)
    assert not hasattr(claim, "record")
    assert await runs.finish_all([RunResult(claim, run)]) == [None]  # type: ignore[arg-type]
    record = await runs.find(run.id)
    assert record is not None
    assert record.run is not None
    return record.run


@pytest.mark.parametrize(
    "run",
    [
        large(failures=6000, attempts=1),
        large(body=letters(16_000)),
        large(body="x" * 16_000, failures=400),
        large(message="m" * 3_000_000),
        large(message=letters(500_000)),
        replace(large(), tags={f"tag-{number}": "v" * 1000 for number in range(2000)}),
    ],
    ids=["failures", "bodies", "both", "message", "not-to-be-compressed", "tags"],
)
async def test_a_run_that_is_too_large_is_stored_and_reports_what_it_lacks(
    store: Store, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    found = await stored(store, run)
    assert (found.outcome, found.error, found.status) == (run.outcome, run.error, run.status)
    assert len(found.attempts) == len(run.attempts)
    assert "(Stored without " in found.message
    assert f"could not store run {run.id} completely: it is too large for a row; (Stored without " in caplog.text


async def test_a_dead_letter_that_is_too_large_is_stored_and_reports_what_it_lacks(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run = large(body=letters(16_000), failures=50)
    letter = DeadLetter.from_run(run, ticket(), entry(dead_letter=True).job, "t" * 100_000)
    await DeadLetters(store).add(letter)

    found = await DeadLetters(store).find(letter.id)

    assert found is not None
    assert (found.ticket, len(found.tried)) == (ticket(), 20)
    assert found.reason.startswith("It failed. (Stored without the answers of all attempts but the last: it has ")
    assert found.definition is not None
    assert f"could not store dead letter {letter.id} completely: it is too large for a row" in caplog.text


def test_a_run_that_fits_is_stored_whole() -> None:
    run = large(body="x" * 2000, failures=5)
    assert shrink_run_to_fit(run, encode_finished) == (encode_finished(run), "")


def test_tags_that_make_each_run_too_large_are_cut_first() -> None:
    run = replace(large(body="x" * 2000), tags={f"tag-{number}": "v" * 1000 for number in range(2000)})
    encoded: list[Run] = []

    def encode(run: Run) -> str:
        encoded.append(run)
        return encode_finished(run)

    _, cut = shrink_run_to_fit(run, encode)
    assert cut.startswith("(Stored without its tags: it has ")
    assert len(encoded) == 2


def test_no_more_is_cut_than_has_to_be() -> None:
    run = large(body=letters(16_000), failures=50)
    text, cut = shrink_run_to_fit(run, encode_finished)
    assert fits_row(text)
    assert len(text.encode()) > MAX_ROW_BYTES / 8
    assert cut.startswith("(Stored without the answers of all attempts but the last: it has ")
