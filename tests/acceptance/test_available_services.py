"""Two hundred runs of one `serve` process with Application Insights, Datadog, Key Vault and the managed identity.

Each gets what it should, and no secret stands where it must not. What happens without them: test_unavailable_services.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.parts.host import Host, embedded
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.parts.ingestion import ApplicationInsightsIngestion, DatadogIntake, KeyVaultServer, ManagedIdentityServer
from tests.parts.tls import ca_file

RUNS = 200
AT_ONCE = 20
CANARY = "canary-Zx9+/=ü in the vault"
SCOPE = "api://checkout/.default"

SOON = {
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OTEL_BLRP_SCHEDULE_DELAY": "500",
}
"""Milliseconds, OpenTelemetry's own settings: else it waits for up to a minute."""

IN_VAULT = {"kind": "bearer", "token": {"secret": "checkout-token"}}
AS_IDENTITY = {"kind": "managed_identity", "scope": SCOPE}


def requesting(url: str, **more: Any) -> dict[str, Any]:
    """A job that may run beside itself."""
    return {"check": {"url": url}, "overlap": "allow", "retry": {"attempts": 1}, **more}


def jobs_for(target: HttpTarget) -> dict[str, Any]:
    url = target.url
    return {
        "good": requesting(f"{url}/good?key=in-the-query", tags={"team": "payments"}),
        "bad": requesting(f"{url}/bad"),
        "flaky": requesting(f"{url}/flaky", retry={"attempts": 2, "initial": "1ms"}),
        "with-secret": requesting(url, check={"url": f"{url}/secret", "auth": IN_VAULT}),
        "with-token": requesting(url, check={"url": f"{url}/token", "auth": AS_IDENTITY}),
        "echoed": requesting(
            url,
            check={"url": f"{url}/echo", "auth": IN_VAULT, "query": {"token": {"secret": "checkout-token"}}},
            expect=[{"body_contains": "what it never says"}],
        ),
    }


def scripted(target: HttpTarget) -> None:
    flaky: Counter[str] = Counter()

    def every_second_attempt(request: Request) -> Answer:
        run = request.headers["idempotency-key"]
        flaky[run] += 1
        return Answer(200 if flaky[run] > 1 else 503)

    def echo(request: Request) -> Answer:
        output = f"you sent {request.headers['authorization']} and {request.target}"
        return Answer(200, {"x-said": request.headers["authorization"]}, output.encode("latin-1"))

    target.on("/bad", 500)
    target.on_call("/flaky", every_second_attempt)
    target.on_call("/echo", echo)


@dataclass(frozen=True)
class Reported:
    """What was there to see after the runs, and the services that were told."""

    runs: list[dict[str, Any]]
    answers: str
    """Every answer of the API, one after the other."""
    log: str
    lines: list[dict[str, Any]]
    state: list[bytes]
    """The files of the store."""
    health: dict[str, Any]
    target: HttpTarget
    insights: ApplicationInsightsIngestion
    datadog: DatadogIntake
    vault: KeyVaultServer
    identity: ManagedIdentityServer

    def expected(self, *keys: str) -> Counter[tuple[Any, ...]]:
        """How often each combination of these fields of a run is to arrive."""
        return Counter(tuple(run[key] for key in keys) for run in self.runs)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reported(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reported]:
    folder = tmp_path_factory.mktemp("told")
    async with (
        HttpTarget() as target,
        ApplicationInsightsIngestion() as insights,
        DatadogIntake() as datadog,
        KeyVaultServer() as vault,
        ManagedIdentityServer() as identity,
    ):
        scripted(target)
        vault.set("checkout-token", CANARY)
        env = {
            **insights.environ,
            **identity.environ,
            **SOON,
            "SCHEDULER_TELEMETRY__METRICS": "all",  # else what is by job waits for up to five minutes
            "DD_API_KEY": datadog.api_key,
            "SCHEDULER_DATADOG__URL": datadog.url,
            "SCHEDULER_KEY_VAULT_URL": vault.url,
            "SSL_CERT_FILE": ca_file(),  # OpenSSL's own variable: the vault's client trusts our authority by it
        }
        async with embedded(folder, jobs_for(target), **env) as host:
            answers = await run_many(host)
            runs = await host.runs()
            health = await host.get("/api/health")
            await until_all_arrived(insights, runs)
            answers += [json.dumps(runs), json.dumps(health), (await host.client.get("/api/dashboard")).text]
            state = [file.read_bytes() for file in folder.glob("state.db*")]
            await host.stop()
        state += [file.read_bytes() for file in folder.glob("state.db*")]
        log = host.program.stdout + host.program.stderr
        yield Reported(
            runs, "\n".join(answers), log, host.log(), state, health, target, insights, datadog, vault, identity
        )


