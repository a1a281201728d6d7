"""Backups in a blob container of Azure: their names, and how they are written, listed and read.

Called by scheduler.app.backup_opening for the command `backup`. A blob appears when its last block is committed, so
a backup is complete or does not exist. It is created on the condition that its name is free, and nothing here replaces
or deletes a blob: the lifecycle of the container does that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import ContainerClient

from jobs.problems import make_printable
from scheduler.features.backup.dump_file import file_error
from scheduler.features.backup.locations import ContainerLocation
from scheduler.features.backup.port import BackupError

BLOCK_BYTES = 8 * 1024 * 1024
"""Bytes that are sent or received at a time: a process with half a gigabyte has space for them."""


class ContainerError(BackupError):
    """A container cannot be read or written. The message names it and the cause."""


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """`location`: as the commands accept it."""

    location: str
    size: int
    made_at: datetime


class BackupContainer:
    """All methods raise ContainerError."""

    def __init__(self, client: ContainerClient, location: ContainerLocation) -> None:
        self._client = client
        self._location = location

    async def list_backups(self) -> list[StoredBackup]:
        """Return the backups whose names start with the folder of the location, newest first."""
        with self._naming("listed", "Reader"):
            found = [
                StoredBackup(self._location.join(blob.name), blob.size, blob.creation_time or blob.last_modified)
                async for blob in self._client.list_blobs(name_starts_with=self._location.folder)
                if blob.name.endswith((".jsonl", ".jsonl.gz"))
            ]
        return sorted(found, key=lambda backup: (backup.made_at, backup.location), reverse=True)

    async def upload(self, path: Path, name: str) -> None:
        """Create the blob with the content of the file, read it back and compare it."""
        blob = self._client.get_blob_client(self._location.folder + name)
        shown = self._location.join(blob.blob_name)
        with self._naming("written", "Contributor"), _reading(path) as file:
            try:
                await blob.upload_blob(file, length=os.fstat(file.fileno()).st_size, overwrite=False)
            except ResourceExistsError:
                raise ContainerError(f"{shown} exists already: nothing was overwritten; try again") from None
        digest, written = sha256(), sha256()
        with self._naming("read", "Reader"):
            async for part in (await blob.download_blob()).chunks():
                digest.update(part)
        with _reading(path) as file:
            while part := await asyncio.to_thread(file.read, BLOCK_BYTES):
                written.update(part)
        if digest.digest() != written.digest():
            raise ContainerError(f"{shown} differs from what was sent: do not use it, and make another backup")

    async def download(self, path: Path) -> None:
        """Write the content of the blob of the location to the file."""
        with self._naming("read", "Reader"):
            content = await self._client.download_blob(self._location.path)
            try:
                with path.open("wb") as file:
                    async for part in content.chunks():
                        await asyncio.to_thread(file.write, part)
            except OSError as error:
                raise file_error(path, "written", error) from error

    async def aclose(self) -> None:
        await self._client.close()

    @contextmanager
    def _naming(self, action: str, role: str) -> Iterator[None]:
        """Turn errors of the library into ContainerError."""
        try:
            yield
        except AzureError as error:
            first = make_printable(str(error).strip().split("\n", 1)[0], 200).rstrip(".")
            raise ContainerError(
                f"{self._location.shown} could not be {action}: {first}; check the name, the network, and that the "
                f"identity has the role Storage Blob Data {role} there"
            ) from None


def connect(
    location: ContainerLocation,
    connection_string: str | None,
    account_name: str | None,
    credential: AsyncTokenCredential | None,
) -> BackupContainer:
    """Connect to the container: in its own account, or in that of the connection string or name.

    Raises ValueError: the settings name no account.
    """
    sizes: dict[str, Any] = {
        "max_block_size": BLOCK_BYTES,
        "max_single_put_size": BLOCK_BYTES,
        "max_chunk_get_size": BLOCK_BYTES,
    }
    if not location.account_url and connection_string is not None:
        client = ContainerClient.from_connection_string(connection_string, location.container, **sizes)
        return BackupContainer(client, location)
    url = location.account_url or (f"https://{account_name}.blob.core.windows.net" if account_name else "")
    if not url or credential is None:
        raise ValueError(
            f"{location.shown}: no storage account is set: set AzureWebJobsStorage__accountName, "
            "or name the account: https://ACCOUNT.blob.core.windows.net/CONTAINER"
        )
    return BackupContainer(ContainerClient(url, location.container, credential=credential, **sizes), location)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise file_error(path, "read", error) from error
