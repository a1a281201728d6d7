"""What an alert may share with others, by its job and its newest bad run; and which jobs share it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.alerting.alert import Alert, AlertStatus
from jobs.alerting.facts import Sample
from jobs.definition import JobDefinition
from jobs.incidents.values import SharedCause
from jobs.runs import Attempt, ErrorClass, Failure, Outcome, Phases, Run, Trigger
from jobs.runs.details import CertificateDetail
from scheduler.alerting.causes import CauseIndex, SeenCauses, find_causes
from scheduler.alerting.evaluation.silent_jobs import DueTimes
from scheduler.alerting.facts import DefinedFacts, describe_pause
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import CatalogJob, JobSnapshot

AT = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EXPIRED = CertificateDetail("shop.example", "R3", ("*.shop.example", "shop.example"), 2, AT - MINUTE)
VALID = CertificateDetail("shop.example", "R3", ("*.shop.example", "shop.example"), 2, AT + timedelta(days=90))
ERROR = ErrorClass.CONNECT_TIMEOUT


def job_of(name: str = "checkout", url: str = "https://api.shop.example/health", **more: Any) -> JobDefinition:
    return JobDefinition.model_validate({"name": name, "schedule": "every 1m", "check": {"url": url}, **more})


def dns_job(**more: Any) -> JobDefinition:
    check = {"kind": "dns", "name": "db.shop.example", **more}
    return JobDefinition.model_validate({"name": "lookup", "schedule": "every 1m", "check": check})


def failed(error: ErrorClass | None = None, **more: Any) -> Sample:
    return Sample(AT, "run", AT, is_failed=True, error=error, **more)


def shown(certificate: CertificateDetail) -> dict[str, Any]:
    return {"certificate": certificate, "certificate_expires_at": certificate.expires_at}


def test_an_alert_that_is_not_about_a_run_has_the_causes_of_its_job() -> None:
    circuit = {"group": "payments", "consecutive_failures": 3}
    job = job_of(alert_parent="gateway", circuit=circuit, tags={"azure_resource": "/Subscriptions/1/Sites/A"})
    assert find_causes(job, None) == (
        "parent gateway",
        "host api.shop.example",
        "circuit group:payments",
        "resource /subscriptions/1/sites/a",
    )


@pytest.mark.parametrize(
    ("sample", "further"),
    [
        (failed(ErrorClass.UNEXPECTED_STATUS, **shown(VALID)), []),
        (failed(ErrorClass.CONNECTION_REFUSED, message="it refused"), []),
        (failed(ErrorClass.CONNECT_TIMEOUT, address="10.0.0.7"), ["address 10.0.0.7", "error connect_timeout"]),
        (failed(ErrorClass.DNS_TIMEOUT), ["nameserver of this machine", "zone shop.example"]),
        (
            failed(ErrorClass.SECRET_UNAVAILABLE, message="vault v answered 403 for checkout at api.shop.example"),
            ["error secret_unavailable: vault v answered # for  at"],
        ),
    ],
)
def test_a_failed_run_adds_what_it_shows(sample: Sample, further: list[str]) -> None:
    assert find_causes(job_of(), sample) == ("host api.shop.example", *further)


def test_the_certificate_is_a_cause_only_if_the_failure_is_about_it() -> None:
    text = "certificate *.shop.example of R3 valid until 2026-03-01 02:59:00Z"
    assert text in find_causes(job_of(), failed(ErrorClass.TLS_CERTIFICATE, **shown(EXPIRED)))
    good = Sample(AT, "run", AT, is_failed=False, **shown(EXPIRED))
    assert text in find_causes(job_of(), good), "a rule about its expiry is met"
    assert text not in find_causes(job_of(), failed(ErrorClass.UNEXPECTED_STATUS, **shown(EXPIRED)))


@pytest.mark.parametrize(("server", "name"), [("10.0.0.4", "10.0.0.4"), (None, "of this machine")])
def test_the_cause_of_a_query_is_its_name_server_and_not_a_host(server: str | None, name: str) -> None:
    job = dns_job(server=server)
    assert find_causes(job, None) == ()
    assert find_causes(job, failed(ErrorClass.DNS_TIMEOUT)) == (f"nameserver {name}", "zone shop.example")


def test_two_hosts_that_refuse_connections_share_no_error() -> None:
    samples = [failed(ErrorClass.CONNECTION_REFUSED, message=f"10.0.0.{each}:443 refused it") for each in (1, 2)]
    jobs = [job_of(url=f"https://10.0.0.{each}/") for each in (1, 2)]
    first, second = (set(find_causes(*each)) for each in zip(jobs, samples, strict=True))
    assert not first & second


def test_the_index_has_the_enabled_jobs_by_what_they_share() -> None:
    jobs = [
        job_of("a"),
        job_of("b", "http://api.shop.example/other"),
        job_of("c", "http://10.0.0.9/"),
        job_of("off", enabled=False),
        dns_job(server="10.0.0.4"),
    ]
    index = CauseIndex(jobs)
    assert index.list_jobs("host api.shop.example") == ("a", "b")
    assert index.list_jobs("nameserver of this machine") == ("a", "b")
    assert index.list_jobs("nameserver 10.0.0.4") == ("lookup",)
    assert index.list_jobs("zone shop.example") == ("a", "b", "lookup")
    assert index.list_jobs("error connect_timeout") == ("a", "b", "c")
    assert index.list_jobs("error secret_unavailable: the vault") == ()
    assert index.list_jobs("certificate valid until 2026-12-01 10:00:00Z") == ()


def test_jobs_share_the_address_and_the_certificate_of_their_newest_runs() -> None:
    seen = SeenCauses()
    for job in "abc":
        seen.add(job, "10.0.0.7", VALID)
    seen.add("b", "10.0.0.8", VALID)
    seen.add("c", "", None)
    assert seen.list_jobs("address 10.0.0.7") == ("a", "c")
    assert seen.list_jobs("address 10.0.0.8") == ("b",)
    assert set(seen.list_jobs("certificate *.shop.example of R3 valid until 2026-05-30 03:00:00Z")) == set("abc")
    seen.add("b", "10.0.0.7", EXPIRED)
    assert seen.list_jobs("address 10.0.0.8") == ()
    assert seen.list_jobs("address 10.0.0.7") == ("a", "c", "b")


class Known:
    """Implements Siblings: the jobs that are good since an instant."""

    def __init__(self, **good: datetime) -> None:
        self._good = good

    def list_seen(self, cause: str) -> tuple[str, ...]:
        return ("a", "b", "off", "removed") if cause.startswith("address ") else ()

    def is_good_since(self, job: str, since: datetime) -> bool:
        return job in self._good and self._good[job] >= since


def test_failing_and_fine_jobs_of_a_cause_are_counted() -> None:
    jobs = [*map(job_of, "abcde"), job_of("off", enabled=False)]
    book = RuleBook(JobSnapshot([CatalogJob(job, "file") for job in jobs]))
    firing = Alert("a", "failed", AlertStatus.FIRING, 1, AT, AT)
    alerts = [firing, replace(firing, subject="b", status=AlertStatus.RESOLVED)]
    known = Known(a=AT, b=AT, c=AT - MINUTE, d=AT, off=AT, removed=AT)
    pauses = {"d": describe_pause("", "work", None)}
    facts = DefinedFacts(book, AT + MINUTE, alerts=alerts, siblings=known, pauses=pauses)
    assert facts.find_shared("host api.shop.example", AT) == SharedCause("host api.shop.example", 1, 5, 1, ("b",))
    assert facts.find_shared("address 10.0.0.7", AT) == SharedCause("address 10.0.0.7", 1, 2, 1, ("b",))
    assert facts.find_shared("host other", AT) == SharedCause("host other")


def test_each_fine_job_of_a_cause_that_thousands_share_is_counted() -> None:
    names = [f"job-{number:04}" for number in range(3000)]
    book = RuleBook(JobSnapshot([CatalogJob(job_of(name), "file") for name in names]))
    alerts = [Alert(name, "failed", AlertStatus.FIRING, 1, AT, AT) for name in names[:2500]]
    facts = DefinedFacts(book, AT, alerts=alerts, siblings=Known(**dict.fromkeys(names, AT)))
    found = facts.find_shared("nameserver of this machine", AT)
    assert (found.failing, found.sharing, found.fine, found.fine_jobs[0]) == (2500, 3000, 500, "job-2500")


def run_at(due_at: datetime, outcome: Outcome = Outcome.SUCCEEDED, **attempt: Any) -> Run:
    attempts = (Attempt(1, due_at, Phases(total_ms=5.0), **attempt),)
    return Run(f"a@{due_at}", "a", Trigger.SCHEDULE, outcome, due_at, due_at, due_at, attempts)


def test_a_job_is_good_since_an_instant_if_its_newest_run_was_due_after_it() -> None:
    times = DueTimes(None)  # type: ignore[arg-type]
    times.add(run_at(AT, address="10.0.0.7"))
    assert times.is_good_since("a", AT)
    assert not times.is_good_since("a", AT + MINUTE)
    assert times.list_seen("address 10.0.0.7") == ("a",)
    times.add(run_at(AT + MINUTE, Outcome.FAILED, error=ERROR))
    assert not times.is_good_since("a", AT)
    times.add(run_at(AT))
    assert not times.is_good_since("a", AT), "an earlier run that is redelivered changes nothing"
    times.add(run_at(AT + 2 * MINUTE, failures=(Failure("status", "200", "201"),)))
    assert not times.is_good_since("a", AT), "it is degraded"
    times.add(run_at(AT + 3 * MINUTE))
    assert times.is_good_since("a", AT)