async def until_all_arrived(insights: ApplicationInsightsIngestion, runs: list[dict[str, Any]]) -> None:
    """At the end of a process a busy machine may not send all within the second that there is."""
    spans = len(runs) + sum(run["attempt_count"] for run in runs)
    required = {"EventData": len(runs), "AvailabilityData": len(runs), "RemoteDependencyData": spans}

    def arrived() -> bool:
        rows = all(len(insights.by_type(kind)) >= count for kind, count in required.items())
        return rows and counted_runs(insights).total() >= len(runs)

    async with asyncio.timeout(60):
        while not arrived():  # noqa: ASYNC110 - what arrives has no event
            await asyncio.sleep(0.1)


def counted_runs(insights: ApplicationInsightsIngestion) -> Counter[tuple[Any, ...]]:
    """The metric of runs by job and outcome, summed up."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for row in insights.by_type("MetricData"):
        for metric in row["metrics"]:
            if metric["name"] == "scheduler.job.runs":
                sums[row["properties"]["job"], row["properties"]["outcome"]] += metric["value"]
    return sums


async def run_many(host: Host) -> list[str]:
    """All runs, some at once; the API's answers."""
    names = ["good", "bad", "flaky", "with-secret", "with-token", "echoed"]
    answers: list[str] = []
    for start in range(0, RUNS, AT_ONCE):
        batch = [names[number % len(names)] for number in range(start, start + AT_ONCE)]
        answers += [json.dumps(run) for run in await asyncio.gather(*map(host.run, batch))]
    return answers


def test_every_run_is_in_history_with_its_outcome(reported: Reported) -> None:
    assert len(reported.runs) == RUNS
    assert {(run["job"], run["outcome"]) for run in reported.runs} == {
        ("good", "succeeded"),
        ("bad", "failed"),
        ("flaky", "succeeded"),
        ("with-secret", "succeeded"),
        ("with-token", "succeeded"),
        ("echoed", "failed"),
    }
    assert reported.health["status"] == "ok"


def test_the_target_gets_the_secret_of_the_vault(reported: Reported) -> None:
    sent = {request.headers["authorization"] for request in reported.target.requests_to("/secret")}
    assert {text.encode("latin-1").decode() for text in sent} == {f"Bearer {CANARY}"}
    # One look at the vault serves all runs for minutes.
    assert reported.vault.calls("checkout-token") == 1


def test_the_target_gets_a_token_of_the_managed_identity(reported: Reported) -> None:
    sent = {request.headers["authorization"] for request in reported.target.requests_to("/token")}
    assert sent == {f"Bearer {token}" for token in possible_tokens(reported)}
    assert Counter(reported.identity.calls) == {("api://checkout", None): 1, ("https://vault.azure.net", None): 1}


def possible_tokens(reported: Reported) -> set[str]:
    """The identity numbers its tokens: which number is the target's depends on who asked first."""
    number = reported.identity.calls.index(("api://checkout", None)) + 1
    return {reported.identity.token("api://checkout", number)}


def test_application_insights_has_an_availability_row_for_every_run(reported: Reported) -> None:
    rows = reported.insights.by_type("AvailabilityData")
    assert Counter((row["name"], row["properties"]["Outcome"]) for row in rows) == reported.expected("job", "outcome")
    assert {row["id"] for row in rows} == {run["id"] for run in reported.runs}
    assert {row["success"] for row in rows if row["name"] == "bad"} == {False}


def test_application_insights_has_a_custom_event_for_every_run(reported: Reported) -> None:
    events = [row for row in reported.insights.by_type("EventData") if row["name"] == "JobRun"]
    assert Counter((row["properties"]["RunId"],) for row in events) == reported.expected("id")
    durations = {row["properties"]["RunId"]: row["measurements"]["Duration"] for row in events}
    assert durations == pytest.approx({run["id"]: run["duration_ms"] for run in reported.runs}, abs=0.01)


