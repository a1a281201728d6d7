"""Backups in a blob container, on Azurite: complete or not there, never replaced, and restored into both stores."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.blob._generated.aio.operations import BlockBlobOperations
from azure.storage.blob.aio import BlobClient
from hypothesis import given
from hypothesis import strategies as st

from scheduler.features.backup.containers import BLOCK_BYTES, BackupContainer, ContainerError, connect
from scheduler.features.backup.locations import parse_location
from scheduler.stores.audit import AuditLog
from scheduler.stores.azure.opening import open_azure_tables
from tests.parts.azurite import Azurite
from tests.scheduler.backup.stores import ROWS, fill, filled_file
from tests.scheduler.cli.invocation import invoke

SOME_ROWS = {table: ROWS[table][:250] for table in ("pauses", "circuits", "history")}
NAME = re.compile(r"azure://\S+/prod/scheduler-\d{8}T\d{6}Z\.jsonl\.gz")


@pytest.fixture
def place(azurite: Azurite, storage_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A folder of a new container; the settings name the account, and the tables of a prefix as the store."""
    BlobServiceClient.from_connection_string(azurite.connection_string).create_container(storage_prefix)
    for name, value in azurite.settings(storage_prefix).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return f"azure://{storage_prefix}/prod"


def fill_tables(azurite: Azurite, prefix: str) -> None:
    """With the rows of SOME_ROWS, and three entries of the audit trail."""

    async def put() -> None:
        store = await open_azure_tables(connection_string=azurite.connection_string, prefix=prefix)
        await fill(store, SOME_ROWS)
        for number in range(3):
            await AuditLog(store).append({"action": "job.pause", "object": f"job {number}", "at": "2026-11-25T12:00Z"})
        await store.aclose()

    asyncio.run(put())


def open_container(azurite: Azurite, place: str) -> BackupContainer:
    location = parse_location(place)
    assert location is not None
    return connect(location, azurite.connection_string, None, None)


def blobs_of(azurite: Azurite, place: str) -> list[str]:
    container = place.removeprefix("azure://").partition("/")[0]
    client = BlobServiceClient.from_connection_string(azurite.connection_string).get_container_client(container)
    return [blob.name for blob in client.list_blobs(include=["uncommittedblobs"])]


def test_tables_are_backed_up_to_a_container_and_restored_into_both_stores(
    azurite: Azurite, storage_prefix: str, place: str, tmp_path: Path
) -> None:
    fill_tables(azurite, storage_prefix)
    made = json.loads(invoke("backup", "create", "--to", place, "--json").stdout)
    assert NAME.fullmatch(made["file"])
    assert made["rows"] == 256

    listed = invoke("backup", "list", place)
    assert [line.split("\t")[0] for line in listed.lines] == [made["file"]]
    verified = json.loads(invoke("backup", "verify", made["file"], "--json").stdout)

    for store in (f"azure:{storage_prefix}r", f"sqlite:///{tmp_path}/restored.db"):
        restored = invoke("backup", "restore", made["file"], "--store", store)
        assert (restored.code, restored.stdout) == (0, "")
        assert restored.stderr.startswith("restored 256 rows into ")
        again = json.loads(
            invoke("backup", "create", "--to", str(tmp_path / "again.jsonl"), "--store", store, "--json").stdout
        )
        assert again["tables"] == made["tables"] == verified["tables"]
    assert not list(tmp_path.glob("scheduler-backup-*"))


