"""The whole program with alerting, in virtual time: scripted targets and channels, a SQLite file, one call a second.

    async with alerting_program(tmp_path, {"checkout": job_of("checkout")}, {...}) as scene:
        scene.network.down("checkout")
        await scene.run("checkout")        # a run through the worker: claimed, recorded, published, judged
        await scene.wait(30)               # seconds, with a tick in each
        scene.sent                         # the messages, as (channel, kind, subject)

`shared`: as one of several processes (Functions host), which ticks once a minute and after batches.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config.loading import load_configuration
from jobs.checks.port import AttemptContext
from jobs.incidents.values import AlertDecision, Incident
from jobs.notifications.port import Message, Sender, SentReference
from jobs.runs import ErrorClass, Observation, Phases, Run, Ticket
from jobs.targets import Target
from scheduler.alerting.delivery.delivery import SenderDirectory
from scheduler.app import Program, open_program
from scheduler.hosts.embedded.program import EmbeddedProfile

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
_DELIVERY = timedelta(seconds=0.5)


class SetClock:
    """Time that a test moves. `set_by` sets the wall clock alone, as an administrator or a time service does."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._offset = timedelta()
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return self.true_now + self._offset

    @property
    def true_now(self) -> datetime:
        return START + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        until = self._seconds + seconds
        while self._seconds < until:
            await self._moved.wait()

    def move(self, seconds: float) -> None:
        self._seconds += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def set_by(self, offset: timedelta) -> None:
        self._offset += offset


