"""What the API, commands and pages show is one model: a field of it is a line, a query with its route is four files."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

SHOW_SILENCE = """
import asyncio
from tests.scheduler.api.api_client import ApiClient

async def call():
    async with ApiClient() as client:
        body = {"select": {"jobs": "checkout"}, "for": "2h"}
        await client.post_json("/api/silences", body)
        silence = (await client.get("/api/silences")).json()["silences"][0]
    print(silence["scope"], silence["length_s"])

asyncio.run(call())
"""

QUERIES = '''"""Counts silences."""

from __future__ import annotations

from scheduler.catalog.catalog import Query
from scheduler.features.suppressions.models import SilenceCountModel
from scheduler.features.suppressions.queries import SuppressionQueries
from scheduler.identity.principal import Principal


class SilenceCounts(Query):
    def __init__(self, queries: SuppressionQueries) -> None:
        self._queries = queries

    async def count(self, principal: Principal) -> SilenceCountModel:
        """Return how many silences have not ended. Raises StoreError."""
        return SilenceCountModel(count=len((await self._queries.list_silences(principal)).items))
'''
MODEL = '''class SilenceCountModel(ResponseModel):
    """The number of silences that have not ended."""

    count: int


'''
SERVICE = """
    @cached_property
    def silence_counts(self) -> SilenceCounts:
        from scheduler.features.suppressions.counting_queries import SilenceCounts

        return SilenceCounts(self.suppressions)
"""
ROUTE = '''@silences_router.read("/api/silence-count")
async def count_silences(services: ServicesDep, caller: CallerDep) -> SilenceCountModel:
    """Count the silences that have not ended."""
    return await services.silence_counts.count(caller.principal)


'''
COUNT_SILENCES = """
import asyncio
from tests.scheduler.api.api_client import ApiClient

async def call():
    async with ApiClient() as client:
        print((await client.get("/api/silence-count")).json())

asyncio.run(call())
"""

FIND_WORDS = """
from pathlib import Path

files = (path for folder in ("jobs", "config", "observability", "scheduler") for path in Path(folder).rglob("*.py"))
print(sorted(str(path) for path in files if "ONCE MORE" in path.read_text()))
"""


def test_a_field_of_what_is_shown(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a field of what the API, commands and pages show")
    change.insert(
        "scheduler/features/suppressions/models.py", after="    title: str", text="    scope: str\n    length_s: float"
    )
    change.insert(
        "scheduler/features/suppressions/queries.py",
        before='        url=f"/api/silences/{silence.id}",',
        text="        length_s=(silence.ends_at - silence.starts_at).total_seconds(),",
    )

    assert change.python(SHOW_SILENCE) == "checkout 7200.0\n"
    change.assert_touches_documented_files()


def test_a_route_with_a_query(sample_change: SampleChangeFactory) -> None:
    folder = "scheduler/features/suppressions"
    change = sample_change("a route with a new query")
    change.write(f"{folder}/counting_queries.py", QUERIES)
    change.insert(f"{folder}/models.py", before="class SilenceListModel(", text=MODEL)
    change.insert(f"{folder}/routes.py", before='@silences_router.read("/api/silences/{silence_id}")', text=ROUTE)
    change.insert(f"{folder}/routes.py", after="    SelectorRequest,", text="    SilenceCountModel,")
    services = "scheduler/services.py"
    end_of_part = "return SuppressionQueries(self.catalog, stored.silences, stored.requested_windows, self.clock)"
    change.insert(services, after=end_of_part, text=SERVICE)
    change.insert(
        services,
        before="    from scheduler.features.suppressions.queries import SuppressionCoverage, SuppressionQueries",
        text="    from scheduler.features.suppressions.counting_queries import SilenceCounts",
    )

    assert change.python(COUNT_SILENCES) == "{'count': 0}\n"
    change.assert_touches_documented_files()


def test_a_word_of_a_title(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a word of a title")
    change.replace("jobs/notifications/templates/titles.py", "AGAIN {name}", "ONCE MORE {name}")

    assert change.python(FIND_WORDS) == "['jobs/notifications/templates/titles.py']\n"
    change.assert_touches_documented_files()
