"""Stand-ins for the base images of Python and of Microsoft, made of Debian's packages by debootstrap.

Python's has python3 and pip. That of Microsoft has a host in addition, tests/image/stand_in/functions_host.py, which
serves the app in Microsoft's worker package. The unpacked packages are cached in .tools/image.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.image.built.workshop import Workshop
from tests.project import ROOT

RELEASE = "trixie"
"""Debian 13, whose Python is 3.13."""
PACKAGES = ("ca-certificates", "python3", "python3-pip")
UNUSED = ("./var/cache/apt", "./usr/share/doc", "./usr/share/locale", "./usr/share/man")
PYTHON_BASE, FUNCTIONS_BASE = "localhost/stand-in/python:3.13", "localhost/stand-in/functions:4-python3.13"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST = "/azure-functions-host"
PARTS = ("__init__.py", "functions_host.py", "functions_worker.py", "worker_messages.py")
MACHINE_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
"""How pip reaches its index from this machine."""
_MIRROR = re.compile(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(\S+)", re.MULTILINE)


def make_bases(workshop: Workshop) -> None:
    """Build both images."""
    tree = cached_tree(workshop)
    container = workshop.read("buildah", "from", "scratch")
    workshop.run("buildah", "add", container, tree, "/")
    for file in filter(Path.is_file, map(Path, MACHINE_FILES)):
        workshop.run("buildah", "copy", container, file, str(file))
    workshop.run("buildah", "config", "--env", f"PATH={PATH}", container)
    workshop.run("buildah", "commit", container, PYTHON_BASE)
    workshop.run("buildah", "copy", container, host_files(workshop.folder / "host"), HOST)
    start = f"PYTHONPATH=$PYTHONPATH:{HOST} exec python3 {HOST}/start.py"
    workshop.run("buildah", "config", "--cmd", json.dumps(["/bin/sh", "-c", start]), container)
    workshop.run("buildah", "commit", "--rm", container, FUNCTIONS_BASE)


def host_files(folder: Path) -> Path:
    """Copy the host and what it imports of the tests."""
    parts = folder / "tests" / "parts"
    parts.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "__init__.py", folder / "tests")
    for name in PARTS:
        shutil.copy(ROOT / "tests" / "parts" / name, parts)
    shutil.copy(ROOT / "tests" / "image" / "stand_in" / "functions_host.py", folder / "start.py")
    return folder


def cached_tree(workshop: Workshop) -> Path:
    """Return an archive of the file system; it is made once for this machine."""
    archive = ROOT / ".tools" / "image" / f"{RELEASE}-{'-'.join(PACKAGES)}.tar"
    if not archive.exists():
        folder = workshop.folder / "debian"
        mirror = next(find_mirrors())
        options = ("--variant=minbase", f"--include={','.join(PACKAGES)}")
        workshop.run("debootstrap", *options, RELEASE, folder, mirror)
        archive.parent.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part")
        excluded = [f"--exclude={each}" for each in UNUSED]
        workshop.run("tar", *excluded, "-C", folder, "-cf", part, ".")
        part.rename(archive)
        shutil.rmtree(folder)
    return archive


def find_mirrors() -> Iterator[str]:
    """Yield the mirrors that apt uses here."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if file.is_file():
            yield from (found[1] for found in _MIRROR.finditer(file.read_text()))