class Network:
    """Implements Check for all targets. `outage`: an error that every connection ends with, or None."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock
        self._errors: dict[str, ErrorClass | int] = {}
        self.outage: ErrorClass | None = None
        self.addresses: dict[str, str] = {}
        """Of hosts, by their first label."""
        self.certificates: dict[str, bytes] = {}
        """DER, that hosts show if they are requested with https, by their first label."""
        self.dead_servers: set[str] = set()
        """Name servers that do not answer queries."""
        self.requested: list[str] = []

    def down(self, *hosts: str, error: ErrorClass | int = 503) -> None:
        """Let targets fail, by the first label of their host: with an error, or by answering with a status."""
        self._errors.update(dict.fromkeys(hosts, error))

    def up(self, *hosts: str) -> None:
        for host in hosts:
            self._errors.pop(host, None)

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        host = urlsplit(target.endpoint).hostname or target.endpoint
        self.requested.append(host)
        label = host.partition(".")[0]
        found: ErrorClass | int = self.outage or self._errors.get(label, 200)
        if target.kind == "dns":
            found = ErrorClass.DNS_TIMEOUT if target.server in self.dead_servers else 200
        is_secure = target.endpoint.startswith("https:")
        if found is ErrorClass.TLS_CERTIFICATE and not is_secure:
            found = 200
        shown: dict[str, Any] = {"facts": {"remote_address": self.addresses[label]} if label in self.addresses else {}}
        if is_secure and label in self.certificates:
            shown["facts"]["tls_version"] = "TLSv1.3"
            shown["certificates"] = (self.certificates[label],)
        if isinstance(found, ErrorClass):
            return Observation(Phases(total_ms=5.0), error=found, message=f"{host}: {found}.", **shown)
        headers = {"date": format_datetime(self._clock.true_now, usegmt=True)}
        return Observation(Phases(total_ms=5.0), status=found, headers=headers, **shown)

    def prepare(self, target: Target) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class SentMessage:
    channel: str
    message: Message
    at: datetime


@dataclass
class ScriptedChannels:
    """Implements the directory of senders: every channel of the definitions accepts what it is sent."""

    clock: SetClock
    directory: SenderDirectory
    messages: list[SentMessage] = field(default_factory=list)

    def list_names(self) -> Sequence[str]:
        return self.directory.list_names()

    def find_sender(self, channel: str) -> Sender | None:
        return _Recorder(self, channel) if channel in self.directory.list_names() else None

    def find_fallback(self, channel: str) -> str | None:
        return self.directory.find_fallback(channel)


@dataclass(frozen=True)
class _Recorder:
    channels: ScriptedChannels
    channel: str

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        self.channels.messages.append(SentMessage(self.channel, message, self.channels.clock.now()))
        return None


class SharedProfile(EmbeddedProfile):
    """As one of several processes, with a queue in the process."""

    is_only_worker = False


class Scene:
    """`tick_every`: seconds."""

    def __init__(self, program: Program, clock: SetClock, network: Network, channels: ScriptedChannels) -> None:
        self.program, self.clock, self.network, self.channels = program, clock, network, channels
        self.tick_every = 1

    @property
    def sent(self) -> list[tuple[str, str, str]]:
        """The messages as (channel, kind, subject), in order."""
        return [(each.channel, str(each.message.kind), each.message.subject) for each in self.channels.messages]

    async def run(self, *jobs: str) -> None:
        """Execute a run of each of these jobs, due now, and publish them."""
        snapshot, now = self.program.catalog.snapshot, self.clock.now().replace(microsecond=0)
        tickets = [Ticket.scheduled(job, now, snapshot.generations[job]) for job in jobs]
        for start in range(0, len(tickets), 100):
            self.program.worker.submit_batch(tickets[start : start + 100])
        await self.program.worker.wait_until_idle()
        if self.tick_every > 1:
            await self.program.alerting.run_once(_DELIVERY, is_tick=False)

    async def wait(self, seconds: int) -> None:
        """Let time pass, with a tick each second or minute."""
        for _ in range(seconds):
            self.clock.move(1)
            if int(self.clock.monotonic()) % self.tick_every == 0:
                await self.tick()

    async def rounds(self, jobs: Sequence[str], number: int, every: int = 60) -> None:
        """Run these jobs so often, with this many seconds after each."""
        for _ in range(number):
            await self.run(*jobs)
            await self.wait(every)

    async def tick(self) -> None:
        await self.program.alerting.run_once(_DELIVERY, is_tick=True)

    async def incidents(self) -> list[Incident]:
        """All incidents, the oldest first."""
        page = await self.program.alerting.incidents.list_page(limit=1000)
        return sorted(page.incidents, key=lambda each: (each.opened_at, each.id))

    async def decisions(self, incident: Incident) -> Sequence[AlertDecision]:
        page = await self.program.alerting.incidents.list_decisions(incident.id, limit=100_000)
        return page.entries

    async def runs(self, job: str) -> list[Run]:
        """The runs of a job, the newest first."""
        page = await self.program.runs.list_page(job, limit=500)
        return [record.run for record in page.records if record.run is not None]


def job_of(name: str, **more: Any) -> dict[str, Any]:
    """A job whose alert fires with the first failure, once a minute, on a host with its name."""
    check = {"kind": "http", "url": f"http://{name}.shop.example/"}
    return {
        "check": check,
        "retry": {"attempts": 1},
        "schedule": {"every": "1m"},
        "alerts": [{"open_after": 1}],
        **more,
    }


TEAM = {"channels": {"team": {"kind": "webhook", "url": "http://127.0.0.1:9/team"}}, "routes": [{"notify": ["team"]}]}


@asynccontextmanager
async def alerting_program(
    folder: Path,
    jobs: Mapping[str, Any],
    alerting: Mapping[str, Any] = TEAM,
    *,
    shared: bool = False,
    **environ: str,
) -> AsyncIterator[Scene]:
    """`environ`: settings."""
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": jobs, "alerting": alerting}))
    settings = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(path),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_LOG__LEVEL": "warning",
    }
    clock = SetClock()
    configuration = load_configuration(settings | environ, root=ROOT)
    profile = SharedProfile() if shared else EmbeddedProfile()
    async with open_program(configuration, profile, clock=clock) as program:
        network = Network(clock)
        for kind in ("http", "tcp", "dns"):
            program.check_setup.checks[kind] = network
        tools = program.alerting.delivery._tools
        channels = ScriptedChannels(clock, tools.channels)  # type: ignore[arg-type]
        object.__setattr__(tools, "channels", channels)
        scene = Scene(program, clock, network, channels)
        scene.tick_every = 60 if shared else 1
        await scene.tick()
        yield scene


class LoopProbe:
    """Measures for how long the event loop is held at most, in CPU time of its thread, so that a busy machine does not
    matter.

    async with LoopProbe() as probe: ...
    probe.longest          # seconds
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> LoopProbe:
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before), now
