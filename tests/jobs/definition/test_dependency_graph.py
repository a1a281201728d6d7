"""Which job depends on which: known cases, and properties over random graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import JobDefinition
from jobs.definition.dependencies import DependencyGraph, DependencyProblem

NAMES = "abcdefgh"


def job(name: str, depends_on: Sequence[str] = (), scheduled: bool = False) -> JobDefinition:
    written = {"name": name, "check": {"url": "http://127.0.0.1/"}, "depends_on": list(depends_on)}
    return JobDefinition.model_validate(written | ({"schedule": "@hourly"} if scheduled else {}))


def graph(edges: Mapping[str, str], scheduled: str = "") -> DependencyGraph:
    """`{"c": "ab"}`: c depends on a and b."""
    return DependencyGraph(job(name, tuple(edges[name]), name in scheduled) for name in edges)


DIAMOND = {"a": "", "b": "a", "c": "a", "d": "bc"}


def test_a_run_starts_what_depends_on_its_job() -> None:
    assert graph(DIAMOND, "a").started_jobs("a") == ("b", "c")
    assert graph(DIAMOND, "a").all_started_jobs("a") == {"b", "c", "d"}
    assert graph(DIAMOND, "a").root_jobs("d") == ("a",)


def test_a_job_with_a_schedule_is_not_started() -> None:
    chain = graph({"a": "", "b": "a", "c": "b"}, scheduled="ab")

    assert chain.dependents("a") == ("b",)
    assert chain.started_jobs("a") == ()
    assert chain.all_started_jobs("a") == set()
    assert chain.root_jobs("c") == ("b",)


def test_a_job_on_demand_is_started_by_none() -> None:
    assert not graph({"a": ""}).is_started_by_others("a")
    assert graph({"a": ""}).root_jobs("a") == ()


def test_nothing_is_known_of_a_name_that_is_no_job() -> None:
    empty = DependencyGraph([])

    assert (empty.all_started_jobs("a"), empty.root_jobs("a"), empty.dependents("a")) == (frozenset(), (), ())


def test_a_name_that_is_no_job_is_wrong_and_the_nearest_one_is_suggested() -> None:
    (wrong,) = DependencyGraph([job("report", ["databse"]), job("database")]).find_problems()

    assert wrong == DependencyProblem("report", 0, "there is no job named 'databse', did you mean database?")


def test_the_job_itself_is_not_suggested() -> None:
    (wrong,) = DependencyGraph([job("database-report", ["database-reports"])]).find_problems()

    assert wrong.message == "there is no job named 'database-reports'"


def test_a_job_that_could_not_be_read_exists() -> None:
    assert DependencyGraph([job("report", ["database"])]).find_problems(unreadable_jobs=["database"]) == []


def test_a_job_may_not_depend_on_itself() -> None:
    assert [(one.job, one.message) for one in graph({"a": "a"}).find_problems()] == [("a", "the job depends on itself")]


def test_a_circle_names_its_jobs_in_order() -> None:
    (wrong,) = graph({"x": "a", "a": "b", "b": "c", "c": "ya", "y": ""}).find_problems()

    assert (wrong.job, wrong.index, wrong.circle) == ("c", 1, ("c", "a", "b"))


def test_every_circle_is_reported() -> None:
    found = graph({"a": "b", "b": "a", "c": "d", "d": "c", "e": "e"}).find_problems()

    assert [set(one.circle) for one in found] == [{"a", "b"}, {"c", "d"}, {"e"}]


def test_a_chain_of_many_jobs_is_no_trouble() -> None:
    names = [f"job{number}" for number in range(3000)]
    chain = DependencyGraph(
        job(name, names[number - 1 : number] if number else ()) for number, name in enumerate(names)
    )

    assert chain.find_problems() == []
    assert len(chain.all_started_jobs(names[0])) == 2999
    assert chain.root_jobs(names[-1]) == (names[0],)


edges = st.fixed_dictionaries({name: st.sets(st.sampled_from(NAMES), max_size=3).map("".join) for name in NAMES})
some = st.sets(st.sampled_from(NAMES)).map("".join)


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, str]:
    """Each job depends only on those before it."""
    order = draw(st.permutations(NAMES))
    before = {name: order[:place] for place, name in enumerate(order)}
    return {
        name: "".join(draw(st.lists(st.sampled_from(names), unique=True, max_size=3))) if names else ""
        for name, names in before.items()
    }


def reaches(edges: Mapping[str, str], start: str) -> set[str]:
    """What a job depends on, by brute force."""
    found: set[str] = set()
    while more := {on for name in {start, *found} for on in edges[name]} - found:
        found |= more
    return found


@given(edges)
def test_something_is_wrong_exactly_if_a_job_depends_on_itself_in_the_end(edges: dict[str, str]) -> None:
    assert bool(graph(edges).find_problems()) is any(name in reaches(edges, name) for name in edges)


@given(edges)
def test_what_is_reported_is_a_circle_that_its_entry_closes(edges: dict[str, str]) -> None:
    for wrong in graph(edges).find_problems():
        assert wrong.circle[0] == wrong.job
        assert [*edges[wrong.job]][wrong.index] == (*wrong.circle, wrong.job)[1]
        for name, following in zip(wrong.circle, (*wrong.circle[1:], wrong.circle[0]), strict=True):
            assert following in edges[name]


@given(edges)
def test_without_the_entries_that_are_reported_there_is_no_circle(edges: dict[str, str]) -> None:
    reported = {(wrong.job, edges[wrong.job][wrong.index]) for wrong in graph(edges).find_problems()}
    fixed = {name: "".join(on for on in ons if (name, on) not in reported) for name, ons in edges.items()}

    assert graph(fixed).find_problems() == []


@given(acyclic(), some)
def test_members_and_roots_are_two_views_of_the_same_chains(edges: dict[str, str], scheduled: str) -> None:
    chains = graph(edges, scheduled)

    for name in NAMES:
        assert all(chains.is_started_by_others(member) for member in chains.all_started_jobs(name))
        assert all(not chains.is_started_by_others(root) for root in chains.root_jobs(name))
        if chains.is_started_by_others(name):
            assert set(chains.root_jobs(name)) == {
                root
                for root in NAMES
                if not chains.is_started_by_others(root) and name in chains.all_started_jobs(root)
            }


@given(acyclic(), some)
def test_a_member_is_what_a_run_or_a_member_starts(edges: dict[str, str], scheduled: str) -> None:
    chains = graph(edges, scheduled)

    for root in NAMES:
        members = chains.all_started_jobs(root)
        assert members == {name for one in {root, *members} for name in chains.started_jobs(one)}
