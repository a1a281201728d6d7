"""The health document that history keeps of an attempt: those entries that matter, short and without secrets."""

from __future__ import annotations

from jobs.redaction import Redactor
from jobs.running.attempt_details import MAX_HEALTH_TEXT, MAX_HEALTH_TEXTS, build_details
from jobs.runs import Observation, Phases
from jobs.runs.details import MAX_HEALTH_ENTRIES, EntryEffect, EntryStatus, HealthDetail, ReportedEntry


def stored(*entries: ReportedEntry, redactor: Redactor | None = None) -> HealthDetail:
    health = HealthDetail("Unhealthy", EntryStatus.DOWN, entries, len(entries))
    details = build_details(Observation(Phases(), 503, health=health), (redactor or Redactor()).redact)
    assert details is not None
    assert details.health is not None
    return details.health


def down(name: str, text: str = "") -> ReportedEntry:
    return ReportedEntry(name, EntryStatus.DOWN, "Unhealthy", text, 1.0, effect=EntryEffect.DOWN)


def test_an_entry_is_stored_as_it_was_reported() -> None:
    assert stored(down("cosmosdb", "timeout")).entries == (down("cosmosdb", "timeout"),)


def test_of_many_entries_those_that_count_are_stored_in_their_order() -> None:
    up = [ReportedEntry(f"up{number}", EntryStatus.UP, "Healthy") for number in range(MAX_HEALTH_ENTRIES)]
    found = stored(*up, down("last"))
    assert (len(found.entries), found.entry_count) == (MAX_HEALTH_ENTRIES, MAX_HEALTH_ENTRIES + 1)
    assert [entry.name for entry in found.entries[-2:]] == [f"up{MAX_HEALTH_ENTRIES - 2}", "last"]


def test_texts_are_redacted_escaped_and_short() -> None:
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    (entry,) = stored(down("a\x1b[31m", "correct-horse-battery " + "x" * 4000), redactor=redactor).entries
    assert entry.name == "a\\x1b[31m"
    assert entry.text.startswith("*** xxx")
    assert len(entry.text) == MAX_HEALTH_TEXT


def test_all_texts_together_are_short() -> None:
    found = stored(*(down(f"e{number}", "x" * 150) for number in range(40)))
    assert sum(len(entry.text) for entry in found.entries) <= MAX_HEALTH_TEXTS
    assert found.entries[0].text


def test_the_other_entries_are_not_lost_until_the_run_is_stored() -> None:
    found = stored(*(down(f"e{number}") for number in range(1000)))
    assert len({entry.name for entry in (*found.entries, *found.rest)}) == 1000


def test_names_that_are_equal_once_they_are_short_stay_apart() -> None:
    found = stored(*(down("x" * 150 + str(number)) for number in range(300)))
    names = [entry.name for entry in (*found.entries, *found.rest)]
    assert len(set(names)) == 300
    assert max(map(len, names)) <= 100
