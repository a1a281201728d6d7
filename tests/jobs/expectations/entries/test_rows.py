"""The entry `rows`: lists that are counted, or judged row by row."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.expectations.judging import describe_degraded, describe_unmet
from jobs.judging.judgement import Judgement, pack_health, unpack_health
from jobs.problems import validation_problems
from jobs.redaction import Redactor
from jobs.running.attempt_details import build_details
from jobs.runs import ErrorClass, Observation, Phases, Severity
from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail
from tests.jobs.expectations.helpers import ENTRIES, answer, entries, failure, failures

DEAD = {"json": "$.dead", "below": 1, "label": "dead letters"}
QUEUES = {"label": "queues", "expect": [DEAD]}


def queues(*dead: int | None, **more: Any) -> Observation:
    """The answer of ARM: a page of queues q0, q1, ... with so many dead letters."""
    value = [{"name": f"q{number}", "dead": each} for number, each in enumerate(dead)]
    return answer(json.dumps({"value": value, **more}))


def message(observed: Observation, **rules: Any) -> str:
    found = failures(observed, {"rows": rules})
    assert found
    if all(one.severity is Severity.DEGRADED for one in found):
        return describe_degraded(found)
    return describe_unmet(observed, found)[1]


def detail(observed: Observation, **rules: Any) -> HealthDetail:
    read: list[HealthDetail] = []
    judge(observed, entries({"rows": rules}), on_health_read=read.append)
    return read[-1]


def statuses(observed: Observation, **rules: Any) -> dict[str, tuple[EntryStatus, EntryEffect]]:
    return {entry.name: (entry.status, entry.effect) for entry in detail(observed, **rules).entries}


@pytest.mark.parametrize("body", [[1, 2], {"value": [1, 2]}, {"rows": [1, 2]}, {"value": 3, "rows": [1, 2]}], ids=str)
def test_the_rows_are_counted_where_the_list_usually_is(body: Any) -> None:
    assert failures(answer(json.dumps(body)), {"rows": 2}) == ()
    found = failure(answer(json.dumps(body)), {"rows": {"below": 2}})
    assert str(found) == "rows: expected less than 2, observed 2"


def test_the_rows_are_counted_where_of_says() -> None:
    body = answer(json.dumps({"a": {"b": [{"c": 1}, {"c": 2}]}}))
    assert failures(body, {"rows": {"of": "$.a.b", "equals": 2}}) == ()
    assert failures(body, {"rows": {"of": "$.a.b[?@.c > 1]", "equals": 1}}) == ()
    assert failures(body, {"rows": {"of": "$.a.x[*]", "equals": 0}}) == ()
    assert failure(body, {"rows": {"of": "$.a.x", "equals": 0}}).observed == "no list at $.a.x"


@pytest.mark.parametrize("body", ["{}", "3", "null", '{"value": {"a": 1}}', "", "{", "[" * 100_000])
def test_a_body_without_a_list_fails_clearly(body: str) -> None:
    found = failure(answer(body), {"rows": {"at_most": 5}})
    assert (found.severity, found.expected) == (Severity.FAIL, "a list of rows")
    assert found.observed


def test_where_selects_rows_by_an_expression_or_a_value() -> None:
    body = answer('[{"name": "a", "on": true}, {"name": "b", "on": false}, {"name": "c"}]')
    assert failures(body, {"rows": {"where": {"json": "$.on", "equals": True}, "equals": 1}}) == ()
    assert failures(body, {"rows": {"where": "has(json.on) && json.on", "equals": 1}}) == ()


def test_an_expression_of_where_that_has_no_value_does_not_hide_a_row() -> None:
    found = failure(answer('[{"on": true}, {}]'), {"rows": {"where": "json.on", "below": 9}})
    assert found.observed.startswith("where of row 2: ")


def test_a_wrong_count_of_labelled_rows_names_them() -> None:
    (found,) = judge(answer("[]"), entries({"rows": {"label": "runs that succeeded within 26h", "at_least": 1}}), str)
    assert str(found) == "rows: expected at least 1, observed 0 runs that succeeded within 26h"


def test_the_message_names_the_worst_rows_first_and_the_number_of_the_others() -> None:
    assert message(queues(0, 3, 41, 0), **QUEUES) == (
        "2 of 4 queues: q2 (dead letters 41, below 1), q1 (dead letters 3, below 1)."
    )
    assert message(queues(*range(1000)), **QUEUES).startswith("999 of 1,000 queues: q999 (dead letters 999, below 1), ")
    assert message(queues(*range(1000)), **QUEUES).endswith("q995 (dead letters 995, below 1), and 994 more.")


@pytest.mark.parametrize(("bound", "days"), [("at_least", (29, -5, 12)), ("at_most", (60, 90, 75))])
def test_the_row_that_is_farthest_from_its_expiry_is_the_worst(bound: str, days: tuple[int, ...]) -> None:
    now = datetime.now(UTC)
    rows = [{"name": f"r{number}", "exp": (now + timedelta(days=each)).isoformat()} for number, each in enumerate(days)]
    text = message(answer(json.dumps(rows)), expect=[{"json": "$.exp", "expires_in": {bound: "30d"}}])
    assert re.findall(r"r\d", text) == ["r1", "r2", "r0"]


@pytest.mark.parametrize("bound", [{"below": 0.5}, {"below": "15m"}])
def test_an_integer_beyond_the_range_of_a_float_is_compared(bound: dict[str, Any]) -> None:
    text = message(answer(json.dumps([{"name": "a", "n": 10**400}])), expect=[{"json": "$.n", **bound}])
    assert text.startswith("1 of 1 rows: a (n 1000")


def test_a_value_without_a_label_has_the_last_name_of_its_path() -> None:
    assert message(queues(7), expect=[{"json": "$['dead']", "at_most": 3}]) == "1 of 1 rows: q0 (dead 7, at most 3)."


def test_an_expectation_that_only_degrades_degrades_its_row() -> None:
    rules = {"expect": [{"json": "$.dead", "below": 1, "severity": "degraded"}, {"json": "$.dead", "below": 10}]}
    assert statuses(queues(0, 5, 50), **rules) == {
        "q2": (EntryStatus.DOWN, EntryEffect.DOWN),
        "q1": (EntryStatus.DEGRADED, EntryEffect.DEGRADED),
        "q0": (EntryStatus.UP, EntryEffect.NONE),
    }
    assert failure(queues(0, 5), {"rows": rules}).severity is Severity.DEGRADED
    assert failure(queues(0, 50), {"rows": rules}).severity is Severity.FAIL
    assert message(queues(5, 50), **rules) == (
        "2 of 2 rows: q1 (dead 50, below 1; dead 50, below 10), q0 (degraded, dead 5, below 1)."
    )


def test_an_ignored_row_has_a_state_but_does_not_count() -> None:
    rules = {**QUEUES, "ignore": ["q1*"]}
    assert failures(queues(0, 9), {"rows": rules}) == ()
    assert statuses(queues(0, 9), **rules)["q1"] == (EntryStatus.DOWN, EntryEffect.NONE)


def test_an_override_replaces_the_expectations_of_the_rows_that_it_matches() -> None:
    overrides = [{"match": "q1", "expect": [{"json": "$.dead", "below": 100}]}, {"match": "q*", "expect": [DEAD]}]
    rules = {**QUEUES, "overrides": overrides}
    assert failures(queues(0, 99), {"rows": rules}) == ()
    assert message(queues(99, 100), **rules).startswith("2 of 2 queues: q0 (dead letters 99, below 1), q1 (dead 100,")


def test_a_required_row_that_is_missing_fails() -> None:
    text = "1 of 1 queues: orders (required, but not in the document)."
    assert message(queues(), **QUEUES, require=["orders"]) == text
    assert message(queues(0), **QUEUES, require=["orders", "q*"]) == (
        "1 of 2 queues: orders (required, but not in the document)."
    )


def test_bounds_and_rows_are_judged_together() -> None:
    assert message(queues(), **QUEUES, at_least=1) == "0 queues, expected at least 1."
    assert message(queues(4), **QUEUES, at_least=2) == (
        "1 of 1 queues: q0 (dead letters 4, below 1); 1 queues, expected at least 2."
    )


def test_a_missing_value_fails_its_row_unless_it_may_be_missing() -> None:
    body = answer('[{"name": "a"}]')
    assert message(body, **QUEUES) == "1 of 1 queues: a (dead letters no value, below 1)."
    assert failures(body, {"rows": {"expect": [{**DEAD, "missing": "ok"}]}}) == ()


@pytest.mark.parametrize("row", [{}, {"name": None}, {"name": {}}, {"name": " "}, 3, None, [], True], ids=str)
def test_a_row_without_a_name_is_down(row: Any) -> None:
    assert message(answer(json.dumps([row])), **QUEUES) == "1 of 1 queues: row 1 (no text at $.name)."


def test_a_key_of_several_values_is_a_path() -> None:
    body = answer('[{"topic": "orders", "sub": 7, "dead": 1}]')
    assert message(body, expect=[DEAD], key="$['topic','sub']").startswith("1 of 1 rows: orders/7 (")


def test_rows_with_one_name_stay_apart_in_the_order_of_the_list() -> None:
    body = answer('[{"name": "a", "dead": 0}, {"name": "a", "dead": 2}]')
    assert {name: status for name, (status, _) in statuses(body, **QUEUES).items()} == {
        "a": EntryStatus.UP,
        "a (2)": EntryStatus.DOWN,
    }


@pytest.mark.parametrize(
    "rules",
    [{"ignore": ["a"]}, {"overrides": [{"match": "a", "expect": [DEAD | {"below": 9}]}]}, {"ignore": ["a (2)"]}],
    ids=str,
)
def test_a_rule_for_a_name_holds_for_all_rows_with_it(rules: dict[str, Any]) -> None:
    body = answer('[{"name": "a", "dead": 0}, {"name": "a", "dead": 2}]')
    assert not failures(body, {"rows": QUEUES | rules})


def test_another_status_that_is_expected_is_not_the_error() -> None:
    observed = Observation(Phases(), 404, body=b'[{"name": "a", "dead": 2}]')
    error, message = describe_unmet(observed, failures(observed, {"status": 404}, {"rows": QUEUES}))
    assert (error, message) == (ErrorClass.EXPECTATION_FAILED, "1 of 1 queues: a (dead letters 2, below 1).")


def test_the_id_of_a_resource_begins_behind_its_subscription() -> None:
    resource = "/subscriptions/1b2c/resourceGroups/shop/providers/Microsoft.Sql/servers/a"
    body = answer(json.dumps([{"id": resource, "dead": 1}]))
    assert [*statuses(body, key="$.id", expect=[DEAD])] == ["shop/providers/Microsoft.Sql/servers/a"]


def test_an_expression_is_about_the_row_and_knows_the_time() -> None:
    body = answer('[{"name": "a", "at": "2001-01-01T00:00:00Z"}, {"name": "b", "at": "2999-01-01T00:00:00Z"}]')
    rules = {"expect": [{"cel": "timestamp(json.at) > now", "label": "expired"}]}
    assert message(body, **rules) == "1 of 2 rows: a (expired)."
    assert message(body, expect=[{"cel": "json.nosuch"}]).startswith("2 of 2 rows: a (json.nosuch: ")


def test_more_than_a_thousand_rows_are_refused_with_a_remedy_but_counted() -> None:
    found = failure(queues(*[0] * 1001), {"rows": QUEUES})
    assert (found.expected, found.observed) == (
        "at most 1,000 queues",
        "1,001 queues: select fewer by `of` or `where`, or split the job",
    )
    assert failures(answer(json.dumps([0] * 100_000)), {"rows": 100_000}) == ()


def test_secrets_and_control_characters_do_not_reach_message_or_entries() -> None:
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    name = "correct-horse-battery\x1b[31m" + "x" * 5000
    observed = answer(json.dumps([{"name": name, "state": "correct-horse-battery"}]))
    read: list[HealthDetail] = []
    rules = entries({"rows": {"expect": [{"json": "$.state", "equals": "ok"}]}})
    (found,) = judge(observed, rules, redactor.redact, on_health_read=read.append)
    details = build_details(Observation(observed.phases, 200, health=read[0]), redactor.redact)
    assert details is not None
    assert details.health is not None
    for text in (found.observed, str(details.health)):
        assert "correct-horse" not in text
        assert text.isprintable()
        assert len(text) < 1000
    assert details.health.entries[0].observed == 'state "***", expected "ok"'


def test_a_long_secret_that_is_cut_does_not_reach_message_or_entries() -> None:
    secret, redactor = "".join(chr(97 + number * 7 % 23) + str(number) for number in range(110)), Redactor()
    redactor.add_permanent(secret)
    observed = answer(json.dumps([{"name": secret * 30, "state": secret * 30}, {"name": secret, "state": 1}]))
    rules = entries({"rows": {"expect": [{"json": "$.state", "equals": "ok"}]}})
    read: list[HealthDetail] = []
    (found,) = judge(observed, rules, redactor.redact, on_health_read=read.append)
    details = build_details(Observation(observed.phases, 200, health=read[0]), redactor.redact)
    for text in (found.observed, str(details)):
        assert "***" in text
        assert not re.search(r"[a-z]\d+[a-z]\d+[a-z]\d", text)


def test_the_judging_process_returns_the_same_entries_and_message() -> None:
    observed, redactor = queues(0, 3, 41), Redactor()
    task = Judgement(observed, entries({"rows": QUEUES}))
    verdict = task.perform(redactor.redact, lambda part: None)
    packed = json.loads(json.dumps(task.pack(verdict)))
    assert task.unpack(packed, str) == verdict
    assert verdict.health is not None
    assert unpack_health(pack_health(verdict.health)) == verdict.health


@pytest.mark.parametrize(
    "body",
    [
        '{"value": ' + "[" * 900 + "]" * 900 + "}",
        '[{"name": "a", "name": "b", "dead": 0, "dead": 5}]',
        json.dumps([{"name": "k", "x" * 100_000: 1}]),
        json.dumps([{"name": "n" * 200_000, "dead": "9" * 5000}]),
        json.dumps([{"name": "a", "dead": {"b": [1] * 1000}}] * 1000),
        json.dumps([{"name": "\ud800", "dead": 1e308}, {"name": "\u202e", "dead": -1}]),
        json.dumps([[[[]]]] * 1000),
    ],
    ids=range(7),
)
def test_a_hostile_body_gets_a_bounded_verdict(body: str) -> None:
    found = failures(answer(body), {"rows": {"expect": [DEAD, {"cel": "json.dead < 1"}]}})
    assert all(len(one.observed) < 3000 and one.observed.isprintable() for one in found)


def test_of_equal_keys_the_last_counts_as_in_all_json() -> None:
    assert message(answer('[{"name": "a", "name": "b", "dead": 0, "dead": 5}]'), **QUEUES).startswith(
        "1 of 1 queues: b"
    )


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c1", "c2"]), st.integers(0, 12) | st.none(), st.booleans()),
    max_size=6,
    unique_by=lambda row: row[0],
)


@settings(max_examples=150)
@given(ROWS, st.sampled_from([(), ("a",), ("c*",)]), st.booleans(), st.integers(0, 4))
def test_the_verdict_is_that_of_a_plain_reference(
    rows: list[tuple[str, int | None, bool]], ignore: tuple[str, ...], has_override: bool, at_least: int
) -> None:
    rules: dict[str, Any] = {
        "where": {"json": "$.on", "equals": True},
        "expect": [{"json": "$.n", "below": 10}, {"json": "$.n", "below": 5, "severity": "degraded"}],
        "ignore": ignore,
        "at_least": at_least,
    }
    if has_override:
        rules["overrides"] = [{"match": "b", "expect": [{"json": "$.n", "exists": True}]}]
    expected: dict[str, EntryStatus] = {}
    for name, number, is_on in rows:
        if not is_on:
            continue
        if name == "b" and has_override:
            expected[name] = EntryStatus.UP
        elif number is None or number >= 10:
            expected[name] = EntryStatus.DOWN
        else:
            expected[name] = EntryStatus.DEGRADED if number >= 5 else EntryStatus.UP
    counting = {status for name, status in expected.items() if not any(name.startswith(one[0]) for one in ignore)}
    observed = answer(json.dumps([{"name": name, "n": number, "on": is_on} for name, number, is_on in rows]))
    found = failures(observed, {"rows": rules})
    assert {name: status for name, (status, _) in statuses(observed, **rules).items()} == expected
    is_down = EntryStatus.DOWN in counting or len(expected) < at_least
    severity = Severity.FAIL if is_down else Severity.DEGRADED if EntryStatus.DEGRADED in counting else None
    assert [one.severity for one in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, "has nothing to judge"),
        ({"ignore": ["a"], "below": 1}, "ignore needs `expect`"),
        ({"expect": [{"json": "$.a"}]}, "has no comparison"),
        ({"expect": [{"status": 200}]}, "json"),
        ({"where": "json.", "below": 1}, "is not a CEL expression"),
        ({"of": "value", "below": 1}, "start it with $"),
        ({"below": "many"}, "not a whole number"),
        ({"expekt": []}, "unknown key"),
    ],
    ids=str,
)
def test_a_wrong_rule_is_refused_with_its_place(rules: dict[str, Any], expected: str) -> None:
    job = {"name": "checkout", "check": {"url": "https://a.example/"}, "expect": [{"rows": rules}]}
    with pytest.raises(ValidationError) as caught:
        JobDefinition.model_validate(job)
    problem = str(validation_problems(caught.value, JobDefinition)[0])
    assert problem.startswith("expect[0].rows")
    assert expected in problem


@pytest.mark.parametrize(
    "rules",
    [3, {"below": 1}, {"where": {"cel": "json.on"}, "at_most": 2}, {**QUEUES, "ignore": ["a*"], "of": "$.value"}],
    ids=str,
)
def test_a_definition_is_written_as_it_was(rules: Any) -> None:
    written = ENTRIES.dump_python(entries({"rows": rules}), by_alias=True, mode="json")
    assert written == [{"rows": rules}]
    assert ENTRIES.validate_python(written) == entries({"rows": rules})
