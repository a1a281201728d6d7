"""Without references, the hosts of other jobs and the program's own services prove the way or its absence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.checks.port import AttemptContext
from jobs.running.network_self_check import MAX_PROBES, PeerChecks, parse_references
from jobs.runs import ErrorClass, Observation, Phases
from jobs.targets import Target
from tests.jobs.running.run_parts import job
from tests.jobs.running.virtual_time import START, LoopClock, virtual_time

DNS = ErrorClass.DNS_FAILURE
STORAGE = ("https://shop.table.core.windows.net", "https://shop.queue.core.windows.net")


class Outside:
    """Implements Check: the hosts that answer. It records what was checked."""

    def __init__(self, *answering: str) -> None:
        self.answering = answering
        self.checked: list[str] = []

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        self.checked.append(target.endpoint)
        if any(host in target.endpoint for host in self.answering):
            return Observation(Phases(), status=200)
        return Observation(Phases(), error=DNS)

    def prepare(self, target: Target) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        """Nothing is open."""


def peers(outside: Outside, *urls: str, references: tuple[str, ...] = ()) -> PeerChecks:
    targets = [job(check={"url": url}).check for url in urls]
    checks = {"http": outside, "tcp": outside}
    return PeerChecks(parse_references(references), lambda: targets, checks, LoopClock())


async def failing(checks: PeerChecks, url: str = "https://a.example/") -> str | None:
    checks.record(url, DNS)
    return await checks.explain(DNS, START, url)


URLS = [f"https://{name}.example/" for name in "abcdefgh"]


@virtual_time
async def test_the_first_run_that_fails_is_explained_by_connections_to_other_hosts() -> None:
    outside = Outside()
    assert (await failing(peers(outside, *URLS)) or "").startswith("the scheduler cannot resolve names: ")
    assert len(outside.checked) == MAX_PROBES
    assert all(each.startswith("tcp://") and each.endswith(":443") for each in outside.checked)


@virtual_time
async def test_one_host_that_answers_makes_it_the_failure_of_the_target() -> None:
    assert await failing(peers(Outside("c.example"), *URLS)) is None


@pytest.mark.parametrize(
    ("urls", "references"),
    [
        (URLS[:2], ()),
        (["https://a.example/", "http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"], ()),
        (URLS[:1], STORAGE[:1]),
    ],
)
@virtual_time
async def test_fewer_than_three_hosts_prove_nothing(urls: list[str], references: tuple[str, ...]) -> None:
    assert await failing(peers(Outside(), *urls, references=references)) is None


@virtual_time
async def test_the_storage_of_the_program_proves_it_for_a_single_job() -> None:
    assert await failing(peers(Outside(), URLS[0], references=STORAGE)) is not None
    assert await failing(peers(Outside("queue.core"), URLS[0], references=STORAGE)) is None


@virtual_time
async def test_a_target_on_this_machine_is_never_excused() -> None:
    checks = peers(Outside(), *URLS)
    assert await failing(checks) is not None
    assert await failing(checks, "http://localhost:8080/") is None


@virtual_time
async def test_a_job_behind_a_proxy_is_not_used() -> None:
    outside = Outside()
    targets = [job(check={"url": url, "proxy": "http://proxy.example:3128"}).check for url in URLS]
    checks = PeerChecks((), lambda: targets, {"tcp": outside}, LoopClock())
    assert await failing(checks) is None
    assert outside.checked == []


@virtual_time
async def test_the_hosts_that_answered_last_are_preferred() -> None:
    outside = Outside()
    checks = peers(outside, *URLS)
    for url in URLS[4:]:
        checks.record(url, None)
    await failing(checks)
    assert outside.checked == [f"tcp://{name}.example:443" for name in "efgh"]


@virtual_time
async def test_another_host_that_answers_ends_it() -> None:
    outside = Outside()
    checks = peers(outside, *URLS)
    await failing(checks)
    later = START + timedelta(seconds=1)
    assert not await checks.confirms_way(later)
    outside.answering = ("b.example",)
    later = START + timedelta(seconds=2)
    assert await checks.confirms_way(later)
    assert await checks.explain(DNS, later) is None
