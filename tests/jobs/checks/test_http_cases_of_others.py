"""What blackbox_exporter makes of a target, we make of it, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.expectations import judge
from tests.jobs.checks.asking import Asking
from tests.parts.http_target import HttpTarget

_FILE = Path(__file__).parents[2] / "data" / "checks" / "visits.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in _CASES])
async def test_a_visit_ends_as_others_see_it_end(ask: Asking, case: dict[str, Any]) -> None:
    async with HttpTarget(tls=case.get("certificate")) as server:
        for place, answer in case["target"].items():
            method, _, path = place.rpartition(" ")
            server.on(path, **answer, method=method or None)
        check = dict(case["check"])
        url = server.url if case.get("scheme", True) else server.url.removeprefix("http://")
        seen = await ask(url + check.pop("path"), **check)
        for request in server.requests[-1:]:
            assert case.get("sent", "") in request.body.decode()
        assert len(server.requests) == case.get("requests", len(server.requests))
    assert (seen.error is None and judge(seen, ()) == ()) is case["succeeds"]
    assert seen.error == case.get("error")
    assert seen.status == case.get("status", seen.status)
