"""The bench runs other programs beside ours, and measures them by what the target sees."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench._heavy import theirs
from bench._lateness import Load
from bench._peers import Peer, blackbox, gatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benches read /proc")

STAND_INS = Path(__file__).with_name("stand_ins.py")
JOBS, EVERY = 4, 1


def program(folder: Path, name: str) -> Path:
    """A stand-in as a file to run."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_INS}" {name} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("peer", [gatus, blackbox])
def test_a_peer_requests_the_targets_and_is_measured(tmp_path: Path, peer: Callable[[Path], Peer]) -> None:
    measured = theirs(peer(program(tmp_path, peer.__name__)), Load(JOBS, EVERY, burst=False), seconds=2)
    assert JOBS <= measured.checks <= 3 * JOBS
    assert measured.rss_mib > 0
    assert measured.gaps[1] < 900


def test_a_program_that_cannot_be_started_is_reported_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nothing-here cannot be started: No such file"):
        theirs(gatus(tmp_path / "nothing-here"), Load(1, EVERY, burst=False), seconds=1)
