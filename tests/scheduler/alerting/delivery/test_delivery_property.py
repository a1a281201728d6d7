"""Delivery over random outages of channels, kills between any two writes, and two processes, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.incidents.values import TransitionKind
from jobs.notifications.port import SendFailed
from tests.scheduler.alerting.delivery.memory_outbox import Killed, World

OPENED, REOPENED, RESOLVED = TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.RESOLVED
_FURTHER_KINDS = (TransitionKind.REMINDED, TransitionKind.JOINED, TransitionKind.FLAPPING, RESOLVED)
_ACTIONS = st.one_of(
    st.tuples(
        st.just("notify"), st.sampled_from("ab"), st.sampled_from(["teams", "mail"]), st.sampled_from(_FURTHER_KINDS)
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 300, 1500])),
    st.tuples(st.just("outage"), st.sampled_from(["teams", "mail"]), st.sampled_from(["ok", "503", "404"])),
    st.tuples(st.just("kill"), st.sampled_from(["before_commit", "after_commit", "after_send"]), st.integers(1, 4)),
    st.tuples(st.just("deliver"), st.sampled_from(["one", "both"])),
)
_FAILURES = {
    "ok": None,
    "503": SendFailed("Expected status 2xx, got 503."),
    "404": SendFailed("Expected status 2xx, got 404.", is_permanent=True),
}


class _Run:
    def __init__(self) -> None:
        self.world = World("teams", "mail", fallbacks={"teams": "mail"})
        self.numbers: Counter[str] = Counter()
        self.notified: set[tuple[str, int, str]] = set()
        self.kills = 0
        self.starts = 0
        self._left = 0

    async def act(self, action: tuple[object, ...]) -> None:
        match action:
            case "notify", str(incident), str(channel), TransitionKind() as further:
                self.numbers[incident] += 1
                number = self.numbers[incident]
                kind = OPENED if number == 1 else further if self.world.is_open(incident) else REOPENED
                self.world.put(number, kind, incident=incident, channel=channel)
                self.notified.add((incident, number, channel))
            case "wait", int(seconds):
                self.world.clock.move(seconds)
            case "outage", str(channel), str(state):
                self.world.channels[channel].fail = lambda _: _FAILURES[state]
            case "kill", str(where), int(count):
                self._arm(where, count)
            case "deliver", processes:
                await self.deliver(2 if processes == "both" else 1)

    async def deliver(self, processes: int) -> None:
        """Each process that starts here has another name, as after a restart."""
        self.starts += processes
        owners = [f"process-{self.starts - each}" for each in range(processes)]
        channels = list(self.world.channels)
        passes = (self.world.deliver(channel, owner) for channel in channels for owner in owners)
        for result in await asyncio.gather(*passes, return_exceptions=True):
            assert result is None or not isinstance(result, BaseException) or isinstance(result, Killed), result

    async def drain(self) -> None:
        self._arm("before_commit", 0)
        for channel in self.world.channels.values():
            channel.fail = lambda _: None
        for _ in range(60):
            if not self.world.outbox.rows:
                return
            await self.deliver(2)
            self.world.clock.move(400)
        raise AssertionError(f"not delivered: {list(self.world.outbox.rows)}")

    def _arm(self, where: str, count: int) -> None:
        self._left = count

        def kill() -> None:
            self._left -= 1
            if self._left == 0:
                self.kills += 1
                raise Killed

        outbox = self.world.outbox
        outbox.before_commit = kill if where == "before_commit" else lambda: None
        outbox.after_commit = kill if where == "after_commit" else lambda: None
        for channel in self.world.channels.values():
            channel.after_send = kill if where == "after_send" else lambda: None

    def verify(self) -> None:
        self._verify_complete()
        repeated = 0
        for name, channel in self.world.channels.items():
            order: defaultdict[str, list[int]] = defaultdict(list)
            for message in channel.sent:
                # A message for another channel has an order of its own.
                order[message.incident + message.dedup_key.partition(":for:")[2]].append(message.number)
            self._verify_first_words(name)
            for numbers in order.values():
                assert numbers == sorted(numbers), f"{name} is out of order: {numbers}"
            repeated += len(channel.sent) - len({message.dedup_key for message in channel.sent})
            if not {"moved_to_fallback", "given_up"} & set(self.world.codes()):
                self._verify_coverage(name)
        assert repeated <= self.kills

    def _verify_coverage(self, name: str) -> None:
        """Each transition is in one message, of which repetitions have the same key.

        A reminder that may have been sent before a kill is also covered by the resolution that makes it moot.
        """
        messages = {message.dedup_key: message for message in self.world.channels[name].sent}
        covered = sum(len(message.covers) for message in messages.values())
        expected = sum(1 for _, _, channel in self.notified if channel == name)
        assert expected <= covered <= expected + min(self.kills, self.world.codes().count("moot"))

    def _verify_first_words(self, name: str) -> None:
        """A receiver of an open incident hears that it is open, before it hears that no further messages follow.

        After a kill, a repeated message can say that an incident is open which the receiver ignores.
        """
        channel, is_over = self.world.channels[name], dict[str, bool]()
        for message, is_open in zip(channel.sent, channel.was_open, strict=True):
            if is_open and is_over.get(message.incident, True) and (message.incident not in is_over or not self.kills):
                assert message.kind not in (RESOLVED, TransitionKind.FLAPPING), message
            if is_open and {OPENED, REOPENED} & set(message.covers):
                assert message.kind in (OPENED, REOPENED), message
            is_over[message.incident] = message.is_resolution

    def _verify_complete(self) -> None:
        delivered: Counter[tuple[str, str]] = Counter()
        for decision in self.world.outbox.decisions:
            if decision.code in ("delivered", "moot", "given_up"):
                delivered[decision.incident, decision.inputs["dedup_key"]] += 1
        assert set(delivered.values()) <= {1}, "recorded twice"
        ends = {(incident, int(key.split(":")[1]), key.split(":")[-1]) for incident, key in delivered}
        assert ends == self.notified


def _notify(further: TransitionKind = TransitionKind.REMINDED) -> tuple[object, ...]:
    return ("notify", "a", "teams", further)


_REMINDER_KILLED = [
    *[_notify(), ("deliver", "one"), _notify(), ("kill", "after_send", 1)],
    *[("deliver", "one"), _notify()],
]
"""A reminder of which it is not known whether it was sent is repeated as it was, not within the next one."""


_REMINDER_KILLED_BEFORE_ITS_END = [*_REMINDER_KILLED[:-1], _notify(RESOLVED)]
"""It is not repeated if the incident is resolved meanwhile."""


_REOPENED_UNHEARD = [
    *[_notify(), _notify(RESOLVED), ("deliver", "one"), _notify(), _notify(TransitionKind.FLAPPING)],
    *[("deliver", "one")],
]
"""A receiver hears first that an incident is resolved, then that it is open again, not that it flaps."""


@settings(max_examples=60)
@given(st.lists(_ACTIONS, max_size=25))
@example(_REMINDER_KILLED)
@example(_REMINDER_KILLED_BEFORE_ITS_END)
@example(_REOPENED_UNHEARD)
def test_each_notification_is_delivered_or_a_dead_letter_in_order_and_once_but_for_kills(
    actions: list[tuple[object, ...]],
) -> None:
    async def play() -> None:
        run = _Run()
        for action in actions:
            await run.act(action)
        await run.drain()
        run.verify()

    asyncio.run(play())
