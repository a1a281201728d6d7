"""The file of a backup: what it holds, and that it is complete under its name or does not exist."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import pytest

from scheduler.features.backup.dump_file import (
    DumpFile,
    DumpHeader,
    DumpTrailer,
    encode_fields,
    encode_row,
    open_dump_file,
)
from scheduler.features.backup.dumps import DumpReader, verify_dump
from scheduler.features.backup.port import DumpDamaged, DumpFileError, NoProgress
from scheduler.features.backup.tables import TableDigest
from scheduler.stores.port import Row
from tests.scheduler.backup.stores import NOW, ODD_BODIES, ROWS, back_up, filled_file


async def test_a_backup_holds_every_row_but_sessions(tmp_path: Path) -> None:
    dump = await back_up(await filled_file(tmp_path / "store.db"), tmp_path / "dump.jsonl")

    lines = [json.loads(line) for line in dump.read_bytes().split(b"\n")[:-1]]
    rows = [(line["table"], line["partition"], line["key"], line["body"]) for line in lines[1:-1]]
    assert sorted(rows) == sorted((table, *row) for table, some in ROWS.items() if table != "sessions" for row in some)
    assert lines[0]["omitted"] == {
        "sessions": "a session belongs to a browser and to this installation: users sign in again"
    }
    assert lines[-1]["rows"] == len(rows) == 2502 + len(ODD_BODIES)
    assert "a-session" not in dump.read_text("utf-8")


async def test_a_name_with_gz_is_compressed_and_only_for_its_owner(tmp_path: Path) -> None:
    store = await filled_file(tmp_path / "store.db")
    packed, plain = await back_up(store, tmp_path / "dump.jsonl.gz"), await back_up(store, tmp_path / "dump.jsonl")

    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.stat().st_mode & 0o777 == 0o600
    header, trailer = await verify_dump(packed, NoProgress())
    assert (header.source, header.is_snapshot, header.started_at, trailer.rows) == ("sqlite", True, NOW, 2508)


@pytest.mark.parametrize("name", ["dump.jsonl", "dump.jsonl.gz"])
async def test_each_changed_byte_is_found_and_no_part_is_lost_unseen(tmp_path: Path, name: str) -> None:
    dump = await back_up(await filled_file(tmp_path / "store.db"), tmp_path / name)
    whole = dump.read_bytes()
    for place in {*range(0, len(whole), len(whole) // 9), len(whole) - 1, 11}:
        if name.endswith("gz") and place in range(4, 10):
            continue  # the time, flags and system in gzip's header, which mean nothing
        dump.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(DumpDamaged, match=rf"{name}: line \d+: "):
            await verify_dump(dump, NoProgress())
        dump.write_bytes(whole[:place])
        with pytest.raises(DumpDamaged, match=rf"{name}: line \d+: .*(cut off|not a backup|damaged)"):
            await verify_dump(dump, NoProgress())


async def test_damage_is_found_in_its_line(tmp_path: Path) -> None:
    dump = await back_up(await filled_file(tmp_path / "store.db"), tmp_path / "dump.jsonl")
    lines = dump.read_bytes().split(b"\n")
    lines[1233] = lines[1233].replace(b"succeeded", b"suceceded")
    dump.write_bytes(b"\n".join(lines))
    with pytest.raises(DumpDamaged, match=r"line 1234: its content does not match its checksum"):
        await verify_dump(dump, NoProgress())


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:500], *lines[501:]],
        lambda lines: [*lines[:500], lines[500], *lines[500:]],
        lambda lines: [*lines[:500], lines[501], lines[500], *lines[502:]],
        lambda lines: [*lines[:-1], lines[5], lines[-1]],
    ],
    ids=["lost", "doubled", "exchanged", "added"],
)
async def test_a_valid_line_in_a_wrong_place_is_found(tmp_path: Path, change: object) -> None:
    dump = await back_up(await filled_file(tmp_path / "store.db"), tmp_path / "dump.jsonl")
    assert callable(change)
    dump.write_bytes(b"".join(change(dump.read_bytes().splitlines(keepends=True))))
    with pytest.raises(DumpDamaged, match=r"lines are missing, doubled or replaced|is in the backup twice"):
        await verify_dump(dump, NoProgress())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 2}, "has format 2, this program knows 1 at most: restore it with version 9.1 or a newer one"),
        ({"reader_schema": 9}, "has schema 9, this program knows 3 at most: restore it with version 9.1"),
        ({"kind": "another"}, "is not a backup of this program"),
        ({"started_at": 7}, "the header lacks a field, or has a wrong one"),
        ({"schema": -1}, "schema must be a whole number from 0 to 1000000000000, not -1"),
        ({"schema": 10**400}, r"schema must be a whole number from 0 to 1000000000000, not 10{38}….?$"),
        ({"reader_schema": 1.5}, "reader_schema must be a whole number"),
        ({"format": 10**400, "program": "\x1b[2J" * 99}, r"has format 10{30,38}….? .{,200}$"),
    ],
)
def test_a_header_that_this_program_cannot_use(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    path = tmp_path / "dump.jsonl"
    path.write_bytes(encode_fields({**DumpHeader("9.1", NOW, "sqlite", True).to_fields(), **fields}))
    with pytest.raises(DumpDamaged, match=message):
        DumpReader(path)


def test_a_header_of_a_newer_program_that_writes_what_this_one_reads(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    fields = {**DumpHeader("9.1", NOW, "azure", False).to_fields(), "schema": 4, "another": 1}
    path.write_bytes(encode_fields(fields))
    reader = DumpReader(path)
    assert (reader.header.schema, reader.header.reader_schema) == (4, 2)
    reader.close()


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x1f\x8bgarbage", b"SQLite format 3\x00" * 9])
def test_another_file_is_not_a_backup(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dump"
    path.write_bytes(content)
    with pytest.raises(DumpDamaged, match="line 1: "):
        DumpReader(path)


def test_an_error_leaves_nothing_behind_and_the_former_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl.gz"
    path.write_bytes(b"the former")

    def write_a_part() -> None:
        with open_dump_file(path) as file:
            file.write(b"some\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_a_part()
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {path.name: b"the former"}


def test_a_full_disk_is_reported_with_what_to_do(tmp_path: Path) -> None:
    class FullDisk:
        def write(self, content: bytes, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DumpFileError, match="No space left on device: free some space, or name a file on another disk"):
        DumpFile(tmp_path / "dump", FullDisk()).write(b"x")


def test_a_folder_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "dump"
    with pytest.raises(DumpFileError, match="its folder does not exist"), open_dump_file(path):
        pass


def write_dump(path: Path, *rows: tuple[str, Row], counts: dict[str, int] | None = None) -> Path:
    """Write a file whose lines and digests are right, whatever the rows are."""
    digests: dict[str, TableDigest] = {}
    for table, row in rows:
        digests.setdefault(table, TableDigest()).add([row])
    for table, count in (counts or {}).items():
        digests[table].rows = count
    with open_dump_file(path) as output:
        output.write(encode_fields(DumpHeader("9.1", NOW, "azure", False).to_fields()))
        for table, row in rows:
            output.write(encode_row(table, row))
        output.write(encode_fields(DumpTrailer(NOW, digests, output.sha256).to_fields()))
    return path


def row(key: str, body: str = "{}") -> tuple[str, Row]:
    return "pauses", Row("jobs", key, body, "")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("a"), row("a")], "line 3: the row is in the backup twice: .'jobs', 'a'. of table pauses"),
        ([row("a"), row("c"), row("b"), row("a")], "line 5: the row is in the backup twice"),
        ([row("a"), row("b", "x" * 900_001)], "line 3: the row has 900001 characters, and a store accepts 900000"),
        ([row("a", "{"), row("b")], "line 2: the body of the row is not JSON"),
        ([row("a", "[" * 100_000)], "line 2: the body of the row is not JSON"),
    ],
    ids=["twice", "twice unordered", "size", "JSON", "depth"],
)
async def test_a_row_that_no_restore_accepts_is_found(
    tmp_path: Path, rows: list[tuple[str, Row]], message: str
) -> None:
    dump = write_dump(tmp_path / "dump.jsonl", *rows)
    with pytest.raises(DumpDamaged, match=message):
        await verify_dump(dump, NoProgress())


async def test_rows_in_another_order_are_no_damage(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.jsonl", row("c"), row("a"), row("b"))
    _, trailer = await verify_dump(dump, NoProgress())
    assert trailer.rows == 3


async def test_a_last_line_with_other_numbers_is_found(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.jsonl", row("a"), counts={"pauses": 7})
    with pytest.raises(DumpDamaged, match="line 3: the last line has other numbers of rows than the file"):
        await verify_dump(dump, NoProgress())


async def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DumpFileError, match="pipe could not be read: it is not a regular file"):
        await verify_dump(tmp_path / "pipe", NoProgress())
