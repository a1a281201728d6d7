"""The calendars of the rotas in force: read from files and URLs in the background. One for each process.

    reader = RotaReader(resources, clock, judges, first_wait=2.0)
    table = RoutingTable(snapshot.alerting.routes, await reader.read(snapshot))
    reader.describe_problems()              # for health
    await reader.aclose()

`read` does not wait for the network: it returns what is known and starts the reads that are due. Only the first read of
a rota is waited for, at most `first_wait` seconds: a process of the Functions host may run a single pass. A file is
checked each FILE_INTERVAL, a URL is fetched each URL_INTERVAL through the guarded client. A calendar is foreign, so a
judging process evaluates it, within its limits, when it has changed and once a day: into a table of handovers from a
day ago until HORIZON. The process is not that of judgements, so that a costly calendar does not delay them; it ends
when it is not used. The last good calendar stays in force while a read or an evaluation fails. A rota that was never
read is absent for FIRST_READ seconds; then, or once a read has failed, `otherwise` is notified, so that an incident has
a channel.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.checks.files import FileSignature, UnusableFile, read_file_below, run_in_daemon_thread
from jobs.definition.alerting_section import DefinedEntry
from jobs.formats import format_instant
from jobs.incidents.rota_calendar import CALENDAR_BYTES, CALENDAR_SECONDS, MAX_CALENDAR_BYTES, RotaError
from jobs.incidents.rotas import HANDOVER_IN_SIGHT, Rota
from jobs.judging import InlineJudge, Judge, JudgingUnavailable
from jobs.judging.process import JudgingProcess
from jobs.judging.service import JudgingService
from jobs.model_base import SecretRef
from jobs.notifications.port import ChannelResources, SendFailed
from jobs.ports import Clock
from scheduler.catalog.catalog import JobSnapshot

if TYPE_CHECKING:
    from jobs.incidents.rota_calendar import EvaluatedCalendar
    from jobs.incidents.rotas import RotaDefinition

LOG = logging.getLogger(__name__)

HORIZON = HANDOVER_IN_SIGHT + timedelta(days=8)
RENEWAL = timedelta(days=1)
_MAX_NAMED = 5
"""Titles of shifts that a problem names."""
EVALUATION_TIMEOUT = 30.0
"""Seconds. The limits of the process end an evaluation earlier, unless others are before it."""
DELAYED_RETRY = 60.0
"""Seconds after which an evaluation that had not ended is repeated."""


def open_calendar_judges() -> JudgingService:
    """Return the service that evaluates calendars; the caller closes it."""
    return JudgingService(JudgingProcess(CALENDAR_BYTES))


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A calendar and a definition that cannot be used: not evaluated again for a while, as it may cost much."""

    of: tuple[bytes, RotaDefinition]
    error: str
    until: datetime


@dataclass(slots=True)
class RotaSource:
    """The state of one rota. `made_of`: the calendar and the definition of `rota`. `renew_at`: when its table is made
    again. `due_at`, `began_at`: of the read, monotonic seconds.
    """

    entry: DefinedEntry
    due_at: float
    absent_until: float
    rota: Rota | None = None
    made_of: tuple[bytes, RotaDefinition] | None = None
    rejected: _Rejected | None = None
    renew_at: datetime | None = None
    began_at: float = 0.0
    signature: FileSignature = ()
    etag: str = ""
    error: str = ""
    failing_since: datetime | None = None
    unknown_titles: tuple[str, ...] = ()
    task: asyncio.Task[None] | None = None
    was_waited_for: bool = False

    @property
    def definition(self) -> RotaDefinition:
        definition: RotaDefinition = self.entry.value
        return definition

    @property
    def content(self) -> bytes | None:
        """The calendar in force."""
        return None if self.made_of is None else self.made_of[0]

    def take_first_wait(self) -> bool:
        """Return whether its first read is in progress, once."""
        is_first = not self.was_waited_for and self.is_reading
        self.was_waited_for = True
        return is_first

    @property
    def is_reading(self) -> bool:
        return self.task is not None and not self.task.done()


class EvaluationDelayed(RotaError):
    """The calendar was not evaluated, for a reason outside of it."""


