"""A client of the scheduler's API: health, the last tick, runs, and a run of the canary job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from delivery.app.http import REQUEST_TIMEOUT, Http, NoAnswer, Response
from delivery.clock import format_instant, parse_instant
from delivery.errors import DeliveryError

RUNS_PER_PAGE = 500
WAIT_MARGIN = 10.0
"""Seconds for the response in addition to the time that the scheduler waits for a run."""


class AppError(DeliveryError):
    """The scheduler does not answer, or refuses the request."""


class AccessRefused(AppError):
    """The key is missing or lacks the scope: a repetition does not help."""


@dataclass(frozen=True)
class HealthAnswer:
    """`down`: the parts that are down."""

    version: str
    is_ready: bool
    down: tuple[str, ...]

    def is_ready_without(self, parts: frozenset[str]) -> bool:
        """Return whether all other parts work."""
        return self.is_ready or (bool(self.down) and parts.issuperset(self.down))


@dataclass(frozen=True)
class PlanningRound:
    """A planning round: its instant by the clock of the scheduler, and the seconds since then.

    The clock of this machine can differ, so instants of both are never compared.
    """

    at: datetime
    age: float

    @property
    def server_time(self) -> datetime:
        """The time of the scheduler when it answered."""
        return self.at + timedelta(seconds=self.age)


@dataclass(frozen=True)
class RunAnswer:
    """A run. `outcome`: empty until it is finished."""

    id: str
    job: str
    trigger: str
    state: str
    outcome: str
    message: str
    due_at: datetime


@dataclass(frozen=True)
class AppKeys:
    """The values of the keys; empty: requests are sent without one."""

    header: str
    read: str = ""
    operate: str = ""

    def reader(self) -> dict[str, str]:
        return {self.header: self.read} if self.read else {}

    def operator(self) -> dict[str, str]:
        return {self.header: self.operate} if self.operate else {}


class SchedulerApi:
    """The API at a URL. Every method raises AppError."""

    def __init__(self, http: Http, url: str, keys: AppKeys) -> None:
        self.url = url.rstrip("/")
        self._http = http
        self._keys = keys

    def read_health(self) -> HealthAnswer:
        """Return version and readiness. Needs no key."""
        response = self._send("GET", "/api/health/ready", {}, expected=(200, 503))
        try:
            values = response.json()
            parts = [(part["name"], part["status"]) for part in values["parts"]]
            down = tuple(name for name, status in parts if status == "down")
            return HealthAnswer(str(values["version"]), response.status == 200, down)
        except (NoAnswer, KeyError, TypeError, ValueError):
            raise AppError(f"{self.url} is not ready: status {response.status}, {response.excerpt()}") from None

    def read_last_tick(self) -> PlanningRound | None:
        """Return the last planning round of any instance; None before the first."""
        values = self._get("/api/watchdog")
        if values["last_tick"] is None:
            return None
        return PlanningRound(parse_instant(values["last_tick"]), float(values["tick_gap_s"]))

    def start_run(self, job: str, wait: float) -> RunAnswer:
        """Start a run, and wait up to some seconds for its end."""
        path = f"/api/jobs/{quote(job, safe='')}/run?wait={round(wait)}s"
        response = self._send("POST", path, self._keys.operator(), expected=(200, 202), timeout=wait + WAIT_MARGIN)
        return self._parse_run(self._json(response, path), path)

    def read_run(self, run_id: str) -> RunAnswer:
        """Return a run."""
        path = f"/api/runs/{quote(run_id, safe='')}"
        return self._parse_run(self._get(path), path)

    def iterate_runs(self, since: datetime, until: datetime) -> Iterator[list[RunAnswer]]:
        """Yield pages of the runs that were due in a range, the newest first."""
        query = {"from": format_instant(since), "to": format_instant(until), "limit": str(RUNS_PER_PAGE)}
        while True:
            path = f"/api/runs?{urlencode(query)}"
            page = self._get(path)
            yield [self._parse_run(run, path) for run in page["runs"]]
            if not page.get("continuation"):
                return
            query["continuation"] = page["continuation"]

    def _get(self, path: str) -> Any:
        return self._json(self._send("GET", path, self._keys.reader(), expected=(200,)), path)

    def _json(self, response: Response, path: str) -> Any:
        try:
            return response.json()
        except NoAnswer as error:
            raise AppError(f"{self.url}{path}: {error}") from None

    def _parse_run(self, values: Mapping[str, Any], path: str) -> RunAnswer:
        try:
            return RunAnswer(
                values["id"],
                values["job"],
                values["trigger"],
                values["state"],
                values["outcome"] or "",
                values.get("message", ""),
                parse_instant(values["due_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AppError(f"{self.url}{path} has no run of the expected form: {error!r}") from None

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        expected: tuple[int, ...],
        timeout: float = REQUEST_TIMEOUT,
    ) -> Response:
        try:
            response = self._http.send(method, f"{self.url}{path}", headers, timeout)
        except NoAnswer as error:
            raise AppError(f"{self.url} does not answer: {error}") from None
        if response.status in expected:
            return response
        place = f"{method} {self.url}{path.partition('?')[0]} answered {response.status}"
        if response.status in (401, 403):
            raise AccessRefused(
                f"{place}: the key is missing or lacks the scope. The environment file names the variables of the keys."
            )
        raise AppError(f"{place}: {response.excerpt()}")
