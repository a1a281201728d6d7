"""A change of the ConfigMap comes into force without a restart: the folder is changed as the kubelet changes it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.infra.kubernetes.manifests import build_overlay, one_of
from tests.parts.host import Host, embedded

JOB = {"schedule": "0 0 0 1 1 *", "check": {"kind": "tcp", "host": "127.0.0.1", "port": 9}}


class MountedConfigMap:
    """A folder with a version of the data, to which `..data` leads, and links to the files by way of it."""

    def __init__(self, folder: Path, data: dict[str, str]) -> None:
        self._folder = folder
        self._version = 0
        folder.mkdir()
        self._write(data)
        (folder / "..data").symlink_to("..version_1")
        for name in data:
            (folder / name).symlink_to(f"..data/{name}")

    def update(self, data: dict[str, str]) -> None:
        """Write the new version, swap `..data` by one rename, add and remove links, remove the old version."""
        old = (self._folder / "..data").resolve()
        before = {path.name for path in old.iterdir()}
        version = self._write(data)
        (self._folder / "..data_tmp").symlink_to(version)
        (self._folder / "..data_tmp").rename(self._folder / "..data")
        for name in data.keys() - before:
            (self._folder / name).symlink_to(f"..data/{name}")
        for name in before - data.keys():
            (self._folder / name).unlink()
        shutil.rmtree(old)

    def _write(self, data: dict[str, str]) -> str:
        self._version += 1
        version = f"..version_{self._version}"
        (self._folder / version).mkdir()
        for name, text in data.items():
            (self._folder / version / name).write_text(text)
        return version


def file_of(*names: str, port: int = 9) -> str:
    jobs = {name: {**JOB, "check": {**JOB["check"], "port": port}} for name in names}  # type: ignore[dict-item]
    return yaml.safe_dump({"jobs": jobs})


async def jobs_of(host: Host) -> set[str]:
    listed: dict[str, Any] = await host.get("/api/jobs")
    return {job["name"] for job in listed["jobs"]}


async def until(host: Host, expected: set[str]) -> None:
    async with asyncio.timeout(20):
        while await jobs_of(host) != expected:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def test_the_running_program_follows_the_config_map(tmp_path: Path) -> None:
    example = one_of(build_overlay("prod"), "ConfigMap")["data"]["example.yaml"]
    # Its job may be due meanwhile, as a minute of the clock can begin.
    data = {"example.yaml": example.replace("https://example.com/", "http://127.0.0.1:9/")}
    mounted = MountedConfigMap(tmp_path / "mounted", {**data, "b.yaml": file_of("b")})
    first = set(yaml.safe_load(example)["jobs"])
    async with embedded(tmp_path, None, SCHEDULER_JOBS=str(tmp_path / "mounted")) as host:
        assert await jobs_of(host) == first | {"b"}
        mounted.update({**data, "b.yaml": file_of("b", "c")})
        await until(host, first | {"b", "c"})
        mounted.update({"d.yaml": file_of("d", port=10)})
        await until(host, {"d"})
        mounted.update({"d.yaml": "jobs: {d: {retires: 1}}"})
        await host.logged("retires")
        assert await jobs_of(host) == {"d"}, "an invalid set never comes into force"
        mounted.update({"d.yaml": file_of("d", "e")})
        await until(host, {"d", "e"})
