"""Each leaf of a source has exactly one outcome, whatever a mapping does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from importers.import_context import ImportContext
from importers.ledger import UNKNOWN_KEY, JobDraft, LeafOutcome
from importers.report import create_report
from importers.running import validate_drafts
from importers.source_tree import NotCarriedOver, SourceNode, SourceTree
from tests.config.importers.importing import leaf_paths

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=25,
)


def _all_nodes(node: SourceNode) -> list[SourceNode]:
    return [node, *(below for child in node.children() for below in _all_nodes(child))]


@given(DOCUMENTS, st.data())
def test_the_reported_leaves_are_the_leaves_of_the_document(document: Any, data: st.DataObject) -> None:
    context = ImportContext()
    root = context.add_tree(SourceTree("file", document))
    nodes = _all_nodes(root)
    drafts = [context.new_job(f"job {number}", root) for number in range(2)]
    for draft in drafts:
        draft.put("check", {"kind": "http", "url": "https://shop.example/"})
    for node in data.draw(st.lists(st.sampled_from(nodes), max_size=12)):
        draft = data.draw(st.sampled_from(drafts))
        _act(data.draw(st.integers(0, 5)), context, draft, node)
    validate_drafts(context)
    entries = create_report("test", context).entries
    assert len(entries) == len({entry.path for entry in entries})
    assert {entry.path for entry in entries} == leaf_paths(document)
    assert all(entry.detail for entry in entries if entry.outcome is not LeafOutcome.IMPORTED)


def _act(action: int, context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    match action:
        case 0:
            draft.use(node)
        case 1:
            draft.use(node, how="it is different")
        case 2:
            draft.drop(node, "there is no such thing")
        case 3:
            draft.expect({"status": "no status"}, node)  # refused: it is removed again
        case 4:
            draft.put("unknown_key", 1, node)
        case _:
            context.discard_job(draft, "the job is not possible")


def _context(value: Any) -> tuple[ImportContext, SourceNode]:
    context = ImportContext()
    return context, context.add_tree(SourceTree("file", value))


def _outcomes(context: ImportContext) -> dict[str, tuple[str, str]]:
    return {leaf.key: (record.outcome.words, record.detail) for leaf, record in context.ledger.entries()}


def test_a_leaf_that_no_mapping_reads_is_not_carried_over() -> None:
    context, _ = _context({"a": 1})
    assert _outcomes(context) == {"a": ("not carried over", UNKNOWN_KEY)}


def test_of_several_records_the_worst_counts() -> None:
    context, root = _context({"a": 1})
    draft = context.new_job("one", root)
    draft.use(root)
    draft.drop(root, "no")
    draft.use(root, how="different")
    assert _outcomes(context) == {"a": ("not carried over", "no")}


def test_what_a_handler_refuses_is_not_carried_over() -> None:
    context, root = _context({"a": 1, "b": 2})

    def refuse(draft: JobDraft, node: SourceNode) -> None:
        raise NotCarriedOver("impossible", "something else")

    context.new_job("one", root).map_keys(root, {"a": refuse})
    entries = {entry.key: entry for entry in create_report("test", context).entries}
    assert (entries["a"].detail, entries["a"].nearest) == ("impossible", "something else")
    assert entries["b"].detail == UNKNOWN_KEY


def test_an_entry_that_validation_refuses_is_removed_and_the_others_stay() -> None:
    context, root = _context({"good": 1, "bad": 2, "last": 3})
    draft = context.new_job("one", root)
    draft.put("check", {"kind": "http", "url": "https://shop.example/"})
    for key, status in (("good", "200"), ("bad", "2000"), ("last", "204")):
        node = root.child(key)
        assert node is not None
        draft.expect({"status": status}, node)
    validate_drafts(context)
    assert draft.definition["expect"] == [{"status": "200"}, {"status": "204"}]
    outcomes = _outcomes(context)
    assert [outcomes[key][0] for key in ("good", "bad", "last")] == ["imported", "not carried over", "imported"]


def test_a_job_without_a_valid_target_is_discarded_with_the_reason() -> None:
    context, root = _context({"url": "ftp://shop.example", "interval": "1m"})
    draft = context.new_job("one", root)
    url, interval = root.child("url"), root.child("interval")
    assert url is not None
    assert interval is not None
    draft.put("check", {"kind": "http"})
    draft.put("check.url", "ftp://shop.example", url)
    draft.put("schedule", {"every": "1m"}, interval)
    validate_drafts(context)
    assert context.jobs == {}
    outcomes = _outcomes(context)
    assert outcomes["url"][0] == outcomes["interval"][0] == "not carried over"
    assert "is not an http URL" in outcomes["url"][1]


def test_names_are_stable_and_collisions_are_numbered_and_reported() -> None:
    context, root = _context({"a": 1})
    names = [context.new_job(text, root).name for text in ("Front End", "front-end", "Größe/1", "日本", "x" * 300)]
    assert names == ["front-end", "front-end-2", "groesse-1", "job", "x" * 100]
    assert context.notes == ["file: the job is named front-end-2, as another job is named front-end"]
