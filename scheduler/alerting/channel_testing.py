"""Sends test messages to channels: on request, and daily to those with `daily_test`.

A message goes through the channel's own sender, guard and secrets, without the outbox of incidents. The daily one is
sent once across all processes, and at most once: by the process that marks the due instant in the row of the channel.

    await daily_tests.tick()     # by the hosts
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.incidents.values import Incident, Notification, TransitionKind
from jobs.notifications.port import ChannelState, Message, OutboxChanges, Sender, SendFailed, collect_answers
from jobs.notifications.templates.incident_message import SAMPLE_DETAILS, make_message, sample_transition
from jobs.notifications.templates.sandbox import TemplateProblem
from jobs.ports import Clock
from scheduler.alerting.delivery.port import ChannelDirectory, OutboxStore
from scheduler.alerting.delivery.rendering import MessageSource, first_transition
from scheduler.stores.port import RowChanged, StoreError

if TYPE_CHECKING:
    from jobs.notifications.channels.base import ChannelBase

LOG = logging.getLogger("scheduler.alerting")

TEST_TIMEOUT = 30.0
"""Seconds for the messages of a test."""
_STATE_TRIES, _STATE_WAIT = 5, 0.5
"""While a process delivers to the channel, its state is not changed."""


@dataclass(frozen=True, slots=True)
class ChannelTestResult:
    """`messages`: what was sent, or should have been. `error`: why it was not accepted; empty if it was.

    `answers`: what the service answered. `incident`: whose opening the message shows; empty for the sample.
    `template_problem`: why the default text was used instead of the templates.
    """

    channel: str
    kind: str
    messages: tuple[Message, ...]
    answers: tuple[str, ...] = ()
    error: str = ""
    incident: str = ""
    template_problem: str = ""
    duration: float = 0.0

    @property
    def is_delivered(self) -> bool:
        return not self.error


class ChannelTestSender:
    """Sends a test message to a channel of the settings."""

    def __init__(self, channels: ChannelDirectory, source: MessageSource, outbox: OutboxStore, clock: Clock) -> None:
        self._channels = channels
        self._source = source
        self._outbox = outbox
        self._clock = clock

    async def send(
        self, name: str, model: ChannelBase, incident: Incident | None, reason: str, *, records_failure: bool
    ) -> ChannelTestResult:
        """Send a test, with the content of an opening, and its resolution where the service requires one.

        `incident`: None for the sample. `reason`: a clause of the message, such as `requested by anna`.
        `records_failure`: whether a failure is a failure of the channel in the store, as a success always is.
        """
        message, problem = await self._render(name, incident, reason)
        messages = [message]
        if model.NEEDS_RESOLUTION:
            end = replace(message, kind=TransitionKind.RESOLVED, number=2, dedup_key=f"{message.dedup_key}:end")
            messages.append(end)
        start = self._clock.monotonic()
        with collect_answers() as answers:
            error = await self._send_all(self._channels.find_sender(name), messages)
        duration = self._clock.monotonic() - start
        if not error or records_failure:
            await self._record(name, error)
        return ChannelTestResult(
            name,
            model.kind,
            tuple(messages),
            tuple(answers),
            error,
            incident.id if incident is not None else "",
            problem,
            duration,
        )

    async def _send_all(self, sender: Sender | None, messages: Sequence[Message]) -> str:
        """Return why the channel did not accept the messages, or an empty text."""
        if sender is None:
            return "the channel is not defined"
        reference = None
        try:
            async with asyncio.timeout(TEST_TIMEOUT):
                for message in messages:
                    reference = await sender.send(message, reference) or reference
        except SendFailed as failure:
            return str(failure) or "unknown error"
        except TimeoutError:
            return f"the channel did not accept the message within {TEST_TIMEOUT:g} s"
        except Exception as error:
            LOG.exception("could not send a test message; nothing is retried")
            return f"unexpected {type(error).__name__}"
        return ""

    async def _render(self, name: str, incident: Incident | None, reason: str) -> tuple[Message, str]:
        shown, transition = sample_transition(TransitionKind.OPENED)
        details = SAMPLE_DETAILS
        content = "Its content is a sample."
        if incident is not None:
            shown, transition = incident, first_transition(incident)
            details = await self._source.read_details(incident, transition, name)
            content = f"Its content is that of incident {incident.id}."
        templates = self._source.find_templates(name)
        notification = Notification(shown.id, transition.number, transition.kind, name, transition.at)
        problem = ""
        try:
            message = make_message(
                shown, transition, notification, details, title_template=templates.title, text_template=templates.text
            )
        except TemplateProblem as error:
            problem = str(error)
            message = make_message(shown, transition, notification, details)
        key = f"test-{secrets.token_hex(6)}"
        text = f"This is a test of the channel {name}, {reason}. No action is required. {content}\n\n{message.text}"
        return (
            replace(
                message,
                title=f"TEST {message.title}",
                text=text,
                incident=key,
                incident_key=key,
                dedup_key=f"{key}:1:{name}",
                number=1,
                at=self._clock.now(),
            ),
            problem,
        )

    async def _record(self, name: str, error: str) -> None:
        """Store that the channel works, or fails. A process that delivers now stores it by itself."""
        try:
            for _ in range(_STATE_TRIES):
                state = await self._outbox.read_channel(name)
                now = self._clock.now()
                if not state.owner or state.leased_until is None or state.leased_until <= now:
                    try:
                        await self._outbox.commit(OutboxChanges(_after_test(state, error, self._clock)))
                    except RowChanged:
                        continue
                    return
                await self._clock.sleep(_STATE_WAIT)
        except StoreError as failure:
            LOG.warning("could not store the test of channel %s: %s; the test is not repeated", name, failure)


def _after_test(state: ChannelState, error: str, clock: Clock) -> ChannelState:
    now = clock.now()
    if error:
        return replace(state, failing_since=state.failing_since or now, failures=state.failures + 1, error=error)
    return replace(state, last_success_at=now, failing_since=None, failures=0, error="", retry_at=None)


LATEST_START = timedelta(hours=1)
"""After its time. A test that no process could send until then is skipped."""


class DailyTests:
    """`read_channels`: returns the channels of the current definitions by name."""

    def __init__(
        self,
        read_channels: Callable[[], Mapping[str, ChannelBase]],
        tester: ChannelTestSender,
        outbox: OutboxStore,
        clock: Clock,
    ) -> None:
        self._read_channels = read_channels
        self._tester = tester
        self._outbox = outbox
        self._clock = clock
        self._done: dict[str, datetime] = {}
        """When the latest test was due that some process has sent, as far as this one knows."""

    async def tick(self) -> None:
        """Send what is due. Costs a request only after a due instant. Raises nothing."""
        for name, model in self._read_channels().items():
            due_at = self._find_due(model)
            if due_at is not None and self._done.get(name) != due_at:
                try:
                    await self._send(name, model, due_at)
                except StoreError as error:
                    LOG.warning("could not start the daily test of channel %s: %s; the next tick retries", name, error)

    def _find_due(self, model: ChannelBase) -> datetime | None:
        """Return the latest instant within LATEST_START at which a test was due."""
        if model.daily_test is None:
            return None
        now, found = self._clock.now(), None
        following = model.daily_test.next_after(now - LATEST_START)
        while following is not None and following <= now:
            found, following = following, model.daily_test.next_after(following)
        return found

    async def _send(self, name: str, model: ChannelBase, due_at: datetime) -> None:
        state = await self._outbox.read_channel(name)
        is_sent = state.tested_for is not None and state.tested_for >= due_at
        if not is_sent:
            is_leased = state.leased_until is not None and state.leased_until > self._clock.now()
            if state.owner and is_leased:
                return  # the delivery changes the row now: the next tick
            try:
                await self._outbox.commit(OutboxChanges(replace(state, tested_for=due_at)))
            except RowChanged:
                return
        self._done[name] = due_at
        if not is_sent:
            result = await self._tester.send(name, model, None, "sent every day", records_failure=True)
            if not result.is_delivered:
                LOG.warning(
                    "could not send the daily test of channel %s: %s; the health reports it", name, result.error
                )
