"""How many requests runs cost on Azure Tables, counted on the wire: see the arithmetic in docs/storage.md."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count, islice
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient

from jobs.runs import Ticket
from scheduler.stores.azure import errors
from scheduler.stores.azure.store import AzureTablesStore
from scheduler.stores.runs.keys import shard_of_job
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, RunResult, Runs
from scheduler.worker.options import FUNCTIONS_OPTIONS
from tests.parts.azurite import Azurite
from tests.parts.held_line import HeldLine
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket


class Counting(AioHttpTransport):  # type: ignore[misc]  # azure.core does not tell its type
    """The real transport; counts what it sends. Of as many transactions as `late` says no answer comes, and `unsent` do
    not reach the service."""

    requests = 0
    late = 0
    unsent = 0

    async def send(self, request: Any, **config: Any) -> Any:
        self.requests += 1
        if self.unsent and request.method == "POST":
            self.unsent -= 1
            raise ServiceResponseError("the connection broke before")
        answer = await super().send(request, **config)
        if self.late and request.method == "POST":
            self.late -= 1
            raise ServiceResponseError("no answer within 6 s")
        return answer


@pytest.fixture
def wire() -> Counting:
    return Counting()


@pytest.fixture
async def store(azurite: Azurite, storage_prefix: str, wire: Counting) -> AsyncIterator[AzureTablesStore]:
    service = TableServiceClient.from_connection_string(azurite.connection_string, transport=wire)
    store = AzureTablesStore(service, storage_prefix)
    # The tables are there before a test begins to count.
    await store.get_row("history", "0", "none")
    wire.requests = 0
    yield store
    await store.aclose()


def tickets(number: int) -> list[Ticket]:
    return [ticket(f"job-{place}") for place in range(number)]


def same_part(number: int) -> list[Ticket]:
    """Tickets whose runs share a part of the history."""
    names = (f"job-{place}" for place in count())
    return [ticket(name) for name in islice((name for name in names if shard_of_job(name) == "0"), number)]


async def claimed(runs: Runs, expected: list[Ticket]) -> list[Claim]:
    answers = await runs.claim_all([(one, NOON + LEASE) for one in expected], "me", NOON)
    assert all(isinstance(answer, Claim) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Claim)]


@pytest.mark.parametrize(("number", "most"), [(10, 0.8), (100, 0.12), (250, 0.09)])
async def test_runs_of_a_batch_are_claimed_and_finished_by_far_less_than_a_request_each(
    store: AzureTablesStore, wire: Counting, number: int, most: float
) -> None:
    runs = Runs(store)

    claims = await claimed(runs, tickets(number))
    await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims])

    assert wire.requests / number <= most


async def test_a_run_alone_is_claimed_and_finished_by_a_request_each(store: AzureTablesStore, wire: Counting) -> None:
    runs = Runs(store)

    claim = await runs.claim(ticket(), "me", NOON + LEASE, NOON)
    assert (isinstance(claim, Claim), wire.requests) == (True, 1)
    await runs.finish(claim, run_of(ticket()))  # type: ignore[arg-type]  # it is a claim, see above

    assert wire.requests == 2


async def test_a_hundred_claims_are_renewed_by_a_request_for_each_part_of_the_history(
    store: AzureTablesStore, wire: Counting
) -> None:
    runs = Runs(store)
    claims = await claimed(runs, tickets(100))
    wire.requests = 0

    await runs.renew_all(claims, NOON + 2 * LEASE)

    assert wire.requests <= 6


async def test_what_follows_from_a_hundred_runs_is_settled_by_a_request_for_each_part(
    store: AzureTablesStore, wire: Counting
) -> None:
    runs = Runs(store)
    claims = await claimed(runs, tickets(100))
    await runs.finish_all([RunResult(claim, run_of(claim.ticket), acknowledged=False) for claim in claims])
    wire.requests = 0

    await runs.acknowledge(*(run_of(claim.ticket) for claim in claims))

    assert wire.requests == 4
    assert await runs.list_unacknowledged() == []


async def test_a_queued_run_is_claimed_by_four_requests_and_recording_one_takes_one(
    store: AzureTablesStore, wire: Counting
) -> None:
    runs = Runs(store)
    await runs.enqueue(ticket("a"))
    await runs.insert_finished(ticket("b"), run_of(ticket("b")))
    assert wire.requests == 2

    await runs.claim(ticket("a"), "me", NOON + LEASE, NOON)

    # Refused, read for a mark of our own, read for what it is, and claimed.
    assert wire.requests == 2 + 4


async def test_one_late_answer_of_a_full_transaction_costs_one_query_more(
    store: AzureTablesStore, wire: Counting
) -> None:
    runs, together = Runs(store), same_part(50)
    for one in same_part(8):
        # History between the rows of the transaction.
        await runs.insert_finished(ticket(one.job, -60.0), run_of(ticket(one.job, -60.0)))
    wire.requests, wire.late = 0, 1

    claims = await claimed(runs, together)

    assert wire.requests == 2
    wire.requests, wire.late = 0, 1
    assert await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims[:25]]) == [None] * 25
    assert wire.requests == 2


async def test_an_answer_that_is_held_back_on_the_wire_costs_one_query_more(
    azurite: Azurite, storage_prefix: str
) -> None:
    """The same with all of the client's own policies, over a line that holds back the answer of one transaction."""
    port = urlsplit(azurite.table_url).port
    assert port is not None
    async with HeldLine(port) as line:
        string = azurite.connection_string.replace(f":{port}/", f":{line.port}/")
        service = TableServiceClient.from_connection_string(string, read_timeout=1, retry_total=1)
        store = AzureTablesStore(service, storage_prefix)
        await store.get_row("history", "0", "none")
        line.requests.clear()
        line.hold("POST", 1)

        await claimed(Runs(store), same_part(50))

        await store.aclose()
    methods = [request.partition(" ")[0] for request in line.requests]
    assert methods == ["POST", "GET"]


