"""Routes that are analysed at their first request."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from starlette.routing import BaseRoute

from scheduler.api.routing import ApiRouter
from tests.parts.proc import ROOT, clean_environment

PATHS = ("/api/things", "/api/things/{name}", "/api/things/{name}/parts")
ANALYSED = """
from scheduler.api.app import ROUTERS, _create_app
_create_app("1")
print([route.path for router in ROUTERS for route in router.routes])
"""


def make_router() -> ApiRouter:
    router = ApiRouter()

    async def read() -> None:
        """Read."""

    for path in PATHS:
        router.read(path)(read)
    return router


def paths_of(routes: object) -> list[str]:
    assert isinstance(routes, list | tuple)
    return [route.path for route in routes]


def test_creating_the_app_analyses_no_route() -> None:
    """In a process of its own: others here have had requests."""
    ended = subprocess.run(
        [sys.executable, "-c", ANALYSED], env=clean_environment(), cwd=ROOT, capture_output=True, text=True
    )

    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_a_request_for_another_path_analyses_no_route() -> None:
    router = make_router()

    assert router.find_candidates({"path": "/api/others"}) == ()
    assert router.routes == []


def test_the_first_request_analyses_the_routes_in_the_order_of_their_declarations() -> None:
    router = make_router()

    assert paths_of(router.find_candidates({"path": "/api/things/a"})) == list(PATHS)
    assert paths_of(router.find_candidates({"path": "/api/things/b"})) == list(PATHS)


def test_a_path_behind_a_prefix_of_the_host_may_be_any_route() -> None:
    assert paths_of(make_router().find_candidates({"path": "/api/others", "root_path": "/app"})) == list(PATHS)


def test_requests_at_the_same_time_get_each_route_once() -> None:
    router = make_router()

    def find(_: int) -> list[BaseRoute]:
        return list(router.find_candidates({"path": "/api/things"}))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(find, range(32)))

    assert all(paths_of(routes) == list(PATHS) for routes in found)