def test_the_metrics_in_application_insights_sum_up_to_the_runs(reported: Reported) -> None:
    assert counted_runs(reported.insights) == reported.expected("job", "outcome")
    metrics = [metric for row in reported.insights.by_type("MetricData") for metric in row["metrics"]]
    attempts = sum(metric["value"] for metric in metrics if metric["name"] == "scheduler.job.attempts")
    assert attempts == sum(run["attempt_count"] for run in reported.runs)


def test_application_insights_has_a_trace_of_every_run_with_a_span_for_each_attempt(reported: Reported) -> None:
    spans = reported.insights.by_type("RemoteDependencyData")
    of_runs = [span for span in spans if span["name"].startswith("run ")]
    of_attempts = [span for span in spans if span["name"].startswith("HTTP ")]
    assert Counter((span["name"].removeprefix("run "),) for span in of_runs) == reported.expected("job")
    assert len(of_attempts) == sum(run["attempt_count"] for run in reported.runs)


def test_what_belongs_to_a_run_shares_its_operation(reported: Reported) -> None:
    operations: dict[str, set[str]] = {}
    for item in reported.insights.items:
        run = item["data"]["baseData"].get("properties", {}).get("RunId")
        if run is not None:
            operations.setdefault(run, set()).add(item["tags"]["ai.operation.id"])
    assert len(operations) == RUNS
    assert {len(ids) for ids in operations.values()} == {1}


def test_datadog_counts_every_run(reported: Reported) -> None:
    counts: Counter[tuple[Any, ...]] = Counter()
    for entry in reported.datadog.series:
        if entry["metric"] == "scheduler.job.runs":
            tags = dict(tag.split(":", 1) for tag in entry["tags"])
            counts[tags["job"], tags["outcome"]] += sum(point["value"] for point in entry["points"])
    assert counts == reported.expected("job", "outcome")
    assert reported.datadog.refused == []


def test_datadog_has_the_values_of_every_run(reported: Reported) -> None:
    values: Counter[str] = Counter()
    for entry in reported.datadog.distributions:
        values[entry["metric"]] += sum(len(points) for _, points in entry["points"])
    response_times = values.pop("scheduler.job.response_time", 0)
    assert values == dict.fromkeys((f"scheduler.job.{name}" for name in ("duration", "lateness", "attempts")), RUNS)
    assert response_times == sum(not run["starved"] for run in reported.runs)


def test_datadog_has_a_log_entry_of_every_run(reported: Reported) -> None:
    entries = [entry for entry in reported.datadog.logs if entry.get("Event") == "JOB_PERFORMANCE"]
    assert Counter((entry["RunId"],) for entry in entries) == reported.expected("id")


def test_datadog_has_a_service_check_of_each_job(reported: Reported) -> None:
    latest: dict[str, int] = {}
    for check in reported.datadog.checks:
        assert check["check"] == "scheduler.job.status"
        tags = dict(tag.split(":", 1) for tag in check["tags"])
        latest[tags["job"]] = check["status"]
    ok, warning, critical = 0, 1, 2
    assert latest == {
        "good": ok,
        "bad": critical,
        "flaky": warning,
        "with-secret": ok,
        "with-token": ok,
        "echoed": critical,
    }


def secrets_of(reported: Reported) -> Iterable[str]:
    yield CANARY
    yield "canary-Zx9"
    yield from possible_tokens(reported)
    yield reported.datadog.api_key
    yield "in-the-query"
    yield reported.identity.HEADER


def test_no_secret_is_in_the_log(reported: Reported) -> None:
    assert [secret for secret in secrets_of(reported) if secret in reported.log] == []


def test_no_secret_is_in_the_store(reported: Reported) -> None:
    assert [secret for secret in secrets_of(reported) for file in reported.state if secret.encode() in file] == []


def test_no_secret_is_in_an_answer_of_the_api(reported: Reported) -> None:
    assert [secret for secret in secrets_of(reported) if secret in reported.answers] == []


def test_no_secret_leaves_with_telemetry(reported: Reported) -> None:
    datadog = reported.datadog
    left = json.dumps([reported.insights.items, datadog.series, datadog.logs, datadog.checks, datadog.distributions])
    assert [secret for secret in secrets_of(reported) if secret in left] == []


def test_what_was_redacted_is_shown_as_such(reported: Reported) -> None:
    echoed = next(run for run in reported.runs if run["job"] == "echoed")
    assert "you sent Bearer ***" in echoed["message"]


def test_the_log_has_no_traceback(reported: Reported) -> None:
    assert "Traceback" not in reported.log
    assert [line for line in reported.lines if "Exception" in line] == []