async def test_a_late_answer_of_a_transaction_that_was_not_made_costs_one_query_and_a_second_try(
    store: AzureTablesStore, wire: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "MAX_RESEND_DELAY", 0.0)
    wire.unsent = 1

    await claimed(Runs(store), same_part(50))

    assert wire.requests == 3


async def test_rows_that_a_query_does_not_come_to_are_read_one_by_one(
    store: AzureTablesStore, wire: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "MAX_SEARCH_PAGES", 0)
    wire.late = 1

    runs = Runs(store)

    claims = await claimed(runs, same_part(20))

    assert wire.requests == 1 + 2 * 20
    assert await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims]) == [None] * 20


async def test_one_ticket_that_is_held_costs_its_batch_a_few_requests_more(
    store: AzureTablesStore, wire: Counting
) -> None:
    runs = Runs(store)
    await runs.claim(tickets(100)[17], "other", NOON + LEASE, NOON)
    wire.requests = 0

    answers = await runs.claim_all([(one, NOON + LEASE) for one in tickets(100)], "me", NOON)

    assert [place for place, answer in enumerate(answers) if isinstance(answer, AlreadyClaimed)] == [17]
    assert wire.requests <= 6 + 4


async def test_one_claim_that_is_lost_keeps_no_other_from_its_end(store: AzureTablesStore, wire: Counting) -> None:
    runs = Runs(store)
    claims = await claimed(runs, tickets(100))
    await runs.claim(claims[42].ticket, "other", at(200), at(61))
    wire.requests = 0

    answers = await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims])

    assert [place for place, answer in enumerate(answers) if answer is not None] == [42]
    assert isinstance(answers[42], ClaimLost)
    assert wire.requests <= 6 + 4


async def test_a_batch_that_comes_again_costs_no_more_than_a_few_requests_for_each_ticket(
    store: AzureTablesStore, wire: Counting
) -> None:
    runs = Runs(store)
    await claimed(runs, tickets(20))
    wire.requests = 0

    again = await runs.claim_all([(one, NOON + LEASE) for one in tickets(20)], "other", NOON)

    assert all(isinstance(answer, AlreadyClaimed) for answer in again)
    assert wire.requests <= 3 * 20


async def test_a_full_message_that_comes_twice_costs_a_few_lists_instead_of_requests_for_each_ticket(
    store: AzureTablesStore, wire: Counting
) -> None:
    """As it does if the queue's answer to the tick was late, and the client sent it again."""
    runs = Runs(store)
    claims = await claimed(runs, tickets(200))
    await runs.finish_all([RunResult(claim, run_of(claim.ticket)) for claim in claims[:120]])
    wire.requests = 0

    again = await runs.claim_all([(one, NOON + LEASE) for one in tickets(230)], "other", NOON)

    assert [isinstance(answer, Claim) for answer in again] == [False] * 200 + [True] * 30
    assert [answer.retry_at for answer in again[120:200]] == [NOON + LEASE] * 80  # type: ignore[union-attr]
    assert wire.requests <= 25


async def test_a_worker_makes_less_than_one_request_a_run_for_a_batch_of_repeatable_runs(
    store: AzureTablesStore, wire: Counting
) -> None:
    """All of it: claims ahead, what the gates ask, results, what a worker looks at now and then."""
    # A result does not linger if the job's next run is close, so that must not be, whenever this is run.
    jobs = [entry(f"job-{place}", "every 1d") for place in range(100)]
    harness = WorkerHarness(jobs=jobs, ways=FUNCTIONS_OPTIONS, shared=True, over=store)
    planned = [harness.ticket(0.5, f"job-{place}") for place in range(100)]

    ends = await harness.worker.execute_batch(planned)
    made = wire.requests

    assert [end for _, end in ends if end is not None] == []
    assert len((await harness.runs.list_page(outcome="succeeded", limit=200)).records) == 100
    assert made / 100 <= 0.3


@pytest.mark.parametrize("effect", ["once", "repeatable"])
async def test_a_run_that_nothing_travels_with_takes_at_most_three_requests(
    store: AzureTablesStore, wire: Counting, effect: str
) -> None:
    harness = WorkerHarness(jobs=[entry(effect=effect)], ways=FUNCTIONS_OPTIONS, shared=True, over=store)
    await harness.pauses.list_active(harness.clock.now())
    await harness.worker.execute(harness.ticket(0.1))  # the job becomes up, and the process reads the states of jobs
    wire.requests = 0

    await harness.worker.execute(harness.ticket(0.2))

    assert wire.requests <= 3
    assert len((await harness.runs.list_page(outcome="succeeded")).records) == 2
