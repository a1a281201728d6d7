"""The route that exports jobs as a job file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import islice
from typing import Annotated

from fastapi import Query
from starlette.responses import StreamingResponse

from scheduler.api.routes.filters import (
    KindsParameter,
    NamesParameter,
    StatesParameter,
    TagsParameter,
    parse_job_filters,
)
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.identity.literals import show_definition
from scheduler.queries.job_files import JobFileFormat, write_job_file
from scheduler.turns import SharedTurns

router = ApiRouter("jobs", by_tag=True)

_CHUNK = 50
"""Parts of a job file that are sent together."""
_MAX_EXPORTED_JOBS = 1_000_000
_RESPONSES = {
    200: {
        "description": "A job file that loads unchanged",
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


@router.read("/api/exports/jobs", response_class=StreamingResponse, responses=_RESPONSES)
async def export_jobs(
    services: ServicesDep,
    caller: CallerDep,
    format: Annotated[JobFileFormat, Query(description="The format of the file")] = JobFileFormat.YAML,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    state: StatesParameter = [],  # noqa: B006
) -> StreamingResponse:
    """Export all jobs, or those that match the filters, as a job file that loads unchanged.

    It contains the full form with the keys that differ from the defaults; in YAML the origin of each job is a comment.
    For callers below admin, `***` replaces literal credentials.
    """
    selection = parse_job_filters(name, kind, tag, state, [])
    jobs = services.queries.current_jobs()
    names, _ = await services.queries.select_names(selection, limit=_MAX_EXPORTED_JOBS)
    show = partial(show_definition, principal=caller.principal)
    parts = write_job_file((entry for each in names if (entry := jobs.find_job(each)) is not None), format, show)
    headers = {"Content-Disposition": f'attachment; filename="jobs.{format.value}"'}
    return StreamingResponse(_read_parts(parts, services.turns), media_type=format.media_type, headers=headers)


async def _read_parts(parts: Iterator[str], turns: SharedTurns) -> AsyncIterator[str]:
    """Write on the event loop: a thread that computes would delay each step of a run until it is switched."""
    while True:
        chunk = list[str]()
        await turns.do_each(chunk.append, islice(parts, _CHUNK))
        if not chunk:
            return
        yield "".join(chunk)
