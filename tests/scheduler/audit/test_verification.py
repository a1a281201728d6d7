"""Damages of the chain: each is found, and what cannot be found without an anchor is named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.features.audit.verification import ChainVerifier, Damage, Verification
from scheduler.stores.audit import (
    GENESIS,
    RETENTION_ACTION,
    ChainHead,
    EntryDamaged,
    canonical_json,
    parse_entry,
    seal_entry,
)

LENGTH = 12
DAMAGES = 10_000


def content(number: int) -> dict[str, object]:
    return {
        "at": f"2026-03-01T12:00:{number:02d}Z",
        "action": "job.pause",
        "object": f"job-{number}",
        "principal": "api_key:dépôt",
        "jobs": [f"job-{number}"],
        "before": None,
        "after": {"until": None, "reason": "a \u202e \x7f reason", "ratio": 0.5},
    }


def chain(length: int = LENGTH, head: ChainHead | None = None, mark: str = "") -> list[str]:
    head, lines = head or ChainHead(), []
    for _ in range(length):
        entry = seal_entry({**content(head.sequence + 1), "mark": mark}, head)
        head = ChainHead(entry.sequence, entry.hash)
        lines.append(entry.line)
    return lines


def verify(lines: Sequence[str], anchors: dict[int, str] | None = None) -> Verification:
    verifier = ChainVerifier(anchors)
    for line in lines:
        verifier.add(line)
    return verifier.finish()


def head_of(lines: Sequence[str]) -> dict[int, str]:
    last = parse_entry(lines[-1])
    return {last.sequence: last.hash}


LINES = chain()
ANCHOR = head_of(LINES)


def test_an_undamaged_chain_is_valid() -> None:
    verified = verify(LINES, ANCHOR)

    assert not verified.findings
    assert (verified.first, verified.count) == (1, LENGTH)
    assert verified.head == ChainHead(LENGTH, ANCHOR[LENGTH])


# --- random damages: each returns the damaged lines, the possible findings, and the first entry concerned ---

Damaged = tuple[list[str], set[Damage], int]


def flip(pick: random.Random) -> Damaged:
    """One bit of any byte of any field."""
    number = pick.randrange(LENGTH)
    raw = bytearray(LINES[number].encode("ascii"))
    raw[pick.randrange(len(raw))] ^= 1 << pick.randrange(7)
    lines = [*LINES[:number], raw.decode("ascii"), *LINES[number + 1 :]]
    return lines, {Damage.CHANGED}, number + 1


def edit(pick: random.Random) -> Damaged:
    """Another value of a field, and the hash of the entry made again: as by one who knows the format."""
    number = pick.randrange(LENGTH - 1)
    fields = parse_entry(LINES[number]).fields
    forged = {key: value for key, value in fields.items() if key not in ("hash", "seq", "prev")}
    forged[pick.choice(sorted(forged))] = "forged"
    entry = seal_entry(forged, ChainHead(number, str(fields["prev"])))
    return [*LINES[:number], entry.line, *LINES[number + 1 :]], {Damage.REPLACED}, number + 2


def delete(pick: random.Random) -> Damaged:
    first = pick.randrange(LENGTH - 1)
    last = pick.randrange(first, LENGTH - 1)
    return [*LINES[:first], *LINES[last + 1 :]], {Damage.MISSING}, first + 1


def insert(pick: random.Random) -> Damaged:
    """A copy, or a forged entry that follows the one before it."""
    number = pick.randrange(1, LENGTH)
    forged = seal_entry(content(99), ChainHead(number, parse_entry(LINES[number - 1]).hash)).line
    added = pick.choice([forged, LINES[pick.randrange(number)]])
    return [*LINES[:number], added, *LINES[number:]], {Damage.INSERTED, Damage.REPLACED}, 0


def reorder(pick: random.Random) -> Damaged:
    lines = list(LINES)
    first, second = sorted(pick.sample(range(LENGTH), 2))
    lines[first], lines[second] = lines[second], lines[first]
    return lines, {Damage.REORDERED}, 0


def cut(pick: random.Random) -> Damaged:
    length = pick.randrange(LENGTH)
    return LINES[:length], {Damage.CUT}, length + 1


def rewrite(pick: random.Random) -> Damaged:
    """Every entry from one on is another, and valid."""
    number = pick.randrange(LENGTH)
    head = ChainHead(number, parse_entry(LINES[number - 1]).hash if number else GENESIS)
    return [*LINES[:number], *chain(LENGTH - number, head, "forged")], {Damage.REWRITTEN}, 0


ALL: tuple[Callable[[random.Random], Damaged], ...] = (flip, edit, delete, insert, reorder, cut, rewrite)
NOT_WITHOUT_ANCHOR = (cut, rewrite)


@pytest.mark.parametrize("damage", ALL, ids=lambda damage: damage.__name__)
def test_every_damage_is_found_with_an_anchor(damage: Callable[[random.Random], Damaged]) -> None:
    pick = random.Random(damage.__name__)
    for _ in range(DAMAGES // len(ALL) + 1):
        lines, expected, sequence = damage(pick)
        findings = verify(lines, ANCHOR).findings
        assert findings
        assert {finding.damage for finding in findings} & expected
        assert not sequence or findings[0].sequence == sequence


@pytest.mark.parametrize("damage", ALL, ids=lambda damage: damage.__name__)
def test_without_an_anchor_all_but_a_cut_and_a_rewritten_chain_are_found(
    damage: Callable[[random.Random], Damaged],
) -> None:
    pick = random.Random(damage.__name__)
    for _ in range(300):
        lines, _, _ = damage(pick)
        assert bool(verify(lines).findings) is (damage not in NOT_WITHOUT_ANCHOR)


def test_an_older_anchor_narrows_down_where_the_chain_was_rewritten() -> None:
    lines = [*LINES[:8], *chain(4, ChainHead(8, parse_entry(LINES[7]).hash), "forged")]
    older = head_of(LINES[:5])

    (finding,) = verify(lines, {**older, **ANCHOR}).findings

    assert (finding.damage, finding.sequence) == (Damage.REWRITTEN, 6)
    assert finding.message == "entry 12 is not the one of the anchor: the chain was rewritten after entry 5"


def test_damages_of_rows_are_found_by_their_keys() -> None:
    def rows(*places: tuple[int, int]) -> list[Damage]:
        verifier = ChainVerifier(stored_head=LENGTH)
        for place, number in places:
            verifier.add(LINES[number - 1], place)
        return [finding.damage for finding in verifier.finish().findings]

    whole = [(number, number) for number in range(1, LENGTH + 1)]
    assert not rows(*whole)
    assert rows(*whole[:3], (4, 9), *whole[4:8], (9, 4), *whole[9:]) == [Damage.REORDERED, Damage.REORDERED]
    assert rows(*whole[:4], (0, 4), *whole[4:]) == [Damage.INSERTED]
    assert rows(*whole[:4], *whole[6:]) == [Damage.MISSING]
    assert rows(*whole[:-1]) == [Damage.CUT]
    assert rows() == [Damage.CUT]


# --- what the retention deleted ---


def pruned_chain(through: int) -> list[str]:
    """A chain with an entry that says so, before anything is deleted."""
    before = LINES[:8]
    head = ChainHead(8, parse_entry(before[-1]).hash)
    after = {"through": through, "hash": parse_entry(LINES[through - 1]).hash, "deleted": through}
    entry = seal_entry({**content(9), "action": RETENTION_ACTION, "after": after}, head)
    return [*before, entry.line]


@pytest.mark.parametrize("deleted", [0, 2, 5])
def test_a_chain_without_what_the_retention_deleted_is_valid(deleted: int) -> None:
    lines = pruned_chain(5)[deleted:]

    verified = verify(lines, {3: "0" * 64} if deleted == 5 else None)

    assert not verified.findings
    assert verified.first == deleted + 1
    assert verified.deleted_anchors == ((3,) if deleted == 5 else ())


def test_more_than_the_retention_deleted_is_missing() -> None:
    (finding,) = verify(pruned_chain(5)[6:]).findings

    assert (finding.damage, finding.sequence) == (Damage.MISSING, 6)


def test_the_first_entry_must_follow_what_the_retention_deleted() -> None:
    lines = pruned_chain(5)
    forged = chain(3, ChainHead(5, "1" * 64))
    head = ChainHead(8, parse_entry(forged[-1]).hash)
    after = {"through": 5, "hash": parse_entry(LINES[4]).hash, "deleted": 5}
    prune = seal_entry({**content(9), "action": RETENTION_ACTION, "after": after}, head).line

    assert not verify(lines[5:]).findings
    assert [finding.damage for finding in verify([*forged, prune]).findings] == [Damage.REPLACED]


def test_a_file_that_starts_later_is_valid_with_the_anchor_of_the_entry_before() -> None:
    (finding,) = verify(LINES[4:]).findings
    assert finding.message == "entries 1 to 4 are missing; if a file starts at entry 5, give the anchor of entry 4"

    assert not verify(LINES[4:], head_of(LINES[:4])).findings
    assert [each.damage for each in verify(LINES[4:], {4: "1" * 64}).findings] == [Damage.REPLACED]


# --- the lines ---

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(max_size=8), json_values, max_size=5), min_size=1, max_size=6))
def test_any_content_survives_sealing_and_makes_a_valid_chain(contents: list[dict[str, object]]) -> None:
    head, lines = ChainHead(), []
    for each in contents:
        entry = seal_entry(each, head)
        head = ChainHead(entry.sequence, entry.hash)
        lines.append(entry.line)

    assert not verify(lines, {head.sequence: head.hash}).findings
    for line, each in zip(lines, contents, strict=True):
        assert line.isascii()
        assert line.isprintable()
        kept = parse_entry(line).fields
        assert all(kept[key] == value for key, value in each.items() if key not in ("seq", "prev", "hash"))
    assert all(parse_entry(after).previous_hash == parse_entry(before).hash for before, after in pairwise(lines))


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("{", "it is not valid JSON"),
        ("[" * 100_000, "it is not valid JSON"),
        ("null", "it is not in canonical form"),
        (LINES[0].replace(",", ", ", 1), "it is not in canonical form"),
        (canonical_json({"seq": 1, "prev": GENESIS}), "it has no seq, prev or hash"),
        (canonical_json({**json.loads(LINES[0]), "seq": True}), "it has no seq, prev or hash"),
        (canonical_json({**json.loads(LINES[0]), "at": "now"}), "its content does not match its hash"),
    ],
)
def test_a_line_that_is_not_an_entry_is_damaged(line: str, cause: str) -> None:
    with pytest.raises(EntryDamaged, match=cause):
        parse_entry(line)
