"""Adding a route touches the module of its subject; app, OpenAPI and Functions host take its scope from there."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

ROUTE = '''

@router.operate("/api/jobs/{name}/touch", status_code=HTTPStatus.NO_CONTENT)
async def touch_job(services: ServicesDep, name: JobName) -> None:
    """Check that a job exists."""
    services.queries.require_job(name)
'''
CALL_IT = """
import asyncio
from tests.scheduler.api.api_client import ApiClient

async def call():
    async with ApiClient() as client:
        answers = [(await client.post(f"/api/jobs/{name}/touch")).status_code for name in ("checkout", "other")]
        description = (await client.get("/api/openapi.json")).json()
    print([int(status) for status in answers], description["paths"]["/api/jobs/{name}/touch"]["post"]["x-scope"])

asyncio.run(call())
"""


def test_a_route_with_a_scope(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a route with a scope")
    change.insert(
        "scheduler/features/jobs/routes.py",
        after="    return view_run(record)",
        text=ROUTE.removesuffix("\n"),
    )

    assert change.python(CALL_IT) == "[204, 404] operate\n"
    change.pytest("tests/scheduler/api/test_scopes.py")
    change.assert_touches_documented_files()
