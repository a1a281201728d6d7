"""The states in which every page is tested, each served on loopback with the addresses of its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from playwright.async_api import Browser

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, TransitionKind
from scheduler.authentication.port import Authentication
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.access.test_tag_limits import Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.page_list import list_addresses
from tests.scheduler.api.dashboard.every_page.world import PLAIN, Texts, fill, jobs_of
from tests.scheduler.api.dashboard.site import Site, open_site
from tests.scheduler.fakes import entry

HTML = {"accept": "text/html"}
MANY_JOBS = 5000
ADMIN = Principal(PrincipalKind.API_KEY, "ada", Role.ADMIN)
VIEWER = Principal(PrincipalKind.API_KEY, "vera", Role.VIEWER)
NOTHING: Mapping[str, str] = {
    "name": "nothing",
    "run_id": "nothing@20260301T123517.476Z",
    "incident_id": "1772366400000-00000009",
    "letter_id": "20260301T123517.476Z.000000000009",
    "channel": "nothing",
    "key": "nothing",
    "silence_id": "1772366400000-00000009",
    "window_id": "1772366400000-00000009",
    "number": "1",
}
"""Examples of parameters of which nothing exists."""

State = tuple[Site, list[str]]


@asynccontextmanager
async def open_used(browser: Browser, texts: Texts = PLAIN) -> AsyncIterator[State]:
    """Something of everything."""
    client = ApiClient(jobs=jobs_of(texts))
    addresses = list_addresses(await fill(client, texts))
    async with open_site(browser, client) as site:
        yield site, addresses


@asynccontextmanager
async def open_empty(browser: Browser) -> AsyncIterator[State]:
    """There is no job; pages of one object say that it does not exist."""
    async with open_site(browser, ApiClient(jobs=[])) as site:
        yield site, list_addresses(NOTHING)
        expect_statuses(site, 404)


@asynccontextmanager
async def open_unused(browser: Browser) -> AsyncIterator[State]:
    """There are jobs, and nothing has happened yet."""
    client = ApiClient(jobs=jobs_of(PLAIN))
    addresses = [each for each in list_addresses({**NOTHING, "name": PLAIN.name}) if "nothing" not in each]
    async with open_site(browser, client) as site:
        yield site, addresses
        expect_statuses(site, 404)


@asynccontextmanager
async def open_many_jobs(browser: Browser) -> AsyncIterator[State]:
    """5,000 jobs of 40 teams, one of which is down."""
    teams = [{"team": f"team-{number % 40:02}"} for number in range(MANY_JOBS)]
    jobs = [entry(f"service-{number:04}", tags=tags) for number, tags in enumerate(teams)]
    client = ApiClient(REFUSED, jobs=jobs)
    run_id = await client.perform("service-0007")
    values = {**NOTHING, "name": "service-0007", "run_id": run_id}
    async with open_site(browser, client) as site:
        yield site, [each for each in list_addresses(values) if "nothing" not in each]
        expect_statuses(site, 404)


@asynccontextmanager
async def open_storm(browser: Browser) -> AsyncIterator[State]:
    """40 of 120 jobs are down, with ten open incidents: the pages on which all of them are."""
    names = [f"{team}-service-{number:02}" for number in range(30) for team in ("cart", "mail", "search", "shop")]
    jobs = [entry(name, tags={"team": name.partition("-")[0]}, retry={"attempts": 1}) for name in names]
    client = ApiClient(*[REFUSED] * 40, jobs=jobs)
    for number in range(40):
        await client.perform(names[number], -60.0 * number)
    now, rows = client.shop.clock.now(), client.shop.repositories.engine_rows
    steps = []
    for number in range(10):
        keys = [AlertKey(name, "failed") for name in names[number * 4 : number * 4 + 4]]
        since = now - timedelta(minutes=3 * number)
        members = tuple(Member(key, 1, "down", 20, now, since, "The last 3 runs failed.") for key in keys)
        incident = Incident(f"{1772366400000 + number}-00000001", 0, IncidentStatus.OPEN, now, members, keys[0])
        steps.append(IncidentStep(None, incident))
        steps[-1].add_transition(TransitionKind.OPENED, now, "The last 3 runs failed.", key=keys[0])
    await rows.write((await rows.read()).head, now, steps)
    async with open_site(browser, client) as site:
        yield site, ["/api/dashboard", "/api/dashboard/wall", "/api/dashboard/incidents"]


@asynccontextmanager
async def open_store_away(browser: Browser) -> AsyncIterator[State]:
    """The store fails after every page was shown once."""
    client = ApiClient(jobs=jobs_of(PLAIN))
    addresses = list_addresses(await fill(client))
    for address in addresses:
        await client.request("GET", address, headers=HTML)
    client.break_store()
    async with open_site(browser, client) as site:
        yield site, addresses
        expect_statuses(site, 503)


@asynccontextmanager
async def open_as_viewer(browser: Browser) -> AsyncIterator[State]:
    """The caller may read alone."""
    caller = Fixed(ADMIN)
    client = ApiClient(jobs=jobs_of(PLAIN), authentication=Authentication(caller))
    addresses = list_addresses(await fill(client))
    caller.principal = VIEWER
    async with open_site(browser, client) as site:
        yield site, addresses
        expect_statuses(site, 403)


def expect_statuses(site: Site, *statuses: int) -> None:
    """Browsers report these on the console."""
    texts = tuple(f"the server responded with a status of {status}" for status in statuses)
    site.complaints[:] = [each for each in site.complaints if not any(text in each for text in texts)]


STATES: Mapping[str, Callable[[Browser], AbstractAsyncContextManager[State]]] = {
    "in use": open_used,
    "empty": open_empty,
    "never run": open_unused,
    "store away": open_store_away,
    "viewer": open_as_viewer,
    "storm": open_storm,
    "5,000 jobs": open_many_jobs,
}