def test_the_audit_chain_of_a_restored_container_backup_is_valid(
    azurite: Azurite, storage_prefix: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_tables(azurite, storage_prefix)
    before = invoke("audit", "verify")
    made = json.loads(invoke("backup", "create", "--to", place, "--json").stdout)
    invoke("backup", "restore", made["file"], "--store", f"sqlite:///{tmp_path}/restored.db")
    monkeypatch.setenv("SCHEDULER_STORE", f"sqlite:///{tmp_path}/restored.db")
    after = invoke("audit", "verify")
    assert (before.code, after.code, after.stdout) == (0, 0, before.stdout)


async def test_a_sqlite_file_is_backed_up_to_the_configured_account(place: str, tmp_path: Path) -> None:
    store = f"sqlite:///{await filled_file(tmp_path / 'store.db')}"
    made = await asyncio.to_thread(invoke, "backup", "create", "--to", place, "--store", store)
    assert made.code == 0
    assert f"{place}/scheduler-" in made.stderr
    assert " written and read back in " in made.stderr


async def test_a_name_that_is_taken_is_refused_and_its_blob_unchanged(
    azurite: Azurite, place: str, tmp_path: Path
) -> None:
    container = open_container(azurite, place)
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(name.encode())
    await container.upload(tmp_path / "first", "same.jsonl.gz")
    with pytest.raises(ContainerError, match=r"prod/same.jsonl.gz exists already: nothing was overwritten"):
        await container.upload(tmp_path / "second", "same.jsonl.gz")
    copy = open_container(azurite, f"{place}/same.jsonl.gz")
    await copy.download(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"first"
    await copy.aclose()
    await container.aclose()


async def test_a_large_name_that_is_taken_is_refused_when_its_blocks_are_committed(
    azurite: Azurite, place: str, tmp_path: Path
) -> None:
    container = open_container(azurite, place)
    (tmp_path / "large").write_bytes(b"x" * (BLOCK_BYTES + 1))
    await container.upload(tmp_path / "large", "same.jsonl.gz")
    with pytest.raises(ContainerError, match="nothing was overwritten"):
        await container.upload(tmp_path / "large", "same.jsonl.gz")
    await container.aclose()


async def test_an_upload_that_breaks_leaves_no_backup(
    azurite: Azurite, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks are sent, and never committed."""
    (tmp_path / "large").write_bytes(b"x" * (2 * BLOCK_BYTES + 1))
    container = open_container(azurite, place)

    async def refuse(*_: object, **__: object) -> None:
        raise HttpResponseError("the connection was closed")

    monkeypatch.setattr(BlockBlobOperations, "commit_block_list", refuse)
    with pytest.raises(ContainerError, match="could not be written: the connection was closed"):
        await container.upload(tmp_path / "large", "broken.jsonl.gz")
    assert await container.list_backups() == []
    assert blobs_of(azurite, place) == ["prod/broken.jsonl.gz"], "the blocks that nobody sees"
    await container.aclose()


async def test_a_blob_that_differs_from_what_was_sent_is_reported(
    azurite: Azurite, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = open_container(azurite, place)
    (tmp_path / "file").write_bytes(b"content")
    upload = BlobClient.upload_blob

    async def corrupt(self: BlobClient, data: object, **options: object) -> object:
        return await upload(self, b"c0ntent", overwrite=False)

    monkeypatch.setattr(BlobClient, "upload_blob", corrupt)
    with pytest.raises(ContainerError, match="differs from what was sent: do not use it"):
        await container.upload(tmp_path / "file", "same.jsonl.gz")
    await container.aclose()


def test_a_list_without_a_new_backup_ends_with_1(azurite: Azurite, place: str) -> None:
    ended = invoke("backup", "list", place, "--max-age", "26h")
    assert (ended.code, ended.stdout) == (1, "")
    assert f"{place} has no backup that is newer than 26h" in ended.stderr


def test_a_missing_container_is_found_before_the_store_is_read(place: str) -> None:
    ended = invoke("backup", "create", "--to", "azure://no-such-container")
    assert (ended.code, ended.stdout) == (1, "")
    assert "azure://no-such-container could not be listed: The specified container does not exist" in ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        "azure://",
        "azure://UPPER/x",
        "azure://backups/../x",
        "https://example.com/backups",
        "s3://backups",
        "https:///x",
    ],
)
def test_a_place_that_is_none_ends_with_2(place: str, text: str) -> None:
    ended = invoke("backup", "create", "--to", text)
    assert ended.code == 2
    assert "expected a file, azure://CONTAINER[/FOLDER]" in ended.stderr


@given(st.text("ab-/.:z0", max_size=30))
def test_every_location_is_shown_as_it_is_parsed(rest: str) -> None:
    try:
        location = parse_location(f"azure://{rest}")
    except ValueError:
        return
    assert location is not None
    assert parse_location(location.shown) == location
