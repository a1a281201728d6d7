"""Azure Resource Graph on loopback, with a recorded subscription of 300 resources, tests/data/azure/subscription.json.

with resource_graph() as graph:
    graph.url, graph.resources, graph.containers    # a test can change the rows
    graph.page_rows = 100                           # pages are shorter than a request demands
    graph.refusals.append(refusal(403, "AuthorizationFailed", "..."))
    graph.bodies                                    # of the requests
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts.http_server import Answer, Request
from tests.parts.threaded_server import serve_in_thread

_FILE = Path(__file__).resolve().parents[1] / "data/azure/subscription.json"
RECORDED = json.loads(_FILE.read_text(encoding="utf-8"))
PROD, TEST = (row["subscriptionId"] for row in RECORDED["containers"][:2])
PATH = "/providers/Microsoft.ResourceGraph/resources"

_TYPES = re.compile(r"type in~ \(([^)]*)\)")
_GROUP = re.compile(r"where resourceGroup =~ '([^']*)'")


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer.of_json({"error": {"code": code, "message": message}}, status)


class ResourceGraph:
    """`page`: changes each page before it is sent."""

    def __init__(self) -> None:
        recorded = copy.deepcopy(RECORDED)
        self.url = ""
        self.resources: list[dict[str, Any]] = recorded["resources"]
        self.containers: list[dict[str, Any]] = recorded["containers"]
        self.page_rows = 1000
        self.refusals: list[Answer] = []
        self.bodies: list[dict[str, Any]] = []
        self.changes: dict[str, Any] = {}
        """Members of each page that are replaced."""

    def answer(self, request: Request) -> Answer:
        if self.refusals:
            return self.refusals.pop(0)
        assert (request.method, request.target.partition("?")[0]) == ("POST", PATH)
        assert request.query["api-version"] == "2022-10-01"
        body = request.json()
        self.bodies.append(body)
        return Answer.of_json({**self._find_page(body), **self.changes})

    def _find_page(self, body: dict[str, Any]) -> dict[str, Any]:
        query, options = body["query"], body["options"]
        assert query.endswith("| order by id asc"), "without an order, pages do not fit together"
        rows = self._select(query, body.get("subscriptions"))
        start = int(options.get("$skipToken", "at-0").removeprefix("at-"))
        end = start + min(options["$top"], self.page_rows)
        more = {"$skipToken": f"at-{end}"} if end < len(rows) else {}
        data = rows[start:end]
        return {"totalRecords": len(rows), "count": len(data), "data": data, "resultTruncated": "false", **more}

    def _select(self, query: str, subscriptions: list[str] | None) -> list[dict[str, Any]]:
        """Return the rows of the two queries that a discovery sends."""
        table, _, rest = query.partition(" ")
        group, types = _GROUP.search(rest), _TYPES.search(rest)
        assert types is not None
        named = set(re.findall(r"'([^']*)'", types[1]))
        found = self.containers if table == "resourcecontainers" else self.resources
        rows = [
            row
            for row in found
            if subscriptions is None or row["subscriptionId"] in subscriptions
            if group is None or row["resourceGroup"].lower() == group[1].lower()
        ]
        if table == "resourcecontainers":
            rows = [{"id": row["id"], "type": row["type"]} for row in rows if row["type"] in named]
        else:
            rows = [
                {
                    "id": row["id"],
                    "tags": row["tags"],
                    "properties": row["properties"] if row["type"] in named else None,
                }
                for row in rows
            ]
        return sorted(rows, key=lambda row: str(row["id"]))


@contextmanager
def resource_graph() -> Iterator[ResourceGraph]:
    state = ResourceGraph()
    with serve_in_thread(state.answer) as state.url:
        yield state
