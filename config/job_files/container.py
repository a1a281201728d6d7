"""Job files in a blob container: their ETags, and the content of changed ones.

Made by config.loading for the start, and by config.job_files.sources for changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import unquote, urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from config.azure_clients import create_client_options
from config.documents.document import MAX_FILE_BYTES
from config.errors import ConfigurationError
from config.identity import AppIdentity
from config.job_files.job_set import JobFile
from config.job_files.reader import is_job_path
from config.settings.model import Settings
from jobs.problems import Problem, make_printable

BLOB_TIMEOUT = 10.0
"""Seconds for one listing, or one blob."""
_MAX_CONCURRENT_DOWNLOADS = 8
"""Blobs that are fetched at a time."""


class JobContainer:
    """The container of the setting `jobs_container`. Not for concurrent use."""

    def __init__(self, settings: Settings, credential: AsyncTokenCredential | None) -> None:
        """`credential`: None with the account key of the settings."""
        self.url = (settings.jobs_container or "").rstrip("/")
        self._client, self._prefix = _open_client(self.url, settings, credential)
        self._cached: dict[str, tuple[str, bytes]] = {}

    async def list_etags(self) -> Mapping[str, str]:
        """Return the ETags of the job files by blob name, in order of names.

        Files in sub-folders are included, although `fetch_files` does not read them: the user is warned of each.

        Raises ConfigurationError: it cannot be listed.
        """
        try:
            async with asyncio.timeout(BLOB_TIMEOUT):
                etags = {
                    blob.name: blob.etag.strip('"')
                    async for blob in self._client.list_blobs(name_starts_with=self._prefix)
                }
        except (AzureError, TimeoutError) as error:
            hint = "check that it exists and that the app's identity has the role Storage Blob Data Reader there"
            raise ConfigurationError(
                [Problem("", f"cannot be listed: {_error_message(error)}", hint, self.url)]
            ) from None
        names = {name: name.removeprefix(self._prefix) for name in etags}
        return {name: etags[name] for name, rest in sorted(names.items()) if is_job_path(rest)}

    async def fetch_files(self, etags: Mapping[str, str]) -> list[JobFile]:
        """Return the contents. Only blobs with a new ETag are downloaded."""
        downloads = asyncio.Semaphore(_MAX_CONCURRENT_DOWNLOADS)

        async def fetch_file(name: str, etag: str) -> JobFile:
            path = name.removeprefix(self._prefix)
            file = JobFile(path, f"{self.url}/{path}", None)
            if "/" in path and not file.is_preset:
                return file
            async with downloads:
                return file._replace(content=await self._fetch_content(name, etag, file.display_name))

        files = await asyncio.gather(*(fetch_file(name, etag) for name, etag in etags.items()))
        self._cached = {name: cached for name, cached in self._cached.items() if name in etags}
        return files

    async def _fetch_content(self, name: str, etag: str, shown: str) -> bytes | Problem:
        cached = self._cached.get(name)
        if cached is not None and cached[0] == etag:
            return cached[1]
        try:
            async with asyncio.timeout(BLOB_TIMEOUT):
                blob = await self._client.download_blob(name, length=MAX_FILE_BYTES + 1, offset=0)
                content = await blob.readall()
        except (AzureError, TimeoutError) as error:
            return Problem("", f"cannot be read: {_error_message(error)}", file=shown)
        if len(content) > MAX_FILE_BYTES:
            return Problem(
                "", f"is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB", "split it into several files", shown
            )
        self._cached[name] = (blob.properties.etag.strip('"'), content)  # a listing gives them without quotes
        return content

    async def __aenter__(self) -> JobContainer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.close()


def fetch_job_files(settings: Settings) -> list[JobFile]:
    """Download the container's files, in a thread without an event loop. Raises ConfigurationError."""

    async def fetch() -> list[JobFile]:
        identity = AppIdentity(settings)
        try:
            async with await open_container(settings, identity) as container:
                return await container.fetch_files(await container.list_etags())
        finally:
            await identity.aclose()

    return asyncio.run(fetch())


async def open_container(settings: Settings, identity: AppIdentity) -> JobContainer:
    """Open the container of the settings, with the connection string of `storage` if that is its account's."""
    return JobContainer(settings, None if _has_account_key(settings) else await identity.open_credential())


def _has_account_key(settings: Settings) -> bool:
    url, account = settings.jobs_container or "", _account_client(settings)
    return account is not None and url.startswith(f"{account.url.rstrip('/')}/")


def _account_client(settings: Settings) -> BlobServiceClient | None:
    text = settings.storage.connection_string
    return None if text is None else BlobServiceClient.from_connection_string(text.get_secret_value())


def _open_client(url: str, settings: Settings, credential: AsyncTokenCredential | None) -> tuple[ContainerClient, str]:
    """Open the client; return it with the prefix of the blobs' names."""
    account, text = _account_client(settings) if credential is None else None, settings.storage.connection_string
    if account is not None and text is not None:
        container, _, prefix = unquote(url[len(account.url.rstrip("/")) + 1 :]).partition("/")
        client = ContainerClient.from_connection_string(
            text.get_secret_value(), container, **create_client_options(settings)
        )
        return client, _as_folder(prefix)
    parts = urlsplit(url)
    container, _, prefix = unquote(parts.path.lstrip("/")).partition("/")
    client = ContainerClient(
        f"{parts.scheme}://{parts.netloc}", container, credential=credential, **create_client_options(settings)
    )
    return client, _as_folder(prefix)


def _as_folder(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""


def _error_message(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {BLOB_TIMEOUT:g} s"
    return make_printable(str(error).strip().split("\n", 1)[0], 200)
