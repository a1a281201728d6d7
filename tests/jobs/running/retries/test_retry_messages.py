from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.checks.clock import Phase, describe_timeout
from jobs.expectations.judging import describe_unmet
from jobs.running.retry_budget import describe_no_time_left, seconds
from jobs.runs import ErrorClass, Failure, Observation, Phases, Severity

URL = "https://checkout.internal/health"


@pytest.mark.parametrize(
    ("phase", "error", "sentence"),
    [
        (
            "secrets",
            ErrorClass.SECRET_UNAVAILABLE,
            "Nothing was sent to checkout.internal:443: its secrets were not available within 5 s; "
            "check the Key Vault and the route to it.",
        ),
        (
            "token",
            ErrorClass.TOKEN_UNAVAILABLE,
            "Nothing was sent to checkout.internal:443: its access token was not available within 5 s; "
            "check the app's managed identity, or the token_url of its auth.",
        ),
        ("dns", ErrorClass.DNS_TIMEOUT, "No answer from the DNS about checkout.internal within 5 s."),
        (
            "connect",
            ErrorClass.CONNECT_TIMEOUT,
            "No connection to checkout.internal:443 within 5 s: nothing answered "
            "(host down, or a firewall drops the packets).",
        ),
        (
            "tls",
            ErrorClass.TLS_TIMEOUT,
            "No TLS session with checkout.internal:443 within 5 s: "
            "it accepted the connection, but did not finish the handshake.",
        ),
        (
            "first_byte",
            ErrorClass.RESPONSE_TIMEOUT,
            "No response from checkout.internal:443 within 5 s: it accepted the connection, then stayed silent.",
        ),
        (
            "body",
            ErrorClass.BODY_TIMEOUT,
            "No complete response from checkout.internal:443 within 5 s: it started to respond, "
            "then was too slow or stopped.",
        ),
        (
            None,
            ErrorClass.RESPONSE_TIMEOUT,
            "No response from checkout.internal:443 within 5 s: the request was not sent yet.",
        ),
    ],
)
def test_a_time_out_reports_what_it_was_waiting_for(phase: Phase | None, error: ErrorClass, sentence: str) -> None:
    assert describe_timeout(phase, URL, 5.0) == (error, sentence)


@pytest.mark.parametrize(
    ("endpoint", "peer"),
    [("http://a/x", "a:80"), ("http://a:8080", "a:8080"), ("https://[::1]/", "[::1]:443"), ("checkout", "checkout")],
)
def test_a_peer_is_a_host_with_its_port(endpoint: str, peer: str) -> None:
    assert f"No connection to {peer} within" in describe_timeout("connect", endpoint, 1.0)[1]


def test_a_body_in_an_encoding_that_no_one_reads_is_reported() -> None:
    observation = replace(answer(200), headers={"content-encoding": "br"})
    assert describe_unmet(observation, [BODY])[1].endswith(
        " The body has the content encoding br, which is not supported: send gzip or identity."
    )
    assert "encoded" not in describe_unmet(replace(observation, headers={"content-encoding": "GZIP"}), [BODY])[1]
    assert "encoded" not in describe_unmet(observation, [SLOW])[1]


STATUS = Failure("status", "200-299", "503")
SLOW = Failure("response_time_below", "less than 10 ms", "20 ms", Severity.DEGRADED)
BODY = Failure("body_contains", "ok", "down")


def test_what_would_be_degraded_is_reported_after_what_failed() -> None:
    error, sentence = describe_unmet(answer(200), [SLOW, BODY])
    assert error is ErrorClass.EXPECTATION_FAILED
    assert sentence == f"Not as expected: {BODY}; {SLOW}."


def test_a_status_that_would_only_be_degraded_does_not_decide() -> None:
    error, _ = describe_unmet(answer(503), [Failure("status", "200", "503", Severity.DEGRADED), BODY])
    assert error is ErrorClass.EXPECTATION_FAILED


def answer(status: int, reason: str = "", retry_after_s: float | None = None) -> Observation:
    return Observation(Phases(), status=status, reason=reason, retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("observation", "failures", "sentence"),
    [
        (answer(503, "Service Unavailable"), [STATUS], "Answered 503 Service Unavailable, expected 200-299."),
        (answer(503), [STATUS], "Answered 503, expected 200-299."),
        (answer(503, "\x1b[31mBusy"), [STATUS], r"Answered 503 \x1b[31mBusy, expected 200-299."),
        (answer(503, "x" * 90), [STATUS], f"Answered 503 {'x' * 79}…, expected 200-299."),
        (
            answer(503, "Busy", 120.0),
            [STATUS],
            "Answered 503 Busy (Retry-After: 120 s), expected 200-299.",
        ),
        (
            answer(503),
            [BODY, STATUS],
            "Answered 503, expected 200-299; also body_contains: expected ok, observed down.",
        ),
    ],
)
def test_a_wrong_status_is_named_with_what_was_expected(
    observation: Observation, failures: list[Failure], sentence: str
) -> None:
    assert describe_unmet(observation, failures) == (ErrorClass.UNEXPECTED_STATUS, sentence)


def test_without_a_wrong_status_it_is_a_failed_expectation() -> None:
    assert describe_unmet(answer(200), [BODY, BODY]) == (
        ErrorClass.EXPECTATION_FAILED,
        "Not as expected: body_contains: expected ok, observed down; body_contains: expected ok, observed down.",
    )


def test_a_retry_after_that_does_not_fit_is_named() -> None:
    assert describe_no_time_left(120.0, 120.0, 12.0) == (
        "Not retried: the target requested a wait of 120 s, only 12 s of the run's time are left."
    )


def test_a_wait_of_our_own_that_does_not_fit_is_named() -> None:
    assert describe_no_time_left(10.0, 2.0, 0.35) == (
        "Not retried: the next attempt would start in 10 s, only 350 ms of the run's time are left."
    )


@pytest.mark.parametrize(
    ("value", "text"), [(-1, "0 ms"), (0.35, "350 ms"), (1, "1 s"), (2.54, "2.5 s"), (120, "120 s"), (10, "10 s")]
)
def test_a_time_is_written_as_people_report_it(value: float, text: str) -> None:
    assert seconds(value) == text
