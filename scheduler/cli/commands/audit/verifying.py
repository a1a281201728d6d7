"""Reads anchors, verifies an export, and prints what was found. Used by group."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scheduler.cli.output import EXIT_FAILED, fail, print_error, print_note, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.audit.verification import Verification

_ANCHOR = re.compile(r"([0-9]{1,12}):([0-9A-Fa-f]{64})")
_LONGEST_LINE = 2_000_000
"""Characters. An entry has at most 800,000."""


def read_anchors(texts: Sequence[str]) -> dict[int, str]:
    """Return the hashes by number. Ends the command with 2 if one is invalid, or if two contradict each other."""
    anchors: dict[int, str] = {}
    for text in texts:
        found = _ANCHOR.fullmatch(text.strip())
        if found is None:
            fail(f"--anchor: expected NUMBER:HASH with 64 hexadecimal digits, got {text[:100]!r}")
        number, digest = int(found[1]), found[2].lower()
        if anchors.setdefault(number, digest) != digest:
            fail(f"--anchor: two anchors of entry {number} have different hashes, so one of them is forged")
    return anchors


def verify_file(path: Path, anchors: Mapping[int, str]) -> Verification:
    """Verify the lines of an export. Ends the command with 2 if the file cannot be read."""
    from scheduler.audit.verification import ChainVerifier

    verifier = ChainVerifier(anchors)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            while line := lines.readline(_LONGEST_LINE):
                verifier.add(line.removesuffix("\n"))
    except OSError as error:
        fail(f"--file: could not read {path}: {error.strerror or error}")
    return verifier.finish()


def print_verification(verified: Verification, anchors: Mapping[int, str], as_json: bool) -> None:
    """Print the result; end the command with 1 if the chain is not valid."""
    if as_json:
        show_json(json.dumps(_to_json(verified, anchors), indent=2))
    else:
        for finding in verified.findings:
            print_error(f"{finding.damage}: {finding.message}")
        if not verified.findings:
            head = verified.head
            print(f"valid: {verified.count} entries, {verified.first} to {head.sequence}")
            print(f"head: {head.sequence}:{head.hash}")
        for note in _notes(verified, anchors):
            print_note(note)
    if verified.findings:
        raise typer.Exit(EXIT_FAILED)


def _notes(verified: Verification, anchors: Mapping[int, str]) -> list[str]:
    notes = [
        f"the anchor of entry {number} verifies nothing: the retention deleted the entry, or the file starts later"
        for number in verified.deleted_anchors
    ]
    used = [number for number in anchors if verified.first <= number]
    if not used:
        notes.append(
            "without an anchor two damages cannot be found: that the end of the chain was cut off, and that the chain "
            "was rewritten from an entry on. Give an anchor of an AUDIT_HEAD event with --anchor."
        )
    elif max(used) < verified.head.sequence:
        notes.append(f"entries after {max(used)} are newer than the newest anchor: a cut or rewritten end is not found")
    return notes


def _to_json(verified: Verification, anchors: Mapping[int, str]) -> dict[str, object]:
    return {
        "valid": not verified.findings,
        "entries": verified.count,
        "first": verified.first,
        "head": {"sequence": verified.head.sequence, "hash": verified.head.hash},
        "findings": [
            {"damage": finding.damage, "sequence": finding.sequence, "message": finding.message}
            for finding in verified.findings
        ],
        "notes": _notes(verified, anchors),
    }
