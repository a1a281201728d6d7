"""The page of metrics over the API: its formats, and the series of jobs as they change."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from functools import partial

import pytest

from jobs.runs import Outcome
from jobs.runs.outcomes import ReasonCode
from observability.names import series
from observability.names.metrics import MetricSeries
from scheduler import turns
from scheduler.api.negotiation import compress
from scheduler.authentication.port import Authenticated, Authentication, AuthenticationMode, RequestCredentials
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.catalog.limited import LimitedCatalog
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.metrics import job_series
from scheduler.metrics.families import ExpositionFormat, Family
from scheduler.metrics.job_facts import JobCondition
from scheduler.metrics.job_series import write_state
from scheduler.metrics.page import MetricsPage, UndeclaredSeries
from tests.parts.prometheus import promtool
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.metrics.page_reader import PROMETHEUS_ACCEPT, of_job, read_samples, scrape
from tests.scheduler.stores.samples import run_of

FILES_AND_STORED = [
    ("a-stored", "stored, version 1"),
    ("a-file", "jobs.yaml:3"),
    ("b-stored", "stored, version 7"),
    ("b-file", "jobs.yaml:9"),
]
JOBS = [entry("checkout", tags={"team": 'pay "now"\\\n'}), entry("search"), entry("manual", schedule=None)]


async def finish(
    client: ApiClient, job: str, seconds: float, outcome: Outcome = Outcome.SUCCEEDED, **more: object
) -> None:
    ticket = client.shop.ticket(seconds, job)
    await client.store_finished(ticket, replace(run_of(ticket), outcome=outcome, **more))


async def test_promtool_has_no_objection() -> None:
    async with ApiClient(jobs=JOBS) as client:
        for second in (-120, -60):
            await finish(client, "checkout", second)
        await finish(client, "checkout", -30, Outcome.FAILED)
        page = (await client.get("/api/metrics")).text
    judged = promtool("check", "metrics", stdin=page)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


async def test_a_client_gets_the_format_that_it_prefers() -> None:
    async with ApiClient(jobs=JOBS) as client:
        answers = {
            accept: await client.request("GET", "/api/metrics", headers={"Accept": accept})
            for accept in (PROMETHEUS_ACCEPT, "*/*", "text/plain", "application/openmetrics-text;q=0.1,text/plain")
        }
    types = {accept: answer.headers["content-type"] for accept, answer in answers.items()}
    assert types.pop(PROMETHEUS_ACCEPT) == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert set(types.values()) == {"text/plain; version=0.0.4; charset=utf-8"}
    assert answers[PROMETHEUS_ACCEPT].text.endswith("\n# EOF\n")
    assert "# EOF" not in answers["*/*"].text
    assert read_samples(answers[PROMETHEUS_ACCEPT].text).keys() == read_samples(answers["*/*"].text).keys()


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("identity", None), ("gzip;q=0", None)])
async def test_the_page_is_compressed_if_the_client_accepts_it(accepted: str, encoding: str | None) -> None:
    async with ApiClient(jobs=JOBS) as client:
        answer = await client.request("GET", "/api/metrics", headers={"Accept-Encoding": accepted})
        head = await client.request("HEAD", "/api/metrics", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.text.startswith("# HELP scheduler_build_info")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == answer.headers["content-type"]


def test_gzip_is_what_other_programs_read() -> None:
    from scheduler.api.negotiation import _compress

    assert gzip.decompress(_compress(b"up 1\n")) == b"up 1\n"


async def test_a_job_without_a_run_has_counters_and_no_state() -> None:
    async with ApiClient(jobs=JOBS) as client:
        samples = of_job(await scrape(client), "search")
    assert 'scheduler_job_up{job_name="search"}' not in samples
    assert samples['scheduler_job_runs_total{job_name="search",outcome="succeeded"}'] == 0
    assert samples['scheduler_job_duration_seconds_count{job_name="search"}'] == 0
    assert samples['scheduler_job_interval_seconds{job_name="search"}'] == 10


async def test_the_runs_of_a_job_are_counted() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await finish(client, "checkout", -60)
        first = of_job(await scrape(client), "checkout")
        await finish(client, "checkout", -50, Outcome.TIMED_OUT)
        await finish(client, "checkout", -40, Outcome.SKIPPED, attempts=(), reason=ReasonCode.BLIND)
        then = of_job(await scrape(client), "checkout")
    runs = 'scheduler_job_runs_total{{job_name="checkout",outcome="{}"}}'.format
    assert (first[runs("succeeded")], runs("timed_out") in first) == (1, False)
    assert [then[runs(outcome)] for outcome in ("succeeded", "failed", "timed_out", "skipped")] == [1, 0, 1, 1]
    assert then['scheduler_job_attempts_total{job_name="checkout"}'] == 2
    assert then['scheduler_job_duration_seconds_bucket{job_name="checkout",le="+Inf"}'] == 2
    assert then['scheduler_job_blind{job_name="checkout"}'] == 1
    success = 'scheduler_job_last_success_timestamp_seconds{job_name="checkout"}'
    assert first[success] == then[success] < then['scheduler_job_last_run_timestamp_seconds{job_name="checkout"}']


async def test_a_run_that_finishes_an_hour_late_is_counted() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await finish(client, "checkout", -10)
        await scrape(client)
        for second in (-3 * 3600, -26 * 3600):
            ticket = client.shop.ticket(second, "checkout")
            now = client.shop.clock.now()
            await client.store_finished(ticket, replace(run_of(ticket), started_at=now, finished_at=now))
        samples = await scrape(client)
    assert samples['scheduler_job_runs_total{job_name="checkout",outcome="succeeded"}'] == 3


async def test_tags_of_the_settings_are_labels_of_the_info() -> None:
    async with ApiClient(jobs=JOBS) as client:
        names = of_job(await scrape(client), "checkout")
        client.shop.catalog.replace(JobSnapshot([entry("checkout", tags={"team": "shop", "other": "x"})]))
        later = await scrape(client)
    assert r'scheduler_job_info{job_name="checkout",kind="http",tag_team="pay \"now\"\\\n"}' in names
    infos = [name for name in later if name.startswith("scheduler_job_info")]
    assert infos == ['scheduler_job_info{job_name="checkout",kind="http",tag_team="shop"}']


async def test_a_removed_job_is_gone_and_one_that_returns_continues() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await finish(client, "checkout", -60)
        await scrape(client)
        client.shop.catalog.replace(JobSnapshot([entry("search"), entry("renamed")]))
        without = await scrape(client)
        client.shop.catalog.replace(JobSnapshot([entry("search"), entry("checkout")]))
        again = await scrape(client)
    assert of_job(without, "checkout") == {}
    assert of_job(without, "renamed")['scheduler_job_runs_total{job_name="renamed",outcome="succeeded"}'] == 0
    assert of_job(again, "renamed") == {}
    assert again['scheduler_job_runs_total{job_name="checkout",outcome="succeeded"}'] == 1


async def test_a_paused_job_has_no_state_and_no_next_run() -> None:
    async with ApiClient(jobs=JOBS) as client:
        assert (await client.post_json("/api/jobs/checkout/pause", {})).status_code == 200
        paused = of_job(await scrape(client), "checkout")
        assert (await client.post_json("/api/jobs/checkout/resume", {})).status_code == 200
        resumed = of_job(await scrape(client), "checkout")
    next_run = 'scheduler_job_next_run_timestamp_seconds{job_name="checkout"}'
    flag = 'scheduler_job_paused{job_name="checkout"}'
    assert (paused[flag], next_run in paused, resumed[flag], next_run in resumed) == (1, False, 0, True)


class UndeclaredSource:
    async def read(self, *_: object, **__: object) -> list[Family]:
        return [Family(MetricSeries("scheduler_other", "Something."), "scheduler_other 1\n")]


async def test_a_series_that_the_catalogue_does_not_declare_is_refused() -> None:
    async with ApiClient(jobs=JOBS) as client:
        page = MetricsPage([UndeclaredSource()], client.shop.clock)
        with pytest.raises(UndeclaredSeries):
            await page.write(client.shop.catalog, ExpositionFormat.CLASSIC, is_limited=False)


async def test_two_instances_answer_the_same() -> None:
    async with ApiClient(jobs=JOBS) as one, ApiClient(jobs=JOBS, data=one.shop.store.data) as two:
        for second, client in enumerate([one, two, two, one]):
            await finish(client, "checkout", -60 + second)
            pages = [read_samples((await each.get("/api/metrics")).text) for each in (one, two)]
            same = [{name: value for name, value in page.items() if "store_time" not in name} for page in pages]
            assert same[0] == same[1]
    assert same[0]['scheduler_job_runs_total{job_name="checkout",outcome="succeeded"}'] == 4


class TagLimited:
    """Everyone may read the metrics of one team."""

    mode = AuthenticationMode.OWN

    async def authenticate(self, request: RequestCredentials) -> Authenticated:
        return Authenticated(Principal(PrincipalKind.API_KEY, "pay", Role.METRICS, (("team", "pay"),)))


async def test_a_caller_that_is_limited_to_tags_gets_its_jobs_alone() -> None:
    jobs = [entry("ours", tags={"team": "pay"}), entry("theirs", tags={"team": "shop"})]
    async with ApiClient(jobs=jobs, authentication=Authentication(TagLimited())) as client:
        for job in ("ours", "theirs"):
            await finish(client, job, -60)
        samples = await scrape(client)
        assert (await client.get("/api/jobs")).status_code == 403
    assert samples['scheduler_job_runs_total{job_name="ours",outcome="succeeded"}'] == 1
    others = [name for name in samples if 'job_name="ours"' not in name]
    assert others == ['scheduler_build_info{version="1.2.3"}', "scheduler_jobs_without_series"]
    assert samples["scheduler_jobs_without_series"] == 0


async def test_the_page_is_served_by_the_functions_host() -> None:
    async with ApiClient(jobs=JOBS, requires_key=True) as client:
        samples = await scrape(client)
    assert samples['scheduler_build_info{version="1.2.3"}'] == 1


class SlowSource:
    """Waits until the test lets it answer."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_allowed = asyncio.Event()

    async def read(self, *_: object, **__: object) -> list[Family]:
        await self.is_allowed.wait()
        self.reads += 1
        return []


