"""Looking again at a place of job files: what counts as changed, and what is read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import ConfigurationError
from config.identity import AppIdentity
from config.job_files.sources import ContainerSource, FolderSource, open_job_file_source
from config.loading import Configuration, load_configuration
from config.settings.model import Settings
from tests.parts.azurite import Azurite
from tests.project import ROOT

OLD = 1_700_000_000


def write(file: Path, *names: str, url: str = "http://127.0.0.1:9/") -> None:
    file.write_text(text(*names, url=url))


def text(*names: str, url: str = "http://127.0.0.1:9/") -> str:
    return json.dumps({"jobs": {name: {"check": {"url": url}} for name in names}})


def age(*files: Path, seconds: float = 0) -> None:
    """Written long ago, so that another time stamp is certain to differ."""
    for file in files:
        os.utime(file, (OLD + seconds, OLD + seconds))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "jobs"
    path.mkdir()
    write(path / "a.json", "a")
    age(path / "a.json")
    return path


def configured(folder: Path) -> Configuration:
    return load_configuration({"SCHEDULER_JOBS": str(folder)}, root=ROOT)


def source_of(folder: Path) -> FolderSource:
    return FolderSource(configured(folder).job_loader, folder)


async def test_files_that_stay_are_read_once(folder: Path) -> None:
    source = source_of(folder)
    first = await source.has_changed()
    jobs = await source.read()

    assert (first, await source.has_changed()) == (True, False)
    assert list(jobs.jobs) == ["a"]
    assert jobs.digest == configured(folder).jobs.digest


async def test_an_edit_gives_another_set_with_the_other_files_jobs_as_they_were(folder: Path) -> None:
    write(folder / "b.json", "b")
    source = source_of(folder)
    before = await source.read()
    write(folder / "b.json", "b", url="http://127.0.0.1:9/new")

    assert await source.has_changed()
    after = await source.read()

    assert after.jobs["a"] is before.jobs["a"]
    assert after.jobs["b"].check.endpoint.endswith("/new")
    assert after.digest != before.digest


@pytest.mark.parametrize("change", ["added", "removed", "replaced", "other time"])
async def test_whatever_happens_to_a_file_is_a_change(change: str, folder: Path) -> None:
    write(folder / "b.json", "b")
    age(folder / "b.json")
    source = source_of(folder)
    await source.read()
    if change == "added":
        write(folder / "c.json", "c")
    elif change == "removed":
        (folder / "b.json").unlink()
    elif change == "replaced":
        write(folder / ".new", "c")
        age(folder / ".new")
        os.replace(folder / ".new", folder / "b.json")
    else:
        age(folder / "b.json", seconds=1)

    assert await source.has_changed()


async def test_a_file_that_was_written_just_now_is_read_again_as_its_time_may_not_report(folder: Path) -> None:
    write(folder / "a.json", "b")
    source = source_of(folder)
    await source.read()

    assert await source.has_changed()


async def test_an_edit_of_the_same_size_that_retains_the_time_of_the_file_is_a_change(folder: Path) -> None:
    """As `rsync --times --inplace` makes it."""
    source = source_of(folder)
    await source.read()
    assert not await source.has_changed()
    before = (folder / "a.json").stat()

    write(folder / "a.json", "b")
    os.utime(folder / "a.json", ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (folder / "a.json").stat().st_size == before.st_size
    assert await source.has_changed()


@pytest.mark.parametrize(("ahead", "again"), [(60.0, True), (1e8, False)])
async def test_a_file_of_the_future_is_read_again_and_again_only_if_a_share_may_have_written_it_just_now(
    ahead: float, again: bool, folder: Path
) -> None:
    age(folder / "a.json", seconds=time.time() + ahead - OLD)
    source = source_of(folder)
    await source.read()

    assert await source.has_changed() is again


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
async def test_a_named_pipe_is_no_job_file_and_holds_nothing_up(folder: Path) -> None:
    os.mkfifo(folder / "b.json")
    with pytest.raises(ConfigurationError, match=r"b\.json: is not a file"):
        await source_of(folder).read()


async def test_a_swap_of_links_as_a_config_map_does_it_is_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    for version in ("v1", "v2"):
        (folder / f"..{version}").mkdir(parents=True)
        write(folder / f"..{version}" / "a.json", version)
        age(folder / f"..{version}" / "a.json")
    (folder / "..data").symlink_to("..v1")
    (folder / "a.json").symlink_to("..data/a.json")
    source = source_of(folder)
    before = await source.read()
    (folder / "..tmp").symlink_to("..v2")
    os.replace(folder / "..tmp", folder / "..data")

    assert await source.has_changed()
    assert (list(before.jobs), list((await source.read()).jobs)) == (["v1"], ["v2"])


async def test_a_folder_that_is_gone_is_a_problem_and_back_again_none(folder: Path, tmp_path: Path) -> None:
    source = source_of(folder)
    await source.read()
    os.rename(folder, tmp_path / "elsewhere")
    assert await source.has_changed()
    with pytest.raises(ConfigurationError, match="does not exist"):
        await source.read()
    os.rename(tmp_path / "elsewhere", folder)

    assert list((await source.read()).jobs) == ["a"]


@pytest.mark.parametrize("place", ["folder", "file"])
async def test_a_save_is_hinted_at_soon(place: str, folder: Path) -> None:
    path = folder if place == "folder" else folder / "a.json"
    source = FolderSource(configured(folder).job_loader, path)
    hints = source.change_hints()
    await anext(hints)  # by now it watches
    await source.read()
    write(folder / ".new", "b")
    os.replace(folder / ".new", folder / "a.json")
    async with asyncio.timeout(60):
        while not await source.has_changed():
            await anext(hints)
    await hints.aclose()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("b.yaml", True), ("..data", True), ("log.txt", False), ("scheduler.db-wal", False), ("deep/b.yaml", False)],
)
def test_only_changes_of_job_files_are_checked(name: str, meant: bool, folder: Path) -> None:
    assert source_of(folder)._is_job_change(folder / name, folder) is meant


def test_of_the_folder_of_a_single_file_only_that_file_counts(folder: Path) -> None:
    source = FolderSource(configured(folder).job_loader, folder / "a.json")
    assert source._is_job_change(folder / "a.json", folder)
    assert not source._is_job_change(folder / "b.json", folder)


def test_without_a_place_there_is_nothing_to_check(folder: Path) -> None:
    place = configured(folder).job_loader
    settings = place.loaded.settings.model_copy(update={"jobs": None})
    loaded = type(place.loaded)(settings, place.loaded.layers)

    assert open_job_file_source(type(place)(loaded, place.reader, place.root, None), AppIdentity(settings)) is None


# --- Container --------------------------------------------------------------------------------------------------------


class Uploading:
    """A container whose blobs are replaced while they are read: each listing is of the next version."""

    def __init__(self, *versions: str) -> None:
        self._versions = list(versions)

    async def list_etags(self) -> dict[str, str]:
        version = self._versions.pop(0) if len(self._versions) > 1 else self._versions[0]
        return {"a.json": version, "b.json": version}

    async def fetch_files(self, etags: dict[str, str]) -> list[str]:
        return [f"{name} {etag}" for name, etag in etags.items()]


class Whole:
    """A place that gives what was read."""

    def load(self, files: list[str]) -> list[str]:
        return files


@pytest.mark.parametrize(
    ("versions", "read", "again"),
    [("11", "1", False), ("122", "2", False), ("1234555", "5", False), ("123456789", "5", True)],
)
async def test_blobs_that_are_replaced_while_they_are_read_are_read_again(
    versions: str, read: str, again: bool, folder: Path
) -> None:
    source = ContainerSource(cast(Any, Whole()), AppIdentity(configured(folder).settings))
    source._container = cast(Any, Uploading(*versions))

    jobs = await source.read()

    assert jobs == [f"a.json {read}", f"b.json {read}"]
    assert await source.has_changed() is again


@pytest.fixture
async def container(azurite: Azurite, storage_prefix: str) -> AsyncIterator[Any]:
    from azure.storage.blob.aio import ContainerClient

    async with ContainerClient.from_connection_string(azurite.connection_string, storage_prefix) as client:
        await client.create_container()
        yield client


def of_container(azurite: Azurite, name: str, folder: str = "") -> dict[str, str]:
    return {
        "SCHEDULER_JOBS_CONTAINER": f"{azurite.blob_url}/{name}{folder}",
        "SCHEDULER_STORAGE__CONNECTION_STRING": azurite.connection_string,
    }


async def test_jobs_come_from_a_container_and_only_changed_blobs_are_fetched(
    container: Any, azurite: Azurite, storage_prefix: str
) -> None:
    await container.upload_blob("a.json", text("a"))
    await container.upload_blob("b.yaml", text("b"))
    await container.upload_blob("notes.txt", "no jobs")
    await container.upload_blob("folder/c.json", text("c"))
    env = of_container(azurite, storage_prefix)
    started = await asyncio.to_thread(load_configuration, env, root=ROOT)
    source = ContainerSource(started.job_loader, AppIdentity(started.settings))
    first = await source.read()
    same = await source.has_changed()
    await container.upload_blob("b.yaml", text("b", "d"), overwrite=True)
    fetched: list[str] = []
    opened = await source._open()
    download = opened._client.download_blob

    async def activity(name: str, **more: Any) -> Any:
        fetched.append(name)
        return await download(name, **more)

    opened._client.download_blob = activity  # type: ignore[method-assign, assignment]
    changed, second = await source.has_changed(), await source.read()
    await source.aclose()

    (nested,) = started.jobs.warnings
    assert nested.message.startswith(
        f"{azurite.blob_url}/{storage_prefix}/folder/c.json is not read, because it is in a"
    )
    assert list(started.jobs.jobs) == list(first.jobs) == ["a", "b"]
    assert started.jobs.digest == first.digest
    assert (same, changed) == (False, True)
    assert list(second.jobs) == ["a", "b", "d"]
    assert second.jobs["a"] is first.jobs["a"]
    assert fetched == ["b.yaml"]
    assert second.origins["a"] == f"{azurite.blob_url}/{storage_prefix}/a.json:1"


async def test_the_rest_of_the_url_is_a_folder_in_the_container(
    container: Any, azurite: Azurite, storage_prefix: str
) -> None:
    await container.upload_blob("a.json", text("a"))
    await container.upload_blob("team/c.json", text("c"))
    await container.upload_blob("teams.json", text("d"))

    env = of_container(azurite, storage_prefix, "/team")
    started = await asyncio.to_thread(load_configuration, env, root=ROOT)

    assert list(started.jobs.jobs) == ["c"]


PRESET = """{"description": "A site", "parameters": {"host": {"description": "name", "example": "a.example"}},
"job": {"schedule": "every 1m", "check": {"url": "https://<<host>>/"}}}"""


@pytest.mark.parametrize("folder", ["", "/team", "/presets"])
async def test_the_folder_presets_of_a_container_has_presets(
    container: Any, azurite: Azurite, storage_prefix: str, folder: str
) -> None:
    place = f"{folder[1:]}/" if folder else ""
    await container.upload_blob(f"{place}a.json", '{"jobs": {"a": {"preset": "site", "with": {"host": "b.example"}}}}')
    await container.upload_blob(f"{place}presets/site.json", PRESET)
    await container.upload_blob(f"{place}presets/more/c.json", text("c"))

    env = of_container(azurite, storage_prefix, folder)
    started = await asyncio.to_thread(load_configuration, env, root=ROOT)

    assert started.jobs.jobs["a"].check.endpoint == "https://b.example/"
    assert list(started.jobs.presets.own) == ["site"]
    assert "presets/more/c.json is not read" in started.jobs.warnings[0].message


async def test_a_container_that_is_missing_is_a_problem_with_its_url(azurite: Azurite, storage_prefix: str) -> None:
    env = of_container(azurite, f"{storage_prefix}-none")

    with pytest.raises(
        ConfigurationError, match=r"none: cannot be listed: .*container does not exist.*Blob Data Reader"
    ):
        await asyncio.to_thread(load_configuration, env, root=ROOT)


async def test_what_is_wrong_in_a_blob_is_reported_with_its_line(
    container: Any, azurite: Azurite, storage_prefix: str
) -> None:
    await container.upload_blob("a.yaml", "jobs:\n  a:\n    chek: {url: http://127.0.0.1/}\n")

    with pytest.raises(ConfigurationError, match=rf"{storage_prefix}/a\.yaml:3: jobs\.a\.chek: unknown key"):
        await asyncio.to_thread(load_configuration, of_container(azurite, storage_prefix), root=ROOT)


def test_a_folder_and_a_container_contradict_each_other(folder: Path) -> None:
    env = {"SCHEDULER_JOBS": str(folder), "SCHEDULER_JOBS_CONTAINER": "https://a.blob.core.windows.net/jobs"}

    with pytest.raises(
        ConfigurationError, match="SCHEDULER_JOBS_CONTAINER: SCHEDULER_JOBS sets another location of jobs"
    ):
        load_configuration(env, root=ROOT)


def test_a_container_with_a_signature_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must not have a query"):
        load_configuration({"SCHEDULER_JOBS_CONTAINER": "https://a.blob.core.windows.net/jobs?sig=secret"}, root=ROOT)


def test_settings_know_no_container_by_default() -> None:
    assert Settings(environment="dev").jobs_container is None
