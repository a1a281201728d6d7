"""Azure's APIs on loopback: Resource Manager, Microsoft Graph, Log Analytics, Application Insights, Resource Graph.

    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json({...}), azure.refusal(403, "AuthorizationFailed")]   # the last one repeats
        observed = await azure.observe({"kind": "azure_resource", ...})
        azure.requests                              # every Request, in order of arrival

Their names lead to one TLS server; the checks and their transport are the real ones. Answers are written from
tests/data/azure/api_answers.json.
"""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import TypeAdapter

from jobs.checks import Checks
from jobs.checks.binding.names import normalize_scope, parse_host_pattern
from jobs.checks.binding.rules import BindingRule, BindingRules, Bindings
from jobs.checks.clock import PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.checks.net import network
from jobs.checks.outbound import Outbound
from jobs.checks.port import AttemptContext
from jobs.formats import format_iso_instant
from jobs.redaction import Redactor
from jobs.runs import Observation
from jobs.targets import AzureTarget, Target
from jobs.targets.azure_apis import API_HOSTS
from tests.jobs.checks.http_check import MemoryTokens
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.tls import authority

TARGET: TypeAdapter[Target] = TypeAdapter(Target)
_FILE = Path(__file__).resolve().parents[1] / "data/azure/api_answers.json"
APIS: dict[str, dict[str, Any]] = json.loads(_FILE.read_text())["apis"]
HOSTS = tuple(dict.fromkeys(host for hosts in API_HOSTS.values() for host in hosts[:-1]))
STORAGE = "storage.azure.com"
TOKENS = {f"https://{host}/.default": f"token-for-{host}" for host in (*HOSTS, STORAGE)}
_RECIPIENTS = {**{host: [host] for host in HOSTS}, STORAGE: [f"*.{hosts.queues}" for hosts in API_HOSTS.values()]}
ALLOWED = Bindings(
    scopes=BindingRules(
        {
            normalize_scope(f"https://{host}/.default"): BindingRule(tuple(map(parse_host_pattern, recipients)))
            for host, recipients in _RECIPIENTS.items()
        }
    ),
    unbound_scopes=False,
)
"""As the setting identity.allow with a line for each API."""


def entries_of(api: str, count: int, data_age_s: float = 60.0) -> list[dict[str, Any]]:
    """So many different entries like those of the file."""
    known = APIS[api]["entries"]
    made = []
    for number in range(count):
        entry = copy.deepcopy(known[number % len(known)])
        for name, value in entry.items():
            if value == "NOW-60":
                entry[name] = format_iso_instant(datetime.now(UTC) - timedelta(seconds=data_age_s))
            elif number and name in ("name", "displayName", "Computer", "entityname"):
                entry[name] = f"{value}-{number}"
        made.append(entry)
    return made


def page_of(api: str, entries: Sequence[Mapping[str, Any]], following: str = "", data_age_s: float = 60.0) -> Any:
    """A page as the API writes it. `following`: leads to the next one."""
    shape = APIS[api]["shape"]
    if shape == "table":
        columns = APIS[api]["columns"]
        named = [{"name": name, "type": kind} for name, kind in columns.items()]
        return {
            "tables": [
                {
                    "name": "PrimaryResult",
                    "columns": named,
                    "rows": [[row[name] for name in columns] for row in entries],
                }
            ]
        }
    if shape == "graph query":
        page = {"count": len(entries), "data": entries, "facets": [], "resultTruncated": "false"}
        return {**page, "resultTruncated": "true", "$skipToken": following} if following else page
    if shape == "metric":
        return _metric(entries, data_age_s)
    if "body" in APIS[api]["target"]:
        return {"value": entries, **({"continuationToken": following} if following else {})}
    link = "@odata.nextLink" if shape == "graph" else "nextLink"
    return {"value": entries, **({link: following} if following else {})}


