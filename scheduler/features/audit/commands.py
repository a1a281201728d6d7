"""`audit`: list the audit trail, verify it, export it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.listing import Field, read_newest, show_list
from scheduler.cli.output import EXIT_FAILED, Column, fail, print_error, print_note, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.app import ReadOnlyProgram
    from scheduler.features.audit.models import AuditEntryModel, AuditList
    from scheduler.features.audit.queries import AuditFilter
    from scheduler.features.audit.verification import Verification

_ANCHOR = re.compile(r"([0-9]{1,12}):([0-9A-Fa-f]{64})")
_MAX_LINE = 2_000_000
"""Characters. An entry has at most 800,000."""


def read_anchors(texts: Sequence[str]) -> dict[int, str]:
    """Return the hashes by number. Ends the command with 2 if one is invalid, or if two contradict each other."""
    anchors: dict[int, str] = {}
    for text in texts:
        matched = _ANCHOR.fullmatch(text.strip())
        if matched is None:
            fail(f"--anchor: expected NUMBER:HASH with 64 hexadecimal digits, got {text[:100]!r}")
        number, digest = int(matched[1]), matched[2].lower()
        if anchors.setdefault(number, digest) != digest:
            fail(f"--anchor: two anchors of entry {number} have different hashes, so one of them is forged")
    return anchors


def verify_file(path: Path, anchors: Mapping[int, str]) -> Verification:
    """Verify the lines of an export. Ends the command with 2 if the file cannot be read."""
    from scheduler.features.audit.verification import ChainVerifier

    verifier = ChainVerifier(anchors)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            while line := lines.readline(_MAX_LINE):
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


ABOUT = """Audit trail: who changed what, when and from where. It is a chain of hashes, so a change of it shows.

\b
Examples:
  audit list --action job.pause --from 24h
  audit verify --anchor 1801:77d0...3b
  audit export > audit.jsonl"""

audit = typer.Typer(help=ABOUT, no_args_is_help=True)

_FIELDS: tuple[Field[AuditEntryModel], ...] = (
    Field("seq", lambda entry: str(entry.seq), Column("seq")),
    Field("at", lambda entry: "" if entry.at is None else entry.at.isoformat().replace("+00:00", "Z"), Column("at")),
    Field("principal", lambda entry: entry.principal, Column("principal")),
    Field("address", lambda entry: entry.address, Column("address", is_optional=True)),
    Field("action", lambda entry: entry.action, Column("action")),
    Field("object", lambda entry: entry.object, Column("object", is_optional=True)),
    Field("summary", lambda entry: entry.summary, Column("summary", no_wrap=False, min_width=20)),
)

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHEN",
        help="Only entries of this time or later: ISO 8601, UTC unless it has an offset; or 24h.",
    ),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="WHEN", help="Only entries of this time or earlier, in the same form.")
]


@audit.command("list")
def list_entries(
    principal: Annotated[
        str | None, typer.Option("--principal", help="Only entries of this caller, such as api_key:deploy.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="Only this action, job.pause, or those of a subject, job.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", help="Only entries of this job, also of a removed one.")] = None,
    since: FromOption = None,
    until: ToOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of results.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/audit.")] = False,
) -> None:
    """List entries, newest first.

    \b
    Examples:
      audit list
      audit list --principal deploy --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z
    """
    from scheduler.cli.context import run_without_jobs
    from scheduler.cli.times import parse_interval_options
    from scheduler.features.audit.queries import AuditFilter

    criteria = AuditFilter(principal, action, job, parse_interval_options(since, until))
    listed = run_without_jobs("audit list", lambda program: _read(program, criteria, limit))
    show_list(listed, _FIELDS, as_json=as_json, empty="no entry matches", header=True)


@audit.command("verify")
def verify(
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor", metavar="SEQ:HASH", help="A head of an earlier time, from an AUDIT_HEAD event. Repeatable."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Verify an export instead of the store.", dir_okay=False, exists=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verify the chain: name each entry that was changed, removed, inserted, moved or replaced.

    Only an anchor finds that the end was cut off, or that the chain was rewritten from an entry on. Exit code 0: the
    chain is valid, 1: it is not, 2: an anchor or the file is invalid.

    \b
    Examples:
      audit verify --anchor 1742:9f2c...e1 --anchor 1801:77d0...3b
      audit verify --file audit.jsonl --anchor 1801:77d0...3b
    """
    hashes = read_anchors(anchors or [])
    if file is not None:
        verified = verify_file(file, hashes)
    else:
        from scheduler.cli.context import run_without_jobs

        verified = run_without_jobs("audit verify", lambda program: program.audit_queries.verify(hashes))
    print_verification(verified, hashes, as_json)


@audit.command("export")
def export(since: FromOption = None, until: ToOption = None) -> None:
    """Print the entries as JSON lines, oldest first, for `audit verify --file`.

    \b
    Examples:
      audit export > audit.jsonl
    """
    from scheduler.cli.context import run_without_jobs
    from scheduler.cli.times import parse_interval_options
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    at = parse_interval_options(since, until)

    async def work(program: ReadOnlyProgram) -> None:
        async for line in program.audit_queries.export(LOCAL_PRINCIPAL, at):
            sys.stdout.write(f"{line}\n")

    run_without_jobs("audit export", work)


async def _read(program: ReadOnlyProgram, criteria: AuditFilter, limit: int) -> AuditList:
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.features.audit.models import AuditList
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    try:
        return await read_newest(
            lambda after, size: program.audit_queries.list_entries(
                LOCAL_PRINCIPAL, criteria, limit=size, continuation=after or None
            ),
            limit,
        )
    except UnknownJob:  # the job has no entries, and job files are not read
        return AuditList(entries=[], continuation=None)
