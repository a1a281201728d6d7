"""Health of alerting: what would keep people from being notified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from jobs.definition import JobDefinition
from jobs.definition.alerting_registry import PARTS_BY_KEY
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.suppression.windows import Silence
from jobs.notifications.port import ChannelState
from scheduler.alerting.health import AlertingHealth
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.port import StoreUnavailable
from tests.scheduler.fakes import START as NOW
from tests.scheduler.fakes import VirtualClock

HOOK = {"hook": {"kind": "webhook", "url": "http://127.0.0.1:9/hook"}}


class FakeRows:
    """Channel states, undelivered notifications and suppressions."""

    def __init__(self) -> None:
        self.states: list[ChannelState] = []
        self.letters: dict[str, int] = {}
        self.silences: tuple[Silence, ...] = ()
        self.error: StoreUnavailable | None = None

    async def list_channel_states(self) -> Sequence[ChannelState]:
        if self.error is not None:
            raise self.error
        return self.states

    async def count(self) -> Mapping[str, int]:
        return self.letters

    async def read_suppressions(self, book: object) -> SuppressionSet:
        return SuppressionSet((), (), self.silences)


def snapshot(*, alerts: Any = None, **parts: Any) -> JobSnapshot:
    job = {"name": "web", "schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}, "alerts": alerts}
    defined: dict[str, tuple[DefinedEntry, ...]] = {}
    for key, entries in parts.items():
        read = PARTS_BY_KEY[key].adapter.validate_python
        named = entries.items() if isinstance(entries, dict) else (("", each) for each in entries)
        defined[key] = tuple(DefinedEntry(name, read(each)) for name, each in named)
    entry = CatalogJob(JobDefinition.model_validate(job), "jobs/web.yaml:1")
    return JobSnapshot([entry], NOW, alerting=define_alerting(defined))


def health(jobs: JobSnapshot, rows: FakeRows | None = None, **work: Any) -> AlertingHealth:
    rows = rows or FakeRows()
    rotas: Any = SimpleNamespace(describe_problems=lambda: work.get("rotas", {}))
    works: Any = [SimpleNamespace(error=work.get("error", ""))]
    clock, found = VirtualClock(), rows
    has_links = work.get("has_links", True)
    return AlertingHealth(
        Catalog(jobs),
        works,
        found,  # type: ignore[arg-type]
        rotas,
        found,  # type: ignore[arg-type]
        found,  # type: ignore[arg-type]
        clock,
        has_links=has_links,
    )


async def alerting_part(jobs: JobSnapshot, rows: FakeRows | None = None, **work: Any) -> PartHealth:
    (part,) = await health(jobs, rows, **work).probe_alerting()
    return part


async def notifications_part(jobs: JobSnapshot, rows: FakeRows, **work: Any) -> PartHealth:
    (part,) = await health(jobs, rows, **work).probe_notifications()
    return part


async def test_alerting_is_ok_without_a_message_if_each_rule_notifies_a_channel() -> None:
    part = await alerting_part(snapshot(channels=HOOK, alerts=[{"notify": "hook"}]))

    assert (part.status, part.message) == (HealthStatus.OK, "")


async def test_a_rule_that_notifies_no_channel_degrades_alerting() -> None:
    part = await alerting_part(snapshot(channels=HOOK, alerts=[{}]))

    assert part.status is HealthStatus.DEGRADED
    assert "1 rule notifies no channel: web/failed." in part.message


async def test_a_job_without_a_rule_is_named_without_degrading_alerting() -> None:
    part = await alerting_part(snapshot(channels=HOOK))

    assert part.status is HealthStatus.OK
    assert "web" in part.message


async def test_work_that_fails_degrades_alerting() -> None:
    part = await alerting_part(snapshot(), error="the store does not answer")

    assert (part.status, part.message) == (HealthStatus.DEGRADED, "the store does not answer; retried")


async def test_a_calendar_that_cannot_be_read_degrades_alerting() -> None:
    part = await alerting_part(snapshot(), rotas={"primary": "the calendar could not be read"})

    assert (part.status, part.message) == (HealthStatus.DEGRADED, "rota primary: the calendar could not be read")


async def test_a_silence_that_selects_nothing_is_named() -> None:
    rows = FakeRows()
    rows.silences = (
        Silence(
            id="1",
            select={"jobs": "wbe"},  # type: ignore[arg-type]
            starts_at=NOW,
            ends_at=NOW + timedelta(hours=1),
            author="anna",
            created_at=NOW,
        ),
    )

    assert "the silence of wbe selects no job and no group." in (await alerting_part(snapshot(), rows)).message


async def test_a_channel_that_fails_degrades_notifications() -> None:
    rows = FakeRows()
    rows.states = [ChannelState("hook", failing_since=NOW - timedelta(minutes=5), failures=3, error="503")]

    part = await notifications_part(snapshot(channels=HOOK), rows)

    assert (part.status, part.message) == (HealthStatus.DEGRADED, "channel hook has failed for 5 min: 503")


async def test_a_channel_that_has_never_delivered_is_named() -> None:
    part = await notifications_part(snapshot(channels=HOOK), FakeRows())

    assert (part.status, part.message) == (HealthStatus.OK, "channel hook has never delivered a message")


async def test_channels_without_an_address_for_links_are_named_once_without_degrading() -> None:
    rows = FakeRows()
    rows.states = [ChannelState("team", last_success_at=NOW), ChannelState("boss", last_success_at=NOW)]
    channels = {name: {"kind": "ntfy", "topic": name} for name in ("team", "boss")}
    part = await notifications_part(snapshot(channels=channels), rows, has_links=False)
    assert part.status is HealthStatus.OK
    assert part.message.count("http.public_url") == 1
    assert "SCHEDULER_HTTP__PUBLIC_URL" in part.message


async def test_a_notification_that_was_given_up_degrades_notifications() -> None:
    rows = FakeRows()
    rows.states, rows.letters = [ChannelState("hook", last_success_at=NOW)], {"hook": 2}

    part = await notifications_part(snapshot(channels=HOOK), rows)

    assert part.status is HealthStatus.DEGRADED
    assert "2 notifications could not be delivered" in part.message


async def test_a_store_that_does_not_answer_degrades_notifications() -> None:
    rows = FakeRows()
    rows.error = StoreUnavailable("no answer")

    part = await notifications_part(snapshot(channels=HOOK), rows)

    assert (part.status, part.message) == (HealthStatus.DEGRADED, "not known: no answer")


async def test_a_rule_whose_channel_does_not_exist_any_more_degrades_alerting() -> None:
    part = await alerting_part(snapshot(alerts=[{"notify": "x", "severity": "odd"}]))

    assert part.status is HealthStatus.DEGRADED
    assert "the rule web/failed names the channel x, which does not exist." in part.message
    assert "the rule web/failed has the severity odd, which does not exist: it ranks as down." in part.message


async def test_what_a_channel_that_does_not_exist_any_more_could_not_deliver_degrades_notifications() -> None:
    rows = FakeRows()
    rows.letters = {"x": 1}

    part = await notifications_part(snapshot(alerts=[{"notify": "x"}]), rows)

    assert part.status is HealthStatus.DEGRADED
    assert part.message == "channel x is not defined; 1 notification could not be delivered"
