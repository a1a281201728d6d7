"""The three-way merge: what a person changed and what the generator changed are both in the result."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from observability.generation.merge import MISSING, find_differences, format_pointer, merge

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "a", "b"]))
ITEMS = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 5), "title": SCALARS}), max_size=4, unique_by=lambda item: item["id"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(SCALARS, ITEMS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["panels", "x", "y"]), inner, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["panels", "x", "y"]), VALUES, max_size=3)
some = settings(max_examples=60, deadline=None)


def panels(*items: tuple[int, str]) -> dict[str, Any]:
    return {"panels": [{"id": number, "title": title} for number, title in items]}


@some
@given(DOCUMENTS, DOCUMENTS)
def test_without_a_generated_change_the_result_is_theirs(base: Any, theirs: Any) -> None:
    merged = merge(base, base, theirs)
    assert (merged.value, merged.settled, merged.conflicts) == (theirs, base, ())


@some
@given(DOCUMENTS, DOCUMENTS)
def test_without_a_change_by_hand_the_result_is_ours(base: Any, ours: Any) -> None:
    merged = merge(base, ours, base)
    assert (merged.value, merged.settled, merged.conflicts) == (ours, ours, ())


@some
@given(DOCUMENTS, DOCUMENTS)
def test_the_same_change_of_both_is_no_conflict(base: Any, both: Any) -> None:
    merged = merge(base, both, both)
    assert (merged.value, merged.conflicts) == (both, ())


@some
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_merging_the_result_again_changes_nothing(base: Any, ours: Any, theirs: Any) -> None:
    merged = merge(base, ours, theirs)
    assert merge(merged.settled, merged.settled, merged.value).value == merged.value


@some
@given(ITEMS, ITEMS, ITEMS)
def test_no_added_item_is_lost(base: Any, ours: Any, theirs: Any) -> None:
    ids = [{item["id"] for item in each} for each in (base, ours, theirs)]
    merged = [item["id"] for item in merge({"panels": base}, {"panels": ours}, {"panels": theirs}).value["panels"]]
    assert (ids[1] | ids[2]) - ids[0] <= set(merged)
    assert ids[0] & ids[1] & ids[2] <= set(merged)
    assert len(merged) == len(set(merged))


@some
@given(DOCUMENTS, DOCUMENTS)
def test_drift_is_empty_only_for_equal_values(before: Any, after: Any) -> None:
    assert (find_differences(before, after) == []) == (merge(before, before, after).value == before)


def test_changes_of_different_items_are_both_kept() -> None:
    merged = merge(panels((1, "a"), (2, "b")), panels((1, "new"), (2, "b"), (3, "c")), panels((1, "a"), (2, "mine")))
    assert merged.value == panels((1, "new"), (2, "mine"), (3, "c"))
    assert merged.conflicts == ()


def test_an_added_item_follows_its_predecessor_and_the_order_of_a_person_is_kept() -> None:
    merged = merge(panels((1, "a"), (2, "b")), panels((1, "a"), (3, "c"), (2, "b")), panels((2, "b"), (1, "a")))
    assert [item["id"] for item in merged.value["panels"]] == [2, 1, 3]


def test_an_item_that_a_person_added_stays_where_it_is() -> None:
    added = panels((1, "a"), (9, "note"), (2, "b"))
    merged = merge(panels((1, "a"), (2, "b")), panels((1, "a"), (2, "b"), (3, "c")), added)
    assert [item["id"] for item in merged.value["panels"]] == [1, 9, 2, 3]


def test_an_item_without_the_key_is_a_person_s_and_stays() -> None:
    note = {"type": "text", "content": "call payments first"}
    theirs = {"panels": [*panels((1, "a"))["panels"], note, note]}
    merged = merge(panels((1, "a")), panels((1, "b")), theirs)
    assert merged.value["panels"] == [{"id": 1, "title": "b"}, note, note]


def test_where_both_changed_a_value_theirs_is_kept_and_reported() -> None:
    merged = merge({"x": {"a": 1, "b": 1}}, {"x": {"a": 2, "b": 2}}, {"x": {"a": 3, "b": 1}})
    assert merged.value == {"x": {"a": 3, "b": 2}}
    (conflict,) = merged.conflicts
    assert (conflict.pointer, conflict.base, conflict.ours, conflict.theirs) == (("x", "a"), 1, 2, 3)
    assert merged.settled == {"x": {"a": 1, "b": 2}}


def test_ours_wins_where_it_is_preferred() -> None:
    merged = merge({"a": 1}, {"a": 2}, {"a": 3, "note": "mine"}, prefers_ours=True)
    assert (merged.value, merged.conflicts) == ({"a": 2, "note": "mine"}, ())


def test_an_item_that_one_removed_and_the_other_changed_is_a_conflict() -> None:
    merged = merge(panels((1, "a"), (2, "b")), panels((1, "a")), panels((1, "a"), (2, "mine")))
    assert merged.value == panels((1, "a"), (2, "mine"))
    assert [(one.pointer, one.ours) for one in merged.conflicts] == [(("panels", "id=2"), MISSING)]


def test_an_item_that_a_person_removed_stays_removed() -> None:
    merged = merge(panels((1, "a"), (2, "b")), panels((1, "new"), (2, "b")), panels((1, "a")))
    assert (merged.value, merged.conflicts) == (panels((1, "new")), ())


def test_lists_without_identities_are_values() -> None:
    merged = merge({"tags": ["a"]}, {"tags": ["a", "b"]}, {"tags": ["a", "c"]})
    assert merged.value == {"tags": ["a", "c"]}
    assert [one.pointer for one in merged.conflicts] == [("tags",)]


def test_true_is_not_1() -> None:
    assert merge({"x": 1}, {"x": 1}, {"x": True}).value["x"] is True


def test_the_pointer_of_an_item_has_its_identity() -> None:
    (difference,) = find_differences(panels((1, "a/b")), panels((1, "c")))
    assert format_pointer(difference.pointer) == "/panels/id=1/title"
    assert format_pointer(("a/b~",)) == "/a~1b~0"


def test_another_order_of_items_is_a_difference() -> None:
    (difference,) = find_differences(panels((1, "a"), (2, "b")), panels((2, "b"), (1, "a")))
    assert (difference.before, difference.after) == (["id=1", "id=2"], ["id=2", "id=1"])
