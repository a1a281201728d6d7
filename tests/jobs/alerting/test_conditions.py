"""Each condition: when it is met, since when, and how it says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.alerting.alert import Alert, AlertStatus
from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.facts import CircuitFact, SecretExpiryFact, SubjectFacts
from jobs.runs.outcomes import ErrorClass
from jobs.runs.waits import StartWait, WaitReason
from tests.jobs.alerting.alert_samples import MINUTE, START, judge, rule_of, sample, samples

DAY = timedelta(days=1)
FIRING = Alert("job", "rule", AlertStatus.FIRING, 1)


@pytest.mark.parametrize(
    ("open_after", "letters", "is_met", "evidence"),
    [
        ("3 of 5", "FSFSF", True, "3 of the last 5 runs failed: connection refused"),
        ("3 of 5", "FSF", False, "2 of the last 3 runs failed: connection refused"),
        (3, "SFFF", True, "the last 3 runs failed: connection refused"),
        (1, "F", True, "the last run failed: connection refused"),
        (3, "FFS", False, "2 of the last 3 runs failed: connection refused; the latest run is good"),
        (1, "S", False, "the latest run is good"),
        (3, "SDS", False, "none of the last 3 runs failed"),
        (3, "", None, "no run counts yet"),
    ],
)
def test_failed(open_after: object, letters: str, is_met: bool | None, evidence: str) -> None:
    verdict = judge(rule_of(open_after=open_after), samples(letters))
    assert (verdict.is_met, verdict.evidence) == (is_met, evidence)


def test_consecutive_failures_began_after_the_last_success() -> None:
    assert judge(rule_of(open_after=2), samples("FSFFFF")).since == START + 2 * MINUTE


def test_a_failed_run_keeps_a_degraded_alert_open() -> None:
    rule = rule_of(when="degraded", open_after=2)
    assert judge(rule, samples("DF")).evidence == "the last 2 runs were degraded or failed: connection refused"
    assert judge(rule, samples("DF"), alert=FIRING).is_met


def test_success_rate() -> None:
    rule = rule_of(when={"success_rate_below": "95%", "window": "1h", "minimum_runs": 10})
    verdict = judge(rule, samples("S" * 18 + "FF"))
    assert verdict.is_met
    assert verdict.since == START + 18 * MINUTE
    assert verdict.evidence == (
        "18 of 20 runs succeeded, 90%, less than 95% (latest failure: connection refused), in the last 1 h"
    )
    assert judge(rule, samples("S" * 19 + "F")).is_met is False


def test_a_rate_is_not_known_with_too_few_runs() -> None:
    rule = rule_of(when={"success_rate_below": "95%", "minimum_runs": 10})
    verdict = judge(rule, samples("F" * 9))
    assert (verdict.is_met, verdict.evidence) == (None, "9 runs count in the last 1 h, 10 are required")


def test_a_window_ends_before_the_run_that_is_as_old_as_the_window() -> None:
    rule = rule_of(when={"success_rate_below": "100%", "window": "10m", "minimum_runs": 1})
    assert judge(rule, samples("FS"), now=START + 10 * MINUTE).is_met is False
    assert judge(rule, samples("FS"), now=START + 9 * MINUTE).is_met is True


def test_a_rate_closes_at_its_other_limit() -> None:
    rule = rule_of(when={"success_rate_below": "90%", "close_at": "95%"})
    runs = samples("F" + "S" * 12)
    assert judge(rule, runs).is_met is False
    assert judge(rule, runs, alert=FIRING).is_met is True
    assert judge(rule, samples("F" + "S" * 19), alert=FIRING).is_met is False


def test_error_share_counts_classes_and_families() -> None:
    rule = rule_of(when={"error_share_above": "10%", "errors": ["timeout", "tls_failure"], "window": "30m"})
    runs = [sample(minute) for minute in range(8)]
    bad = [sample(8, True, error=ErrorClass.CONNECT_TIMEOUT), sample(9, True, error=ErrorClass.TLS_FAILURE)]
    other = [sample(8, True, error=ErrorClass.CONNECTION_REFUSED), sample(9, True)]
    assert judge(rule, [*runs, *other]).is_met is False
    assert judge(rule, [*runs, *bad]).evidence == (
        "2 of 10 runs failed with timeout or tls failure, 20%, more than 10% (latest: tls failure), in the last 30 min"
    )


def test_error_share_without_classes_counts_each_failure() -> None:
    assert judge(rule_of(when={"error_share_above": "10%"}), samples("S" * 8 + "FF")).is_met is True


def test_response_time_is_the_nearest_rank() -> None:
    rule = rule_of(when={"response_time_above": "800ms", "percentile": 95, "window": "30m"})
    slow = [sample(minute, response_ms=900.0 if minute >= 18 else 100.0) for minute in range(20)]
    verdict = judge(rule, slow)
    assert (verdict.is_met, verdict.since) == (True, START + 18 * MINUTE)
    assert verdict.evidence == "95 % of 20 responses took up to 900 ms, more than 800 ms, in the last 30 min"
    assert judge(rule, [*slow[:18], sample(18, response_ms=900.0), sample(19, response_ms=1.0)]).is_met is False


def test_a_run_without_a_response_has_no_response_time() -> None:
    rule = rule_of(when={"response_time_above": "1ms", "minimum_runs": 2})
    refused = sample(1, True, response_ms=0.3, error=ErrorClass.CONNECTION_REFUSED)
    assert judge(rule, [sample(0, response_ms=5.0), sample(2, True)]).is_met is None
    assert judge(rule, [sample(0, response_ms=5.0), refused]).is_met is None
    late = sample(1, True, response_ms=9.0, error=ErrorClass.RESPONSE_TIMEOUT)
    assert judge(rule, [sample(0, response_ms=5.0), late]).is_met is True


def test_lateness() -> None:
    verdict = judge(rule_of(when={"lateness_above": "1m"}), [sample(0, lateness_ms=61_000.0)])
    assert (verdict.is_met, verdict.evidence) == (True, "the last run started more than 60 s late: 61 s late")
    assert judge(rule_of(when={"lateness_above": "1m"}), [sample(0, lateness_ms=60_000.0)]).is_met is False


def test_lateness_names_the_longest_waits_of_the_run_that_was_most_late() -> None:
    waits = (
        StartWait(WaitReason.PLACE, 80_000.0),
        StartWait(WaitReason.CLAIM, 9000.0),
        StartWait(WaitReason.GATE, 1000.0),
    )
    worst = sample(0, lateness_ms=90_000.0, waits=waits)
    rule = rule_of(when={"lateness_above": "1m"}, open_after="2 of 3")

    evidence = judge(rule, [worst, sample(1, lateness_ms=61_000.0), sample(2)]).evidence

    assert evidence == (
        "2 of the last 3 runs started more than 60 s late: 90 s late, waited 80 s for a place, 9 s for the claim"
    )


@pytest.mark.parametrize(("days", "is_met"), [(13, True), (14, False), (-1, True)])
def test_certificate_days(days: int, is_met: bool) -> None:
    runs = [sample(0, certificate_expires_at=START + days * DAY)]
    assert judge(rule_of(when={"certificate_days_below": 14}), runs).is_met is is_met


def test_a_certificate_alert_says_when_it_expires_and_since_when_it_is_too_close() -> None:
    facts = SubjectFacts(certificate_expires_at=START + 13 * DAY)
    verdict = judge(rule_of(when={"certificate_days_below": 14}), [sample(0, True)], facts)
    assert verdict.evidence == "the certificate expires in 13 d, at 2026-03-14 03:00:00Z"
    assert verdict.since == START - DAY


def test_without_a_certificate_nothing_is_known() -> None:
    assert judge(rule_of(when={"certificate_days_below": 14}), samples("F")).is_met is None


def test_secret_days_names_the_first_that_expires() -> None:
    rule = rule_of(when={"secret_days_below": 14})
    secrets = (SecretExpiryFact("b", START + 3 * DAY), SecretExpiryFact("a", START + 2 * DAY), SecretExpiryFact("c"))
    verdict = judge(rule, (), SubjectFacts(secrets=secrets))
    assert verdict.evidence == "the secret a expires in 2 d, at 2026-03-03 03:00:00Z; 1 more expire soon: b"
    assert judge(rule, (), SubjectFacts(secrets=(SecretExpiryFact("c"),))).is_met is False
    assert judge(rule).is_met is None


def test_a_missed_heartbeat_is_not_a_reported_failure() -> None:
    rule = rule_of(when="heartbeat_missed")
    assert judge(rule, [sample(0, True, error=ErrorClass.HEARTBEAT_MISSING)]).is_met is True
    assert judge(rule, [sample(0, True, error=ErrorClass.HEARTBEAT_FAILED)]).is_met is False


def test_dead_letters() -> None:
    rule = rule_of(when={"dead_letters_above": 1, "window": "1h"})
    letters = (START - 61 * MINUTE, START - 5 * MINUTE, START - MINUTE)
    verdict = judge(rule, (), SubjectFacts(dead_letters=letters))
    assert (verdict.is_met, verdict.since) == (True, START - 5 * MINUTE)
    assert verdict.evidence == "2 dead letters in the last 1 h, more than 1"
    assert judge(rule, (), SubjectFacts(dead_letters=letters), START + 55 * MINUTE).is_met is False
    assert judge(rule).is_met is None


def test_circuit_open() -> None:
    rule = rule_of(when="circuit_open")
    is_open = SubjectFacts(circuit=CircuitFact(True, START))
    assert judge(rule, (), is_open).evidence == "the circuit is open since 2026-03-01 03:00:00Z"
    assert judge(rule, (), SubjectFacts(circuit=CircuitFact(False))).is_met is False
    assert judge(rule).is_met is None


def test_silent() -> None:
    rule = rule_of(when={"silent": True, "grace": "2m"})
    facts = SubjectFacts(unfinished_since=START, longest_run=3 * MINUTE)
    assert isinstance(rule.when, SilentCondition)
    assert rule.when.find_deadline(facts) == START + 5 * MINUTE
    assert judge(rule, (), facts, START + 5 * MINUTE - MINUTE / 60).is_met is False
    verdict = judge(rule, (), facts, START + 5 * MINUTE)
    assert (verdict.is_met, verdict.since) == (True, START)
    assert verdict.evidence == "the run that was due at 2026-03-01 03:00:00Z has not finished after 5 min"
    assert judge(rule, (), SubjectFacts()).is_met is False
