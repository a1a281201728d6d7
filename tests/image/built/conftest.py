"""The workshop, the base images, and both images of two checkouts; each is made once for the stage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.built.bases import make_bases
from tests.image.built.images import BuiltImage, build_image, copy_sources
from tests.image.built.workshop import Workshop, close_workshop, open_workshop

VARIABLE = "IMAGE_STAGE"
"""Names the folder in which the stage works. `./dev image` sets it."""

if VARIABLE not in os.environ:
    collect_ignore_glob = ["test_*.py"]

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="session")
def workshop() -> Iterator[Workshop]:
    folder = Path(os.environ[VARIABLE])
    opened = open_workshop(folder)
    make_bases(opened)
    yield opened
    close_workshop(opened)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def checkouts(workshop: Workshop) -> tuple[Path, Path]:
    """The same sources twice, with other modes and file times."""
    first = copy_sources(workshop.folder / "first", mode=0o644, age=1_700_000_000)
    return first, copy_sources(workshop.folder / "second", mode=0o600, age=1_750_000_000)


@pytest.fixture(scope="session")
def functions_image(workshop: Workshop, checkouts: tuple[Path, Path]) -> BuiltImage:
    return build_image(workshop, "functions", checkouts[0])


@pytest.fixture(scope="session")
def embedded_image(workshop: Workshop, checkouts: tuple[Path, Path]) -> BuiltImage:
    return build_image(workshop, "embedded", checkouts[0])


@pytest.fixture(params=["functions_image", "embedded_image"])
def image(request: pytest.FixtureRequest) -> BuiltImage:
    found: BuiltImage = request.getfixturevalue(request.param)
    return found