def _metric(entries: Sequence[Mapping[str, Any]], data_age_s: float) -> Any:
    ended = datetime.now(UTC) - timedelta(seconds=data_age_s)
    start = ended - timedelta(minutes=1)
    series = []
    for entry in entries:
        dimensions = [{"name": {"value": name}, "value": value} for name, value in entry.items() if name != "value"]
        times = [format_iso_instant(start + timedelta(minutes=minutes)) for minutes in (-1, 0, 1, 2)]
        data = [
            {"timeStamp": times[0], "average": 99.0},
            {"timeStamp": times[1], "average": entry["value"]},
            {"timeStamp": times[2]},  # without data
            {"timeStamp": times[3], "average": 77.0} if data_age_s < 120 else {"timeStamp": times[3]},
        ]
        series.append({"metadatavalues": dimensions, "data": data})
    name = {"value": "DeadletteredMessages", "localizedValue": "Dead-lettered messages"}
    return {"cost": 0, "interval": "PT1M", "value": [{"name": name, "unit": "Count", "timeseries": series}]}


class AzureApis(HttpServer):
    """Answers by its script, whatever the request."""

    def __init__(self) -> None:
        super().__init__(tls="azure")
        self.script: list[Answer] = []
        self.tokens = MemoryTokens(dict(TOKENS))
        self.checks: Checks
        self.dependencies: CheckDependencies

    def answer(self, request: Request) -> Answer:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    @staticmethod
    def refusal(status: int, code: str, message: str = "", **headers: str) -> Answer:
        return Answer.of_json({"error": {"code": code, "message": message}}, status, **headers)

    @classmethod
    @asynccontextmanager
    async def open(cls, **options: Any) -> AsyncIterator[Self]:
        """`options`: those of CheckDependencies."""
        async with cls() as server:
            with _names_lead_to(server.port):
                outbound = Outbound(authorities=(authority().cert_pem.bytes().decode(),))
                known = {
                    "secrets": {},
                    "tokens": server.tokens,
                    "redactor": Redactor(),
                    "guard": LOCAL_GUARD,
                    "bindings": ALLOWED,
                }
                server.dependencies = CheckDependencies(**{**known, "outbound": outbound, **options})
                server.checks = Checks(server.dependencies)
                try:
                    yield server
                finally:
                    await server.checks.aclose()

    async def observe(self, target: Mapping[str, Any], clock: PhaseClock | None = None) -> Observation:
        """Observe a target once, as run `job@1`."""
        checked = TARGET.validate_python(target)
        assert isinstance(checked, AzureTarget)
        call = AttemptContext("job@1", 1, clock or PhaseClock())
        return await self.checks.observe(checked, call)


class _names_lead_to:
    def __init__(self, port: int) -> None:
        self._port = port
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        address = network.ResolvedAddress(int(socket.AF_INET), "127.0.0.1", self._port)
        self._patch.setattr(network, "_look_up", lambda host, port: [address])

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


SUBSCRIPTION = "/subscriptions/5f75c1d4-8a4e-4a53-9c3f-0f6f1f6c2f10"
_HEALTH = "/providers/microsoft.resourcehealth/"


class AzureHealthApis(AzureApis):
    """Answers about resources by their id in lower case, and about all others that they are available.

    async with AzureHealthApis.open() as azure:
        azure.resources[SHOP.lower()] = azure.availability("Unavailable", context="Platform Initiated")
        azure.events = azure.issues("BC_1-FXZ")
        azure.subjects                              # the ids of resources and subscriptions, in order
    """

    def __init__(self) -> None:
        super().__init__()
        self.resources: dict[str, Answer] = {}
        self.events = self.issues()
        self.on_request: Callable[[], None] = lambda: None

    @property
    def subjects(self) -> list[str]:
        return [request.path.lower().partition(_HEALTH)[0] for request in self.requests]

    def answer(self, request: Request) -> Answer:
        self.on_request()
        subject, _, what = request.path.lower().partition(_HEALTH)
        if what == "events":
            return self.events
        return self.resources.get(subject, self.availability("Available"))

    @staticmethod
    def availability(state: Any, **properties: Any) -> Answer:
        known = {"availabilityState": state, "occuredTime": "2026-03-01T02:58:00.1234567Z", "reportedTime": "x"}
        return Answer.of_json({"name": "current", "properties": {**known, **properties}})

    @staticmethod
    def issues(*names: str, kind: str = "ServiceIssue", status: str = "Active") -> Answer:
        events = [
            {"name": name, "properties": {"eventType": kind, "status": status, "title": f"ACTIVE: {name}"}}
            for name in names
        ]
        return Answer.of_json({"value": events})
