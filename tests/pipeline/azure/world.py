"""Azure and the scheduler in virtual time: containers start, plan, run jobs, crash, and answer requests.

    world = World("functions")
    world.images[NEW] = Behaviour("2.0", timer=False)       # what an image does
    world.context()                                         # of delivery, with this world as its tools

What ran when follows from the life of each container: a due instant is planned by a container with a live timer, and
executed by one that reads the queue. So every due instant can be accounted for afterwards.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from delivery.app.api import AppKeys
from delivery.app.http import NoAnswer, Response
from delivery.az import Az, Completed
from delivery.context import Context
from delivery.environment import Environment, VerifyLimits
from delivery.reporter import Reporter
from tests.pipeline.azure.commands import CommandError, parse
from tests.pipeline.azure.model import APP, JOBS, PRODUCTION, STAGING, AzureModel, container_state, functions_state

START = datetime(2026, 11, 28, 12, 0, 7, tzinfo=UTC)
REGISTRY = "contosoregistry"
OLD = f"{REGISTRY}.azurecr.io/scheduler@sha256:{'0' * 64}"
NEW = f"{REGISTRY}.azurecr.io/scheduler@sha256:{'1' * 64}"
URL = "https://app.example"
KEYS = AppKeys("x-functions-key", "read-key-0123456789", "operate-key-0123456789")
BOOT = 20.0
"""Seconds until a container answers."""
LINGER = 15.0
"""Seconds for which a replaced container still gets some requests."""
PLANNED_AHEAD = 75.0
"""Seconds for which a tick plans: runs up to then do not depend on the timer."""
COMMAND_SECONDS = {"swap": 30.0, "containerapp update": 15.0, "set": 8.0, "containerapp job update": 4.0}
"""By the words of a command, or its last one."""


@dataclass(frozen=True)
class Behaviour:
    """What an image does. `failing`: share of the jobs that fail; `executed`: share of the runs that are executed."""

    version: str
    starts: bool = True
    ready: bool = True
    timer: bool = True
    queue: bool = True
    crashes_after: float | None = None
    comes_back: bool = False
    failing: float = 0.0
    executed: float = 1.0
    only_in_service: bool = False
    """Its faults show in service alone, as they depend on settings or load."""


@dataclass
class Container:
    """One life of an image in a unit. `ended_at`: when it was stopped."""

    unit: str
    behaviour: Behaviour
    is_idle: bool
    started_at: datetime
    ended_at: datetime | None = None

    def answers(self, at: datetime) -> bool:
        ready_at = self.started_at + timedelta(seconds=BOOT)
        return self.behaviour.starts and ready_at <= at and self._lives(at)

    def _lives(self, at: datetime) -> bool:
        if self.ended_at is not None and at >= self.ended_at:
            return False
        after = self.behaviour.crashes_after
        age = (at - self.started_at).total_seconds() - BOOT
        if after is None or (self.is_idle and self.behaviour.only_in_service):
            return True
        return age % (after + BOOT) < after if self.behaviour.comes_back else age < after

    @property
    def is_well(self) -> bool:
        return self.is_idle and self.behaviour.only_in_service

    def is_ready(self) -> bool:
        return self.behaviour.ready or self.is_well

    def has_timer(self, at: datetime) -> bool:
        return not self.is_idle and self.behaviour.timer and self.answers(at)

    def has_queue(self, at: datetime) -> bool:
        return not self.is_idle and self.behaviour.queue and self.answers(at)


@dataclass
class World:
    """`kind`: of the platform. `jobs`: with their intervals in seconds. `killed_at`: operation at which deploy dies."""

    kind: str
    jobs: Mapping[str, float] = field(default_factory=lambda: {f"job-{number}": 10.0 for number in range(20)})
    images: dict[str, Behaviour] = field(default_factory=lambda: {OLD: Behaviour("1.0"), NEW: Behaviour("2.0")})
    slot: str = STAGING
    linger: float = LINGER
    skew: timedelta = timedelta()
    """Time of the scheduler minus time of the machine with the scripts."""
    registry_answers: bool = True
    before: Callable[[str], None] = lambda operation: None
    """Called before each command of az and each request: tests raise from it."""
    after: Callable[[str], None] = lambda operation: None
    now_at: datetime = START
    containers: list[Container] = field(default_factory=list)
    routed: list[tuple[datetime, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    manual: dict[str, dict[str, Any]] = field(default_factory=dict)
    later: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)
    """What Azure completes by itself, with its instant."""

    def __post_init__(self) -> None:
        state = functions_state(OLD) if self.kind == "functions" else container_state(OLD, kind=self.kind)
        self.azure = AzureModel(state, self)
        if not self.slot:
            state["slots"].pop(STAGING, None)
        self.azure.start()
        for container in self.containers:  # it runs since yesterday
            container.started_at = START - timedelta(days=1)

    # Time

    def now(self) -> datetime:
        return self.now_at

    def sleep(self, seconds: float) -> None:
        self.now_at += timedelta(seconds=seconds)
        for delayed in [one for one in self.later if one[0] <= self.now_at]:
            self.later.remove(delayed)
            delayed[1]()

    # Tools of delivery

    def context(self, keys: AppKeys = KEYS, **limits: float) -> Context:
        environment = Environment(
            "prod", self.kind, "sub", "rg", APP, URL, REGISTRY, "canary",
            slot=self.slot if self.kind == "functions" else "", slot_url=f"https://{STAGING}.example",
            jobs=JOBS, verify=VerifyLimits(**limits),
        )  # fmt: skip
        reporter = Reporter(self, (KEYS.read, KEYS.operate))
        return Context(environment, Az("sub", reporter, self, execute=self.execute), self, self, reporter, keys)

    def execute(self, command: Sequence[str], timeout: float) -> Completed:
        """Run `az`."""
        assert command[0] == "az"
        parsed = parse(command[1:])
        self.before(parsed.words)
        self.commands.append(parsed.words)
        self.sleep(COMMAND_SECONDS.get(parsed.words, COMMAND_SECONDS.get(parsed.words.split()[-1], 1.0)))
        try:
            result = self.azure.execute(parsed)
        except CommandError as error:
            return Completed(1, "", f"ERROR: {error}")
        self.after(parsed.words)
        return Completed(0, json.dumps(result) if parsed.get("--output") == "json" else "", "")

    # Hosting

    def has_image(self, image: str) -> bool:
        if not self.registry_answers:
            raise CommandError("Could not connect to the registry login server: CONNECTIVITY_DNS_ERROR")
        return image in self.images

    def run(self, unit: str, image: str, variables: dict[str, str]) -> None:
        behaviour = self.images.get(image, Behaviour("none", starts=False))
        if not self.registry_answers and image != OLD:  # which the platform has cached
            behaviour = Behaviour(behaviour.version, starts=False)
        idle = any(key.lower().replace(".", "_") == "azurewebjobs_tick_disabled" for key in variables)
        self.stop(unit)
        self.containers.append(Container(unit, behaviour, idle, self.now_at))
        if self.kind == "embedded" and behaviour.starts and behaviour.ready:
            self.later.append((self.now_at + timedelta(seconds=BOOT), lambda: self.azure.replace_others(unit)))

    def swap(self, image: str, variables: dict[str, str]) -> bool:
        if not self.images[image].starts:
            return False
        new = Container(PRODUCTION, self.images[image], False, self.now_at - timedelta(seconds=BOOT))
        self.stop(PRODUCTION)
        self.containers.append(new)
        return True

    def stop(self, unit: str) -> None:
        for container in self.containers:
            if container.unit == unit and container.ended_at is None:
                container.ended_at = self.now_at

    def route(self, unit: str) -> None:
        self.routed.append((self.now_at, unit))

    def url_of(self, unit: str) -> str:
        return f"https://{unit}.example"

    # Requests

    def send(self, method: str, url: str, headers: Mapping[str, str], timeout: float = 10.0) -> Response:
        parts = urlsplit(url)
        self.before(f"{method} {parts.path}")
        self.sleep(0.2)
        container = self._container_at(parts.hostname or "")
        if container is None:
            self.sleep(1.0)
            raise NoAnswer("URLError: connection refused")
        return self.respond(container, method, f"{parts.path}?{parts.query}", headers)

    def respond(self, container: Container, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """Return what a container answers. `target`: path and query."""
        path, _, query = target.partition("?")
        if path == "/api/health/ready":
            return self._health(container)
        expected = KEYS.operate if method == "POST" else KEYS.read
        if headers.get(KEYS.header) != expected:
            return Response(401, b"{}")
        values = self._answer(method, path, parse_qs(query))
        return Response(202 if values.get("state") == "queued" else 200, json.dumps(values).encode())

    def _container_at(self, host: str) -> Container | None:
        at = self.now_at
        unit = self.routed[-1][1] if URL.endswith(host) else host.removesuffix(".example")
        live = [one for one in self.containers if one.unit == unit and one.answers(at)]
        lingering = [
            one for one in self.containers
            if one.unit == unit and one.ended_at and (at - one.ended_at).total_seconds() < self.linger
            and one.answers(one.ended_at - timedelta(seconds=1))
        ]  # fmt: skip
        is_odd = int(at.timestamp()) % 2 == 1
        choice = lingering if lingering and (is_odd or not live) else live
        return choice[-1] if choice else None

    def _health(self, container: Container) -> Response:
        down = [] if container.is_ready() else ["store"]
        if container.is_idle and (self.now_at - container.started_at).total_seconds() > 180:
            down.append("ticks")
        parts = [{"name": name, "status": "down", "message": ""} for name in down]
        body = {"version": container.behaviour.version, "parts": parts, "jobs": {"count": len(self.jobs)}}
        return Response(503 if down else 200, json.dumps(body).encode())

    def _answer(self, method: str, path: str, parameters: dict[str, list[str]]) -> dict[str, Any]:
        if path == "/api/watchdog":
            tick = self._last_tick()
            gap = (self.now_at - tick).total_seconds() if tick else None
            return {"last_tick": (tick + self.skew).isoformat() if tick else None, "tick_gap_s": gap}
        if method == "POST":
            return self._start_canary(float(parameters["wait"][0].removesuffix("s")))
        since, until = (datetime.fromisoformat(parameters[key][0]) - self.skew for key in ("from", "to"))
        runs = [run for run in self.all_runs(since, until) if run["state"] != "missing"]
        for run in runs:
            run["due_at"] = (datetime.fromisoformat(run["due_at"]) + self.skew).isoformat()
        return {"runs": runs[::-1], "continuation": None}

    def _last_tick(self) -> datetime | None:
        minute = self.now_at.replace(second=0, microsecond=0)
        return next((at for back in range(30) if self._has_timer(at := minute - timedelta(minutes=back))), None)

    def _has_timer(self, at: datetime) -> bool:
        return any(container.has_timer(at) for container in self.containers)

    def _worker(self, at: datetime) -> Container | None:
        return next((one for one in reversed(self.containers) if one.has_queue(at)), None)

    def _start_canary(self, wait: float) -> dict[str, Any]:
        worker = self._worker(self.now_at)
        run = {"id": f"canary@{len(self.manual)}", "job": "canary", "trigger": "manual", "message": ""}
        run["due_at"] = self.now_at.isoformat()
        self.sleep(0.5 if worker else wait)
        run |= {"state": "finished", "outcome": "succeeded"} if worker else {"state": "queued", "outcome": None}
        self.manual[run["id"]] = run
        return run

    # What ran

    def all_runs(self, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
        """Yield every due instant of a range in order: as the run that it had, or as missing."""
        second = since.replace(microsecond=0)
        while second <= until:
            for number, (job, interval) in enumerate(self.jobs.items()):
                if int(second.timestamp()) % interval == number % interval:
                    yield self._run_at(job, number, second)
            second += timedelta(seconds=1)

    def _run_at(self, job: str, number: int, due: datetime) -> dict[str, Any]:
        is_planned = self._was_planned(due)
        # What waits on the queue is executed by the next container that reads it.
        worker = self._worker(due) or next(
            (found for seconds in range(1, 300) if (found := self._worker_until(due, seconds)) is not None), None
        )
        run = {"id": f"{job}@{due.isoformat()}", "job": job, "trigger": "schedule", "due_at": due.isoformat()}
        run |= {"message": "", "outcome": None, "state": "missing"}
        if not is_planned:
            return run
        if worker is None or number >= worker.behaviour.executed * len(self.jobs):
            return run | {"state": "queued"}
        fails = number < worker.behaviour.failing * len(self.jobs)
        return run | {"state": "finished", "outcome": "failed" if fails else "succeeded"}

    def _was_planned(self, due: datetime) -> bool:
        """A tick plans ahead; the first tick after an interruption plans what was missed."""
        first, minute = due - timedelta(seconds=PLANNED_AHEAD), due.replace(second=0)
        ticks = (minute + timedelta(minutes=back) for back in range(-2, 10))
        return any(first <= at <= self.now_at and self._has_timer(at) for at in ticks)

    def _worker_until(self, due: datetime, seconds: int) -> Container | None:
        at = due + timedelta(seconds=seconds)
        return self._worker(at) if at <= self.now_at else None

    def serving_version(self) -> str:
        """Return the version that answers once replaced containers are gone."""
        self.sleep(self.linger + BOOT)
        container = self._container_at(urlsplit(URL).hostname or "")
        return container.behaviour.version if container is not None and container.is_ready() else "nothing"


def as_lines(world: World) -> None:
    """Print the commands of a world, for a person who reads a failed test."""
    print(*world.commands, sep="\n", file=sys.stderr)
