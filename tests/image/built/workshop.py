"""The storage of images in a folder, and the programs that work on it: buildah, podman with runc, skopeo.

Nothing of the machine's own storage is read or changed. Containers share the machine's network: tests reach them on
loopback, and they reach the tests' servers.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workshop:
    """`folder`: of images and configuration."""

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }

    def run(self, *words: str | Path, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(word) for word in words]
        done = subprocess.run(command, cwd=cwd, env=self.environment, text=True, capture_output=True)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        return done

    def read(self, *words: str | Path) -> str:
        return self.run(*words).stdout.strip()


def open_workshop(folder: Path) -> Workshop:
    """Write the configuration. The driver is overlay where the file system of the folder can be its lower part."""
    folder.mkdir(parents=True, exist_ok=True)
    limits = [
        f'"{name}={hard}:{hard}"'
        for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
        if (hard := resource.getrlimit(number)[1]) != resource.RLIM_INFINITY
    ]
    engine = [
        'runtime = "runc"',
        'cgroup_manager = "cgroupfs"',
        'events_logger = "none"',
        f'static_dir = "{folder}/libpod"',
        f'tmp_dir = "{folder}/libpod-tmp"',
    ]
    lines = ["[containers]", 'netns = "host"', f"default_ulimits = [{', '.join(limits)}]", "[engine]", *engine]
    (folder / "containers.conf").write_text("\n".join(lines) + "\n")
    workshop = Workshop(folder)
    for driver in ("overlay", "vfs"):
        roots = [f'graphroot = "{folder}/storage-{driver}"', f'runroot = "{folder}/run-{driver}"']
        (folder / "storage.conf").write_text("\n".join(["[storage]", f'driver = "{driver}"', *roots]) + "\n")
        if workshop.run("buildah", "from", "scratch", check=False).returncode == 0:
            return workshop
    raise AssertionError("buildah can use neither overlay nor vfs in this folder")


def close_workshop(workshop: Workshop) -> None:
    """Stop what runs, unmount, and leave the folder to be deleted."""
    with suppress(AssertionError):
        workshop.run("podman", "rm", "--all", "--force", "--time", "0")
        workshop.run("buildah", "rm", "--all")