async def test_a_first_read_continues_without_the_client_that_requested_it() -> None:
    source = SlowSource()
    async with ApiClient(jobs=JOBS) as client:
        page = MetricsPage([source], client.shop.clock)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await page.write(client.shop.catalog, ExpositionFormat.CLASSIC, is_limited=False)
        source.is_allowed.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert source.reads == 1
        await page.aclose()


class CountingSource:
    """Its page says how often it was read."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, *_: object, **__: object) -> list[Family]:
        self.reads += 1
        return [Family(series.PENDING_NOTIFICATIONS, f"{series.PENDING_NOTIFICATIONS.name} {self.reads}\n")]


async def test_concurrent_scrapes_share_one_page() -> None:
    source = CountingSource()
    async with ApiClient(jobs=JOBS) as client:
        page = MetricsPage([source], client.shop.clock, cached_seconds=5)
        request = partial(page.write, client.shop.catalog, ExpositionFormat.CLASSIC, is_limited=False)
        first, second = await asyncio.gather(request(), request())
        later = await request()
    assert (source.reads, first) == (1, second) == (1, later)


async def test_a_page_is_made_again_after_its_time() -> None:
    source = CountingSource()
    async with ApiClient(jobs=JOBS) as client:
        page = MetricsPage([source], client.shop.clock, cached_seconds=5)
        request = partial(page.write, client.shop.catalog, ExpositionFormat.CLASSIC, is_limited=False)
        first = await request()
        await client.shop.clock.sleep(6)
        second = await request()
    assert (first != second, source.reads) == (True, 2)


async def test_a_cached_page_is_not_that_of_another_caller_or_format() -> None:
    async with ApiClient(jobs=JOBS) as client:
        page = MetricsPage([CountingSource()], client.shop.clock, cached_seconds=5)
        limited = LimitedCatalog(
            client.shop.catalog.snapshot, Principal(PrincipalKind.API_KEY, "shop", Role.METRICS, (("team", "shop"),))
        )
        pages = [
            await page.write(client.shop.catalog, ExpositionFormat.CLASSIC, is_limited=False),
            await page.write(client.shop.catalog, ExpositionFormat.OPEN_METRICS, is_limited=False),
            await page.write(client.shop.catalog, ExpositionFormat.CLASSIC, is_limited=False, encode=compress),
            await page.write(limited, ExpositionFormat.CLASSIC, is_limited=True),
        ]
    assert len({*pages}) == 4


async def test_jobs_of_files_have_series_before_stored_jobs() -> None:
    jobs = [CatalogJob(entry(name).job, origin) for name, origin in FILES_AND_STORED]
    async with ApiClient(jobs=jobs, max_jobs=2) as client:
        await finish(client, "b-file", -10)
        samples = await scrape(client)
    shown = {name for name in samples if name.startswith("scheduler_job_info")}
    assert shown == {f'scheduler_job_info{{job_name="{name}",kind="http"}}' for name in ("a-file", "b-file")}
    assert samples["scheduler_jobs_without_series"] == 2
    assert samples['scheduler_job_runs_total{job_name="b-file",outcome="succeeded"}'] == 1


async def test_a_job_has_series_again_when_others_are_removed() -> None:
    jobs = [CatalogJob(entry(name).job, origin) for name, origin in FILES_AND_STORED]
    async with ApiClient(jobs=jobs, max_jobs=2) as client:
        await scrape(client)
        client.shop.catalog.replace(JobSnapshot(jobs[:2]))
        samples = await scrape(client)
    assert of_job(samples, "a-stored")
    assert samples["scheduler_jobs_without_series"] == 0


async def test_a_circuit_of_jobs_without_series_has_none() -> None:
    shared = {"circuit": {"group": "payments", "consecutive_failures": 3}}
    jobs = [entry("a"), entry("b", **shared)]
    async with ApiClient(jobs=jobs, max_jobs=1) as client:
        assert not any("payments" in name for name in await scrape(client))
    async with ApiClient(jobs=jobs, max_jobs=2) as client:
        assert 'scheduler_circuit_open{circuit="payments"}' in await scrape(client)


async def test_a_page_reads_again_only_the_jobs_that_have_run() -> None:
    async with ApiClient(jobs=[entry(f"job-{number}") for number in range(600)]) as client:
        store = client.shop.store
        reads = []
        for _ in range(2):
            before = store.reads
            await scrape(client)
            reads.append(store.reads - before)
            await finish(client, "job-7", -10)
        assert 'scheduler_job_last_run_timestamp_seconds{job_name="job-7"}' in await scrape(client)
    assert reads[0] > 600 > 400 > reads[1]


async def test_other_tasks_run_between_the_jobs_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_STEP", 0.0)
    passed, seen = [0], []

    async def count() -> None:
        while True:
            passed[0] += 1
            await asyncio.sleep(0)

    def write(job: str, state: JobCondition) -> list[str]:
        seen.append(passed[0])
        return write_state(job, state)

    monkeypatch.setattr(job_series, "write_state", write)
    async with ApiClient(jobs=[entry(f"job-{number}") for number in range(50)]) as client:
        counting = asyncio.ensure_future(count())
        await scrape(client)
        counting.cancel()
    assert len({*seen}) == 50
