"""Two hundred scenarios beside Prometheus Alertmanager: the same notifications, but for the listed differences.

Alertmanager goes through all scenarios at once in real time, ours in virtual time. Job by job the notifications must be
the same, in the same order, and at most LATENESS apart, except for what a rule in DIFFERENCES explains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations

from tests.parts.alertmanager import ours, storm, theirs
from tests.parts.alertmanager.scenarios import PARENT, Scenario, make_scenario
from tests.parts.alertmanager.theirs import Sent

SCENARIOS = 200
LATENESS = 2.5
"""Seconds: Alertmanager looks at a group once a second; one of them counts its group wait from another moment."""

Difference = Callable[[Scenario, str, list[Sent]], list[Sent]]
"""Returns our notifications of a job as Alertmanager would have sent them."""


def resolved_although_held_back(scenario: Scenario, job: str, sent: list[Sent]) -> list[Sent]:
    """We resolve what was announced, whatever holds notifications back then.

    Alertmanager mutes the resolution as well: its receivers wait for an end that never comes.
    """
    return [each for each in sent if each.status != "resolved" or not _is_held_back(scenario, job, each.at)]


def announced_within_a_second(scenario: Scenario, job: str, sent: list[Sent]) -> list[Sent]:
    """We announce when a silence ends. Alertmanager looks up to a second later, and finds the alert resolved."""
    kept = list(sent)
    for before, one, following in zip([None, *sent], sent, sent[1:], strict=False):
        is_opening = one.status == "firing" and (before is None or before.status == "resolved")
        if is_opening and following.status == "resolved" and following.at - one.at < 1:
            kept = [each for each in kept if each not in (one, following)]
    return kept


def reminded_to_the_second(scenario: Scenario, job: str, sent: list[Sent]) -> list[Sent]:
    """We remind when the interval has passed. Alertmanager reminds at the next group interval.

    Here that is a second later each time, so that a reminder is missing at the end.
    """
    return _without_reminders(sent)


DIFFERENCES: tuple[Difference, ...] = (
    announced_within_a_second,
    resolved_although_held_back,
    reminded_to_the_second,
)


async def test_the_notifications_are_those_of_alertmanager_but_for_the_listed_differences() -> None:
    scenarios = [make_scenario(seed) for seed in range(SCENARIOS)]
    sent = await theirs.notifications_of(scenarios)
    unexplained, explained, same = [], Counter[str](), 0
    for scenario in scenarios:
        own, other = ours.notifications_of(scenario), sent.get(scenario.number, [])
        for job in sorted({each.job for each in (*own, *other)}):
            mine, its = ([each for each in some if each.job == job] for some in (own, other))
            if _are_same(mine, its):
                same += 1
            elif (reason := _explain(scenario, job, mine, its)) is None:
                unexplained.append((scenario, job, mine, its))
            else:
                explained[reason] += 1
    print(f"\n{same} jobs with the same notifications, differences: {dict(explained)}")
    assert not unexplained, "\n".join(map(str, unexplained))
    assert same > explained.total()


async def test_a_storm_of_thirty_alerts_has_as_many_openings_as_at_alertmanager() -> None:
    for seed in range(2):
        events = storm.make_storm(seed)
        theirs_by_host = await storm.messages_of_alertmanager(events)
        openings, messages = storm.messages_of_ours(events)
        print(f"\nmessages by host: Alertmanager {dict(theirs_by_host)}, ours {dict(messages)}")
        assert openings == dict.fromkeys(theirs_by_host, 1)
        assert messages.total() <= theirs_by_host.total() + len(storm.HOSTS), "what joins is collected, too"


def _explain(scenario: Scenario, job: str, mine: list[Sent], its: list[Sent]) -> str | None:
    """Return the names of the differences that together explain what differs; None if they do not."""
    for order in permutations(DIFFERENCES):
        changed, names = mine, []
        for difference in order:
            before, changed = changed, difference(scenario, job, changed)
            names += [difference.__name__] if changed != before or difference is reminded_to_the_second else []
            compared = _without_reminders(its) if reminded_to_the_second.__name__ in names else its
            if _are_same(changed, compared):
                return ", ".join(sorted(names))
    return None


def _are_same(mine: Sequence[Sent], its: Sequence[Sent]) -> bool:
    return [each.status for each in mine] == [each.status for each in its] and all(
        abs(one.at - other.at) <= LATENESS for one, other in zip(mine, its, strict=True)
    )


def _without_reminders(sent: Sequence[Sent]) -> list[Sent]:
    return [each for place, each in enumerate(sent) if not place or each.status != sent[place - 1].status]


def _is_held_back(scenario: Scenario, job: str, at: float) -> bool:
    """Return whether a silence or the failing parent holds the job back. Alertmanager looks up to a second later."""
    if any(each.job == job and each.start - 1 <= at < each.end for each in scenario.silences):
        return True
    parent_fails = any(
        each.job == PARENT and each.start - 1 <= at and (each.end is None or at <= each.end)
        for each in scenario.failures
    )
    return scenario.is_inhibited and job != PARENT and parent_fails
