"""What a run takes on disk, as docs/storage.md says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.runs import Failure, Outcome, Run
from scheduler.stores.runs.open_runs import Claim, RunResult
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.stores.samples import LEASE, at, run_of, ticket

_MESSAGE = "Answered 503 Service Unavailable, expected 2xx."
_ANSWER = "<html><body>upstream connect error or disconnect before headers</body></html>\n" * 26
"""As much of an answer as is kept, unless a job says otherwise."""


def failed(attempts: int, answer: str = "") -> Run:
    run = run_of(ticket(), Outcome.FAILED)
    one = replace(run.attempts[0], message=_MESSAGE, failures=(Failure("status", "2xx", "503"),), body=answer)
    tried = tuple(replace(one, number=number, wait_ms=1234.567) for number in range(1, attempts))
    return replace(run, message=_MESSAGE, attempts=(*tried, replace(one, number=attempts)))


@pytest.mark.parametrize(
    ("run", "least", "most"),
    [
        (run_of(ticket()), 550, 800),
        (failed(1), 800, 1300),
        (failed(3), 1300, 2000),
        (failed(3, _ANSWER), 4096, 9500),
    ],
    ids=["succeeded", "failed", "failed three times", "failed three times with an answer"],
)
async def test_a_run_takes_as_many_bytes_as_the_docs_report(tmp_path: Path, run: Run, least: int, most: int) -> None:
    store = await open_sqlite(tmp_path / "store.db", StoreAccess.OWN)
    runs, count = Runs(store), 2000
    for start in range(0, count, 50):
        tickets = [ticket(seconds=10.0 * number) for number in range(start, start + 50)]
        claims = await runs.claim_all([(each, each.due_at + LEASE) for each in tickets], "me", at(0))
        ends = [
            RunResult(
                claim, replace(run, id=claim.ticket.id, due_at=claim.ticket.due_at, correlation_id=claim.ticket.id)
            )
            for claim in claims
            if isinstance(claim, Claim)
        ]
        assert await runs.finish_all(ends) == [None] * 50
    await store.aclose()
    assert least <= (tmp_path / "store.db").stat().st_size / count <= most