async def evaluate(
    judges: Judge,
    name: str,
    definition: RotaDefinition,
    content: bytes,
    span: tuple[datetime, datetime],
    now: datetime,
) -> EvaluatedCalendar:
    """Return who is on call in a span of time by the calendar of this rota. Raises RotaError."""
    from jobs.judging.calendar_task import CalendarTask  # loads the models of rotas

    task = CalendarTask.of(definition, content, *span, now)
    try:
        judged = await judges.perform(
            f"rota {name}", task, _show, seconds=CALENDAR_SECONDS, queue_timeout=EVALUATION_TIMEOUT
        )
    except JudgingUnavailable:
        raise EvaluationDelayed(f"its evaluation has not ended within {EVALUATION_TIMEOUT:g} s") from None
    except Exception as error:  # of the program itself
        raise EvaluationDelayed(f"its evaluation failed: {type(error).__name__}") from None
    if isinstance(judged.result, str):
        raise RotaError(judged.result)
    return judged.result


async def replace_rota(
    judges: Judge, source: RotaSource, definition: RotaDefinition, content: bytes, now: datetime
) -> str:
    """Make the rota of this calendar, unless it is the one in force. Return why it cannot be used, or nothing."""
    given, name = (content, definition), source.entry.name
    if given == source.made_of and source.renew_at is not None and now < source.renew_at:
        return ""
    if source.rejected is not None and source.rejected.of == given and now < source.rejected.until:
        return source.rejected.error
    try:
        evaluated = await evaluate(judges, name, definition, content, (now - RENEWAL, now + HORIZON), now)
    except RotaError as error:
        later = timedelta(seconds=DELAYED_RETRY) if isinstance(error, EvaluationDelayed) else RENEWAL
        source.rejected = _Rejected(given, str(error), now + later)
        return str(error)
    titles = evaluated.unknown_titles[:_MAX_NAMED]
    if titles and titles != source.unknown_titles:
        LOG.warning("shifts of rota %s name no person: %s; otherwise is notified in them", name, ", ".join(titles))
    source.rota, source.unknown_titles = definition.make_rota(evaluated.table), titles
    source.made_of = given
    # A table that is shorter, because of many shifts, is renewed before half of it has passed.
    source.renew_at = min(now + RENEWAL, now + max((evaluated.table.until - now) / 2, timedelta()))
    return ""


def _show(text: str, *, cut: bool = False) -> str:
    """Redact nothing: the task has no texts of jobs."""
    return text


FILE_INTERVAL = 5.0
URL_INTERVAL = 300.0
RETRY_INTERVAL = 60.0
"""Seconds after which a failed read is repeated."""
FETCH_TIMEOUT = 10.0
FIRST_READ = 15.0
SLOW_READ = 10.0
"""Seconds after which a read in progress is a problem."""
_NOT_MODIFIED = 304


