"""A replay decides what the program decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.suppression.windows import Silence
from jobs.incidents.values import AlertKey, Suppression, SuppressionKind
from scheduler.alerting.replay.history import (
    ActionKind,
    JobHistory,
    KnownCertificate,
    PauseSpan,
    RecordedAction,
    RecordedFiring,
    ReplayDefinitions,
    ReplayedIncident,
    ReplayInput,
)
from scheduler.alerting.replay.replaying import replay
from scheduler.stores.alerting.engine import EngineRows
from tests.scheduler.alerting.replay.live import (
    MINUTE,
    SECOND,
    START,
    LiveAlerting,
    definitions_of,
    history_of_letters,
)

RULES: dict[str, list[dict[str, Any]]] = {
    "in a row": [{"open_after": 2}],
    "of five": [{"open_after": "2 of 5", "close_after": 2, "remind_every": "4m", "reopen_within": "2m"}],
    "for": [{"open_after": 1, "for": "90s", "escalate": [{"after": "3m", "notify": ["chef"]}]}],
    "rate": [{"when": {"success_rate_below": "60%", "window": "5m", "minimum_runs": 3}, "flapping": False}],
    "unknown": [{"when": "unknown", "open_after": 2}, {"open_after": 2}],
    "two": [
        {"when": "degraded", "open_after": 1},
        {"open_after": "3 of 4", "flapping": {"changes": 3, "within": "9m"}},
    ],
}


def replayed(definitions: ReplayDefinitions, histories: Sequence[JobHistory], **more: Any) -> list[ReplayedIncident]:
    end = max(run.finished_at for history in histories for run in history.runs) + 5 * MINUTE
    found = replay(definitions, ReplayInput(START, end, tuple(histories), **more))
    return sorted(found.incidents.values(), key=lambda each: each.incident.id)


def sent(incidents: Sequence[ReplayedIncident]) -> list[tuple[str, str, str]]:
    return [
        (f"{each.due_at:%H:%M:%S}", each.kind.value, f"{incident.incident.lead.subject} {each.channel}")
        for incident in incidents
        for each in incident.notifications
    ]


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@example(["SDFFDF-D-FS-DF", "F--DF-DSF--SF-", "--F-F-DSFSFFD-"], ["rate", "rate", "of five"], True, 0)
@example(["SDSFF-S--F-F-F", "DFS-SFSF-FSSSF", "FSFF--D-SFFDFF"], ["of five", "rate", "rate"], False, 7)
@example(["SUUSFFUUUUSUUS", "FUFUSUFUFUUUUS", "SSUUUFFUUSSUUU"], ["unknown", "for", "unknown"], False, 0)
@given(
    letters=st.lists(st.text("FSSDU-", min_size=14, max_size=14), min_size=3, max_size=3),
    rules=st.lists(st.sampled_from(sorted(RULES)), min_size=3, max_size=3),
    parented=st.booleans(),
    silenced=st.integers(0, 12),
)
async def test_a_replay_sends_what_the_program_sends(
    letters: list[str], rules: list[str], parented: bool, silenced: int
) -> None:
    select, author = {"jobs": ["a", "b"]}, "operator"
    begin = START + silenced * MINUTE
    silence = Silence(
        id="1", select=select, starts_at=begin, ends_at=begin + 3 * MINUTE, author=author, created_at=begin
    )
    jobs = {name: {"alerts": RULES[rule]} for name, rule in zip("abc", rules, strict=True)}
    if parented:
        jobs["b"]["alert_parent"] = "a"  # type: ignore[assignment]
    groups = {"all": {"jobs": {"all": True}, "down_when": {"at_least": 2}}}
    definitions = definitions_of(jobs, groups, SuppressionSet(silences=(silence,)))
    histories = [history_of_letters(name, text, ord(name) % 7) for name, text in zip("abc", letters, strict=True)]
    live = LiveAlerting(definitions, histories)
    end = START + 18 * MINUTE
    await live.run(end)
    expected = sorted((each.incident[14:], each.kind.value, each.channel, at) for at, each in live.sent.values())
    found = replay(definitions, ReplayInput(START, end, tuple(histories))).incidents.values()
    # What is due at the very end is decided by a replay; the program's run has ended before.
    notified = [each for one in found for each in one.notifications if each.due_at < end]
    got = sorted((each.incident[14:], each.kind.value, each.channel, each.due_at) for each in notified)
    assert [each[:3] for each in got] == [each[:3] for each in expected]
    lags = [abs(one[3] - other[3]) for one, other in zip(got, expected, strict=True)]
    assert max(lags, default=timedelta()) <= 11 * SECOND  # an idle pass is 10 s after the last one


@settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
@example(["SSFFFF", "SSFFFF", "SSSSSS", "SSSSSS", "SSFFFF", "SSSSSS"])
@example(["SSFFFF", "SSFFFF", "SSFFFF", "SSFFFF", "SSSFFF", "SSSFFF"])
@given(letters=st.lists(st.text("FSS", min_size=6, max_size=6), min_size=6, max_size=6))
async def test_a_replay_finds_the_causes_and_the_fine_jobs_of_the_program(letters: list[str]) -> None:
    hosts = {name: "xxyyzz"[at] for at, name in enumerate("abcdef")}
    jobs = {
        name: {"alerts": RULES["in a row"], "check": {"url": f"http://{host}.shop.example/{name}"}}
        for name, host in hosts.items()
    }
    definitions = definitions_of(jobs)
    histories = [history_of_letters(name, text, 3) for name, text in zip("abcdef", letters, strict=True)]
    live, end = LiveAlerting(definitions, histories), START + 8 * MINUTE
    await live.run(end)
    found = replay(definitions, ReplayInput(START, end, tuple(histories))).incidents
    stored = {each.id: each for each in (await EngineRows(live.store).read()).incidents}
    assert {each.id[14:]: (each.cause, each.shared) for each in stored.values()} == {
        key[14:]: (each.incident.cause, each.incident.shared) for key, each in found.items()
    }


def test_a_silence_holds_back_nothing_before_it_was_created() -> None:
    silence = Silence(
        id="1",
        select={"all": True},
        starts_at=START,
        ends_at=START + 60 * MINUTE,
        author="operator",
        created_at=START + 5 * MINUTE,
    )
    definitions = definitions_of({"a": {"alerts": RULES["in a row"]}}, suppressions=SuppressionSet(silences=(silence,)))
    found = replayed(definitions, [history_of_letters("a", "SFFSSSSSSSSSSSSSSSSSSFFFS")])
    assert sent(found) == [("03:02:13", "opened", "a mail"), ("03:03:03", "resolved", "a mail")]
    assert [each.code for each in found[1].decisions] == ["held_back_silence", "resolved_unannounced"]


def test_a_person_acknowledges_and_resolves_an_incident() -> None:
    definitions = definitions_of({"a": {"alerts": [{"open_after": 1, "remind_every": "2m"}]}})
    lead = AlertKey("a", "failed")
    actions = (
        RecordedAction(lead, START + 3 * MINUTE, ActionKind.ACKNOWLEDGE, "anna"),
        RecordedAction(lead, START + 6 * MINUTE, ActionKind.RESOLVE, "anna"),
    )
    found = replayed(definitions, [history_of_letters("a", "FFFFFFFFFF")], actions=actions)
    kinds = [kind for _, kind, _ in sent(found)]
    assert kinds == ["opened", "reminded", "acknowledged", "resolved"]


def test_an_alert_that_is_not_derived_from_runs_fires_as_recorded() -> None:
    definitions = definitions_of({"a": {"alerts": [{"when": "circuit_open"}]}})
    firing = RecordedFiring(
        AlertKey("a", "circuit_open"), START + MINUTE, START, "the circuit is open", START + 2 * MINUTE
    )
    found = replayed(definitions, [history_of_letters("a", "SSSS")], firings=(firing,))
    assert sent(found) == [("03:01:10", "opened", "a mail"), ("03:02:00", "resolved", "a mail")]


def test_runs_from_before_a_pause_do_not_count_after_it() -> None:
    pause = PauseSpan(START + 2 * MINUTE, START + 4 * MINUTE, Suppression(SuppressionKind.WINDOW, "pause"))
    runs = history_of_letters("a", "SF--FS").runs
    definitions = definitions_of({"a": {"alerts": RULES["in a row"]}})
    assert not replayed(definitions, [JobHistory("a", runs, (pause,))])
    assert len(replayed(definitions, [JobHistory("a", runs)])) == 1


def test_a_certificate_expires_between_runs() -> None:
    definitions = definitions_of({"a": {"alerts": [{"when": {"certificate_days_below": 1}}]}})
    expires_at = START + timedelta(days=1, minutes=2)
    history = JobHistory(
        "a", history_of_letters("a", "SSSSSS").runs, certificates=(KnownCertificate(START, expires_at),)
    )
    assert sent(replayed(definitions, [history])) == [("03:02:10", "opened", "a mail")]
