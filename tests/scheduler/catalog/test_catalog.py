"""The jobs in force, by name."""

from __future__ import annotations

import pytest

from scheduler.catalog.catalog import Catalog, UnknownJob
from tests.parts.timing import computes_below
from tests.scheduler.fakes import entry


def test_jobs_are_found_by_name() -> None:
    job = entry("a")
    catalog = Catalog([job, entry("b")])

    assert catalog.get_job("a") is catalog.find_job("a") is job
    assert catalog.find_job("c") is None
    assert ("a" in catalog, "c" in catalog, len(catalog)) == (True, False, 2)
    assert [one.job.name for one in catalog] == ["a", "b"]


def test_names_are_in_order() -> None:
    assert list(Catalog([entry("b"), entry("B"), entry("a")]).names()) == ["B", "a", "b"]


def test_a_job_that_is_missing_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(UnknownJob, match=r"^there is no job named 'chekout', did you mean checkout\?$") as caught:
        Catalog([entry("checkout"), entry("database")]).get_job("chekout")

    assert (caught.value.name, caught.value.suggestion) == ("chekout", "checkout")


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(UnknownJob, match=r"^there is no job named 'xyz'$"):
        Catalog([entry("checkout")]).get_job("xyz")


def test_the_nearest_of_very_many_names_is_searched_in_the_neighbourhood_only() -> None:
    catalog = Catalog([entry(f"job-{number:05}") for number in range(10_000)])

    with computes_below(0.2), pytest.raises(UnknownJob) as caught:
        catalog.get_job("job-050000")

    assert str(caught.value.suggestion).startswith("job-0")


def test_only_enabled_jobs_with_a_schedule_are_planned() -> None:
    catalog = Catalog([entry("a"), entry("b", enabled=False), entry("c", schedule=None)])

    assert [name for name, _ in catalog.schedules()] == ["a"]


def test_the_generation_follows_from_the_definition_alone() -> None:
    assert entry("a").generation == entry("a").generation != entry("a", schedule="every 20s").generation