class RotaReader:
    """Reads the calendars of rotas in the background, and evaluates them."""

    def __init__(
        self, resources: ChannelResources, clock: Clock, judges: Judge | None = None, *, first_wait: float = 0.0
    ) -> None:
        """`judges`: evaluate the calendars; without them this thread does."""
        self._resources = resources
        self._clock = clock
        self._judges = judges or InlineJudge()
        self._first_wait = first_wait
        self._sources: dict[str, RotaSource] = {}

    async def read(self, snapshot: JobSnapshot) -> Mapping[str, Rota]:
        """Return the rotas that are known, by name, and start the reads that are due."""
        entries = snapshot.alerting.entries_of("on_call")
        if not entries and not self._sources:
            return {}
        now = self._clock.monotonic()
        self._follow(entries, now)
        for source in self._sources.values():
            if now >= source.due_at and not source.is_reading:
                source.began_at = now
                source.task = asyncio.create_task(self._refresh(source))
        first = [source.task for source in self._sources.values() if source.take_first_wait()]
        if first and self._first_wait:
            await asyncio.wait([task for task in first if task is not None], timeout=self._first_wait)
        found = {name: self._rota_of(source, now) for name, source in self._sources.items()}
        return {name: rota for name, rota in found.items() if rota is not None}

    async def read_for(
        self, snapshot: JobSnapshot, since: datetime, until: datetime
    ) -> tuple[Mapping[str, Rota], Mapping[str, str]]:
        """Return the known rotas with tables of another time, by their calendars now, and by name those that failed."""
        rotas, errors = dict(await self.read(snapshot)), dict[str, str]()
        known = [(name, self._sources[name].made_of) for name in rotas]
        for name, made_of in known:
            if made_of is None:
                continue
            content, definition = made_of
            span = since, until + HANDOVER_IN_SIGHT
            try:
                table = (await evaluate(self._judges, name, definition, content, span, self._clock.now())).table
            except RotaError as error:
                table, errors[name] = None, str(error)
            rotas[name] = definition.make_rota(table)
        return rotas, errors

    async def prepare(self, snapshot: JobSnapshot, time_limit: float) -> None:
        """Start the reads that are due, and wait for those in progress, at most `time_limit` seconds."""
        await self.read(snapshot)
        tasks = [source.task for source in self._sources.values() if source.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=time_limit)

    def describe_problems(self) -> Mapping[str, str]:
        """Return a sentence for each rota that cannot be read now, or whose shifts name no person."""
        problems: dict[str, str] = {}
        for name, source in self._sources.items():
            what = "`otherwise` is notified" if source.rota is None else "the last calendar stays in force"
            if source.is_reading and (passed := self._clock.monotonic() - source.began_at) >= SLOW_READ:
                problems[name] = f"the calendar is being read for {passed:.0f} s; {what}"
            elif source.error and source.failing_since is not None:
                since = format_instant(source.failing_since)
                problems[name] = f"the calendar could not be read since {since}: {source.error}; {what}"
            elif source.unknown_titles:
                problems[name] = f"shifts name no person of the rota: {', '.join(source.unknown_titles)}"
        return problems

    async def aclose(self) -> None:
        """Cancel the reads in progress."""
        tasks = [source.task for source in self._sources.values() if source.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, entries: tuple[DefinedEntry, ...], now: float) -> None:
        """Follow the definitions in force. A changed one is read again; its last calendar stays in force until then."""
        for entry in entries:
            source = self._sources.get(entry.name)
            if source is None:
                self._sources[entry.name] = RotaSource(entry, now, now + FIRST_READ)
            elif source.entry is not entry and (source.entry.value, source.entry.folder) != (entry.value, entry.folder):
                source.entry, source.due_at, source.signature, source.etag = entry, now, (), ""
        names = {entry.name for entry in entries}
        for name in [name for name in self._sources if name not in names]:
            removed = self._sources.pop(name)
            if removed.task is not None:
                removed.task.cancel()

    def _rota_of(self, source: RotaSource, now: float) -> Rota | None:
        if source.rota is None and (source.error or now >= source.absent_until):
            return source.definition.make_rota(None)
        return source.rota

    async def _refresh(self, source: RotaSource) -> None:
        entry = source.entry
        definition: RotaDefinition = entry.value
        error = ""
        try:
            content = await self._read_content(source, entry)
        except (UnusableFile, SendFailed) as failure:
            content, error = None, str(failure)
        except Exception as failure:  # a read must not end the refreshing
            content, error = None, f"{type(failure).__name__}"
        now = self._clock.now()
        if content is not None and (reason := await replace_rota(self._judges, source, definition, content, now)):
            error, source.signature, source.etag = reason, (), ""
        if source.content is not None:
            error = await replace_rota(self._judges, source, definition, source.content, now) or error
        usual = FILE_INTERVAL if definition.file is not None else URL_INTERVAL
        if source.entry is entry:
            source.due_at = self._clock.monotonic() + (min(usual, RETRY_INTERVAL) if error else usual)
        self._record(entry.name, source, error)

    async def _read_content(self, source: RotaSource, entry: DefinedEntry) -> bytes | None:
        """Return the text of the calendar; None if it has not changed."""
        definition: RotaDefinition = entry.value
        if definition.file is not None:
            content, source.signature = await run_in_daemon_thread(
                read_file_below, entry.folder, definition.file, MAX_CALENDAR_BYTES, source.signature
            )
            return content
        from jobs.notifications.channels.http_posting import Posting, post  # loads the models of all channels

        assert definition.url is not None, "the model requires file or url"
        url = definition.url
        text = await self._resources.read_secret(url.secret) if isinstance(url, SecretRef) else url
        headers = {"accept": "text/calendar"} | ({"if-none-match": source.etag} if source.etag else {})
        request = Posting(
            text, b"", headers, "GET", frozenset({_NOT_MODIFIED}), largest_response=MAX_CALENDAR_BYTES + 1
        )
        response = await post(self._resources, request, timeout_s=FETCH_TIMEOUT)
        if response.status == _NOT_MODIFIED:
            return None
        source.etag = response.headers.get("etag", "")
        return source.content if response.body == source.content else response.body

    def _record(self, name: str, source: RotaSource, error: str) -> None:
        if error and error != source.error:
            what = "otherwise is notified" if source.rota is None else "the last calendar stays in force"
            LOG.warning("could not read the calendar of rota %s: %s; %s", name, error, what)
        elif source.error and not error:
            LOG.info("the calendar of rota %s is read again", name)
        source.failing_since = (source.failing_since or self._clock.now()) if error else None
        source.error = error
