"""Job files that change under the Functions host, on Microsoft's worker and Azurite."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jobs.runs import Outcome, Ticket
from scheduler.dispatch.batches import TicketBatch, encode_batch
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import Hosted, write_jobs


async def test_a_batch_for_a_job_that_came_with_a_changed_file_is_run(
    hosted: Hosted, jobs: Path, target: HttpTarget
) -> None:
    await hosted.worker.timer("tick")
    write_jobs(jobs, new={"schedule": "every 1s", "check": {"kind": "http", "url": f"{target.url}/new"}})
    due_at = datetime.now(UTC).replace(microsecond=0)
    ticket = Ticket.scheduled("new", due_at, "planned by another instance")

    done = await hosted.worker.queue("work", encode_batch(TicketBatch([ticket])))

    record = await hosted.runs.find(ticket.id)
    assert done.failure is None
    assert record is not None
    assert record.run is not None
    assert record.run.outcome is Outcome.SUCCEEDED
    assert len(target.requests_to("/new")) == 1


async def test_a_tick_plans_a_changed_file_at_once_and_leaves_a_broken_one(
    hosted: Hosted, jobs: Path, target: HttpTarget
) -> None:
    await hosted.worker.timer("tick")
    before = await hosted.queue.length()
    file = write_jobs(jobs, new={"schedule": "every 5s", "check": {"kind": "http", "url": f"{target.url}/new"}})

    changed = await hosted.worker.timer("tick")
    after = await hosted.queue.length()
    file.write_text("jobs: {new: {chek: 1}}")
    broken = await hosted.worker.timer("tick")

    assert (changed.failure, broken.failure) == (None, None)
    assert after >= before + 7  # slices of 10 s until the horizon
