"""Verifies the chain of the audit trail. Pure.

A chain that was cut at its end, or rewritten from an entry on, is valid in itself. An anchor, the head that telemetry
received earlier, finds both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scheduler.stores.audit import GENESIS, RETENTION_ACTION, AuditEntry, ChainHead, EntryDamaged, parse_entry


class Damage(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "changed"
    """The content of an entry does not match its hash."""
    MISSING = "missing"
    """Entries were deleted."""
    INSERTED = "inserted"
    """An entry has a number that another one has, or a row has no number."""
    REORDERED = "reordered"
    """An entry is at the place of another one."""
    REPLACED = "replaced"
    """An entry does not follow the one before it."""
    CUT = "cut"
    """The chain ends before an entry that is known to exist."""
    REWRITTEN = "rewritten"
    """An entry is valid, but not the one of an anchor."""
    HEAD = "head"
    """The store's own head row does not name the last entry."""


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """`sequence`: the first entry concerned."""

    damage: Damage
    sequence: int
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """`first`: the number of the first entry, 0 without entries. `deleted_anchors`: of entries that were deleted by the
    retention, so they verify nothing."""

    findings: tuple[ChainFinding, ...]
    first: int
    head: ChainHead
    count: int
    deleted_anchors: tuple[int, ...] = ()


class ChainVerifier:
    """Takes the lines of a chain in their order.

    `anchors`: the hashes of entries that are known from elsewhere, by number. `stored_head`: the number in the store's
    own head row.
    """

    def __init__(self, anchors: Mapping[int, str] | None = None, stored_head: int = 0) -> None:
        self._anchors = dict(anchors or {})
        self._stored_head = stored_head
        self._findings: list[ChainFinding] = []
        self._gaps: list[tuple[int, int]] = []
        """Numbers that were passed over, first and last."""
        self._anchored: dict[int, str] = {}
        """The hashes of entries of which there is an anchor."""
        self._pruned = ChainHead()
        """The last entry that the retention deleted."""
        self._first: AuditEntry | None = None
        self._first_number = 0
        self._expected = 1
        self._previous: str | None = GENESIS
        """The hash of the entry before; None if it is unknown."""
        self._count = 0

    def add(self, line: str, place: int | None = None) -> None:
        """Verify the next line. `place`: the number in its row's key, 0 if that is not a number; None in a file."""
        self._count += 1
        if place == 0:
            self._report(Damage.INSERTED, self._expected, f"a row without a number is before entry {self._expected}")
            return
        try:
            entry = parse_entry(line)
        except EntryDamaged as error:
            number = self._expected if place is None else place
            self._report(Damage.CHANGED, number, f"entry {number} was changed: {error}")
            self._advance(number, None)
            return
        if place is not None and entry.sequence != place:
            self._report(Damage.REORDERED, place, f"entry {entry.sequence} is at the place of entry {place}")
            self._advance(place, None)
        elif entry.sequence < self._expected:
            self._add_late(entry.sequence)
        else:
            self._add_entry(entry)

    def compare_head(self, head: ChainHead | None) -> None:
        """Compare the head row with the last entry. None: the row is missing or cannot be read."""
        last = self._expected - 1
        if head is None:
            if last:
                self._report(Damage.HEAD, last, "the head row is missing or damaged")
        elif head.sequence < last:
            self._report(Damage.HEAD, last, f"the head row names entry {head.sequence}, but entry {last} is the last")
        elif head.sequence == last and self._previous not in (None, head.hash):
            self._report(Damage.HEAD, last, f"the head row does not have the hash of entry {last}")

    def finish(self) -> Verification:
        """Return what was found, once all lines were added."""
        self._check_beginning()
        self._check_gaps()
        self._check_end()
        deleted = tuple(number for number in sorted(self._anchors) if 0 < number < self._first_number - 1)
        findings = tuple(sorted(self._findings, key=lambda finding: finding.sequence))
        head = ChainHead(self._expected - 1, self._previous or "")
        return Verification(findings, self._first_number, head, self._count, deleted)

    def _add_entry(self, entry: AuditEntry) -> None:
        number = entry.sequence
        is_next = number == self._expected
        if is_next and self._previous is not None and entry.previous_hash != self._previous and self._first_number:
            message = f"entry {number} does not follow entry {number - 1}: one of them was replaced"
            self._report(Damage.REPLACED, number, message)
        if not self._first_number:
            self._first = entry
        if number in self._anchors:
            self._anchored[number] = entry.hash
        after = entry.fields.get("after")
        if entry.fields.get("action") == RETENTION_ACTION and isinstance(after, dict):
            through, digest = after.get("through"), after.get("hash")
            if type(through) is int and isinstance(digest, str) and self._pruned.sequence < through < number:
                self._pruned = ChainHead(through, digest)
        self._advance(number, entry.hash)

    def _add_late(self, number: int) -> None:
        """An entry whose number was passed, in a file."""
        for place, (first, last) in enumerate(self._gaps):
            if first <= number <= last:
                parts = [(first, number - 1), (number + 1, last)]
                self._gaps[place : place + 1] = [part for part in parts if part[0] <= part[1]]
                self._report(Damage.REORDERED, number, f"entry {number} is after entry {self._expected - 1}")
                return
        self._report(Damage.INSERTED, number, f"entry {number} occurs again after entry {self._expected - 1}")

    def _advance(self, number: int, digest: str | None) -> None:
        if number > self._expected:
            self._gaps.append((self._expected, number - 1))
        self._first_number = self._first_number or number
        self._expected, self._previous = max(self._expected, number + 1), digest

    def _check_beginning(self) -> None:
        """The first entry follows the genesis, the last entry that the retention deleted, or an anchor."""
        first = self._first
        if first is None or first.sequence != self._first_number:
            return
        before = first.sequence - 1
        known = GENESIS if not before else self._anchors.get(before)
        if known is None and self._pruned.sequence == before:
            known = self._pruned.hash
        if known is not None and known != first.previous_hash:
            what = f"entry {before}" if before else "the start of the chain"
            self._report(Damage.REPLACED, first.sequence, f"entry {first.sequence} does not follow {what}")
        if before and before in self._anchors:
            self._pruned = max(self._pruned, ChainHead(before), key=lambda head: head.sequence)

    def _check_gaps(self) -> None:
        for first, last in self._gaps:
            start = max(first, self._pruned.sequence + 1)
            if start > last:
                continue
            which = f"entry {start} is" if start == last else f"entries {start} to {last} are"
            hint = f"; if a file starts at entry {last + 1}, give the anchor of entry {last}" if first == 1 else ""
            self._report(Damage.MISSING, start, f"{which} missing{hint}")

    def _check_end(self) -> None:
        last = self._expected - 1
        matching = [number for number, digest in self._anchored.items() if digest == self._anchors[number]]
        for number, digest in sorted(self._anchors.items()):
            if number > last:
                message = f"the chain ends at entry {last}, before entry {number} of an anchor: its end was cut off"
                self._report(Damage.CUT, last + 1, message)
            elif self._anchored.get(number, digest) != digest:
                since = max((each for each in matching if each < number), default=0)
                message = f"entry {number} is not the one of the anchor: the chain was rewritten after entry {since}"
                self._report(Damage.REWRITTEN, since + 1, message)
        if self._stored_head > last:
            message = f"the chain ends at entry {last}, before entry {self._stored_head} of the head row"
            self._report(Damage.CUT, last + 1, message)

    def _report(self, damage: Damage, sequence: int, message: str) -> None:
        self._findings.append(ChainFinding(damage, sequence, message))
