"""Whatever targets and people write, a bundle stays within its bound, and its Markdown has their words in code only."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from jobs.runs import ErrorClass, Outcome, Phases
from jobs.runs.details import Details as RunDetails
from jobs.runs.details import DnsDetail, EntryEffect, EntryStatus, HealthDetail, ReportedEntry
from jobs.runs.run import Failure
from scheduler.features.incidents.bundle_markdown import fit_bundle, render_markdown
from scheduler.features.incidents.bundle_models import (
    HINT,
    MAX_BUNDLE,
    BundleDifference,
    BundleLine,
    IncidentBundle,
)
from tests.scheduler.fakes import START, entry
from tests.scheduler.queries.alerting.bundle_desk import ID, BundleDesk

LONG = 5000
HOSTILE = {
    "backticks": "`" * LONG,
    "blocks": "\n# x\n\n- [a](https://evil.example)\n```\n<script>\n" * 200,
    "wide": "\U0001f4a5" * LONG,
    "escaped": '\\"' * LONG,
    "controls": "\x00\x1b[2J\u2028\u202e" * LONG,
    "pipes": "|" * LONG,
    "half": "\ud800" * LONG,
}


def fill(text: str, count: int = 1) -> IncidentBundle:
    """Return a bundle whose every text is this one, with so many entries in each list."""
    line = BundleLine(
        at=START, kind="opened", subject=text, text="", target_text=text, person_text=text, target_values={text: text}
    )
    difference = BundleDifference(target_name=text, target_failing=text, target_good=text, is_different=True, note="")
    lists = {
        name: [difference if name == "differences" else line] * count
        for name, field in IncidentBundle.model_fields.items()
        if "list" in str(field.annotation)
    }
    return IncidentBundle(
        id=text,
        url=f"/api/incidents/{ID}",
        hint=HINT,
        as_of=START,
        status="open",
        headline=text,
        rule=text,
        since=START,
        opened_at=START,
        reopened_at=START,
        resolved_at=None,
        affected=500,
        **lists | {"omitted": []},
    )


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("count", [1, 2000])
def test_hostile_texts_of_any_length_stay_within_the_bound(kind: str, count: int) -> None:
    bundle = fit_bundle(fill(HOSTILE[kind], count))

    for text in (bundle.model_dump_json(), render_markdown(bundle)):
        assert len(text.encode()) <= MAX_BUNDLE
    assert IncidentBundle.model_validate_json(bundle.model_dump_json()) == bundle
    # The answer remains, and what was shortened is named.
    assert bundle.findings
    assert {each.kind for each in bundle.omitted} >= ({"decisions", "timeline", "members"} if count > 1 else set())


async def test_an_incident_of_500_jobs_stays_within_the_bound_and_says_what_is_missing() -> None:
    names = [f"job-{number:03}" for number in range(500)]
    hostile = HOSTILE["blocks"][:400]
    details = RunDetails(
        dns=DnsDetail("NOERROR", (hostile,) * 20, 20, 60, "10.0.0.4"),
        health=HealthDetail(
            hostile,
            EntryStatus.DOWN,
            tuple(
                ReportedEntry(f"{at}{hostile}", EntryStatus.DOWN, "x", hostile, effect=EntryEffect.DOWN)
                for at in range(50)
            ),
            50,
        ),
    )
    async with BundleDesk(entry(), *(entry(name) for name in names)) as desk:
        await desk.run_with(-60, Outcome.SUCCEEDED, details)
        failures = (Failure("json $.a", hostile, hostile),)
        await desk.run(
            0,
            Outcome.FAILED,
            ErrorClass.EXPECTATION_FAILED,
            hostile,
            failures=failures,
            body=hostile,
            details=details,
            phases=Phases(1.0, 2.0, 3.0, 4.0, 50.0),
        )
        decisions = [
            (code, f"{number} {hostile}") for number in range(500) for code in ("held_back_parent", "delivered")
        ]
        await desk.open_incident(*names, evidence=hostile, notes=[hostile] * 20, decisions=decisions)
        bundle = await desk.read()

    text = render_markdown(bundle)
    assert bundle.affected == 501
    assert "501 jobs and groups, the worst first:" in text
    assert bundle.members[0].subject == "checkout"
    assert bundle.timeline[0].kind == "opened"
    omitted = {each.kind: (each.subject, each.text) for each in bundle.omitted}
    missing = 1000 - len(bundle.decisions)
    assert omitted["decisions"] == (f"/api/incidents/{ID}/decisions", f"has {missing} more")
    assert omitted["members"][1].startswith("has at least ")
    assert f"- `decisions` `/api/incidents/{ID}/decisions` has {missing} more\n" in text


def test_the_least_important_is_shortened_first() -> None:
    whole = fill("a text " * 5, 5)
    bundle = fit_bundle(whole.model_copy(update={"timeline": whole.timeline * 60, "decisions": whole.decisions * 60}))
    assert {each.kind for each in bundle.omitted} == {"timeline", "decisions"}
    assert len(bundle.timeline) > len(bundle.decisions) > 5
    assert len(bundle.model_dump_json()) > 0.9 * MAX_BUNDLE


def test_the_newest_entries_and_the_opening_are_kept_in_their_order() -> None:
    kinds = ["opened", *(["joined"] * 300), "acknowledged"]
    entries = [
        BundleLine(at=START + timedelta(seconds=at), kind=kind, target_text=f"{at} " * 50)
        for at, kind in enumerate(kinds)
    ]
    bundle = fit_bundle(fill("x", 0).model_copy(update={"timeline": entries}))
    found = [each.kind for each in bundle.timeline]
    assert (found[0], found[-1]) == ("opened", "acknowledged")
    assert 2 < len(found) < 302
    times = [each.at for each in bundle.timeline if each.at is not None]
    assert times == sorted(times)


def list_tokens(text: str) -> list[Token]:
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [*found, *(child for token in found for child in token.children or ())]


def shape(text: str) -> list[tuple[str, str]]:
    """Return the kinds of tokens, and what is not in code."""
    return [
        (token.type, "" if token.type in ("code_inline", "inline") else token.content) for token in list_tokens(text)
    ]


PLAIN = shape(render_markdown(fit_bundle(fill("plain"))))


@given(st.text(min_size=1, max_size=400) | st.text("`|\\<>[]()!*_#-\n \r~&;:", min_size=1, max_size=60))
@example("`` `x` ``")
@example("<https://evil.example>")
@example("a\\")
@example("|`|")
@example("\u2028# x")
@example(" ")
def test_no_text_of_others_is_markup_or_outside_of_code(text: str) -> None:
    bundle = fit_bundle(fill(text))
    shown = render_markdown(bundle)

    assert len(shown.encode()) <= MAX_BUNDLE
    if not text.strip():
        return
    assert shape(shown) == PLAIN
    json.loads(bundle.model_dump_json())


def test_a_runbook_is_a_link_unless_it_has_markup() -> None:
    bundle = fill("x").model_copy(
        update={
            "runbooks": [
                BundleLine(kind="runbook", subject="a", person_text="https://wiki.example.com/a?b=c#d"),
                BundleLine(kind="runbook", subject="b", person_text="https://wiki.example.com/><b>"),
            ]
        }
    )
    links = [token.attrs["href"] for token in list_tokens(render_markdown(bundle)) if token.type == "link_open"]
    assert links == ["https://wiki.example.com/a?b=c#d"]
