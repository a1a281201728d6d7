"""`audit list`, `audit verify` and `audit export`."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api={"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}})


def pauses(count: int) -> None:
    for number in range(count):
        invoke("pause", "checkout-api", "--reason", f"move {number}")


def database() -> sqlite3.Connection:
    return sqlite3.connect(os.environ["SCHEDULER_STORE"].removeprefix("sqlite:///"))


def anchor() -> str:
    return invoke("audit", "verify").lines[1].removeprefix("head: ")


def test_the_changes_of_commands_are_listed_with_their_account() -> None:
    pauses(2)
    invoke("resume", "checkout-api")

    said = invoke("audit", "list")

    names, *rows = (line.split("\t") for line in said.lines)
    assert names == ["seq", "at", "principal", "address", "action", "object", "summary"]
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("3", "job.resume", "checkout-api"),
        ("2", "job.pause", "checkout-api"),
        ("1", "job.pause", "checkout-api"),
    ]
    assert all(row[1].endswith("Z") and row[2].startswith("command_line:") for row in rows)
    assert "job.resume" in invoke("audit", "list", terminal=True).stdout


def test_entries_are_filtered_and_printed_as_json() -> None:
    pauses(2)

    said = invoke("audit", "list", "--action", "job", "--limit", "1", "--from", "1h", "--json")

    (entry,) = json.loads(said.stdout)["entries"]
    assert entry["after"]["reason"] == "move 1"
    assert invoke("audit", "list", "--job", "other").stderr == "no entry matches\n"


def test_a_valid_trail_is_said_to_be_valid_and_what_cannot_be_found_without_an_anchor() -> None:
    pauses(3)

    said = invoke("audit", "verify")

    assert (said.code, said.lines[0]) == (0, "valid: 3 entries, 1 to 3")
    assert said.stderr == (
        "without an anchor two damages cannot be found: that the end of the chain was cut off, and that the chain was "
        "rewritten from an entry on. Give an anchor of an AUDIT_HEAD event with --anchor.\n"
    )
    with_anchor = invoke("audit", "verify", "--anchor", anchor())
    assert (with_anchor.code, with_anchor.stderr) == (0, "")
    pauses(1)
    assert invoke("audit", "verify", "--anchor", said.lines[1].removeprefix("head: ")).stderr.startswith(
        "entries after 3 are newer than the newest anchor"
    )


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE rows SET body = replace(body, 'move 1', 'move 9') WHERE row_key = '000000000002'", "changed: entry 2"),
        ("DELETE FROM rows WHERE row_key = '000000000002'", "missing: entry 2 is missing"),
        (
            "DELETE FROM rows WHERE row_key = '000000000003'",
            "cut: the chain ends at entry 2, before entry 3 of an anchor: its end was cut off",
        ),
    ],
)
def test_a_damage_ends_the_command_with_1_and_names_the_entry(statement: str, complaint: str) -> None:
    pauses(3)
    known = anchor()
    with closing(database()) as connection, connection:
        assert connection.execute(f"{statement} AND table_name = 'audit'").rowcount == 1

    said = invoke("audit", "verify", "--anchor", known)

    assert said.code == 1
    assert said.stderr.startswith(complaint)
    found = json.loads(invoke("audit", "verify", "--anchor", known, "--json").stdout)
    assert not found["valid"]


def test_an_export_is_verified_without_the_store(tmp_path: Path) -> None:
    pauses(3)
    known = anchor()
    exported = invoke("audit", "export")
    file = tmp_path / "audit.jsonl"
    file.write_text(exported.stdout)

    assert len(exported.lines) == 3
    assert invoke("audit", "verify", "--file", str(file), "--anchor", known).code == 0
    file.write_text("".join(f"{line}\n" for line in (exported.lines[0], exported.lines[2], exported.lines[1])))
    said = invoke("audit", "verify", "--file", str(file), "--anchor", known)
    assert (said.code, said.stderr) == (1, "reordered: entry 2 is after entry 3\n")
    file.write_text(f"{exported.lines[0]}\n")
    assert invoke("audit", "verify", "--file", str(file)).code == 0
    assert invoke("audit", "verify", "--file", str(file), "--anchor", known).code == 1


def test_an_invalid_anchor_or_file_ends_the_command_with_2(tmp_path: Path) -> None:
    assert invoke("audit", "verify", "--anchor", "3").code == 2
    assert invoke("audit", "verify", "--anchor", f"3:{'0' * 64}", "--anchor", f"3:{'1' * 64}").code == 2
    assert invoke("audit", "verify", "--file", str(tmp_path / "missing.jsonl")).code == 2
