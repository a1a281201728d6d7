"""Requests as files: their order, their bounds, and that no process sends what another one sends or loses it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.exporters.spool_folder import SpooledRequest, SpoolFolder, describe_file, parse_file_name
from tests.project import ROOT

NOW = time.time()
MIB = 1024 * 1024


def request(text: str = "body", *, intake: str = "logs", age_s: float = 0.0, items: int = 1) -> SpooledRequest:
    return SpooledRequest(intake, text.encode(), items, NOW - age_s, NOW + 3600)


def drain(folder: SpoolFolder, intake: str = "logs") -> list[str]:
    bodies = []
    while (claim := folder.claim_oldest(intake)) is not None:
        bodies.append(claim.request.body.decode())
        claim.delete()
    return bodies


def test_requests_of_an_intake_are_claimed_oldest_first(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path / "spool", MIB)
    for text, age_s in (("second", 1.0), ("third", 0.5), ("first", 60.0)):
        folder.put(request(text, age_s=age_s))
    folder.put(request("other", intake="series"))
    assert drain(folder) == ["first", "second", "third"]
    assert drain(folder, "series") == ["other"]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_restarted_process_finds_what_an_earlier_one_has_left(tmp_path: Path) -> None:
    made = request("left", items=7)
    SpoolFolder(tmp_path, MIB).put(made)
    claim = SpoolFolder(tmp_path, MIB).claim_oldest("logs")
    assert claim is not None
    assert (claim.request.body, claim.request.items, int(claim.request.expires_at)) == (
        b"left",
        7,
        int(made.expires_at),
    )
    claim.delete()


def test_a_released_request_is_the_oldest_again(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, MIB)
    folder.put(request("first", age_s=1))
    folder.put(request("second"))
    claim = folder.claim_oldest("logs")
    assert claim is not None
    claim.release()
    assert drain(folder) == ["first", "second"]


def test_two_processes_do_not_send_the_same_request(tmp_path: Path) -> None:
    one = SpoolFolder(tmp_path, MIB)
    one.put(request("only"))
    other = SpoolFolder(tmp_path, MIB)
    claim = one.claim_oldest("logs")
    assert claim is not None
    assert other.claim_oldest("logs") is None
    claim.delete()
    assert other.claim_oldest("logs") is None


def test_a_request_that_another_process_has_sent_since_is_not_sent_again(tmp_path: Path) -> None:
    one = SpoolFolder(tmp_path, MIB)
    one.put(request("only"))
    other = SpoolFolder(tmp_path, MIB)
    assert drain(one) == ["only"]
    assert other.claim_oldest("logs") is None


def test_the_oldest_give_way_when_the_folder_is_full(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, 1000)
    lost = [folder.put(request(str(number) * 300, age_s=10 - number, items=number)) for number in range(1, 6)]
    assert lost == [0, 0, 0, 1, 2]
    assert [body[0] for body in drain(folder)] == ["3", "4", "5"]


def test_files_are_readable_by_their_user_alone(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path / "spool", MIB)
    folder.put(request())
    (file,) = (tmp_path / "spool").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


def test_a_file_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, MIB)
    folder.put(request("whole", age_s=1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"wh")
    folder.put(request("next"))
    assert drain(folder) == ["next"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_did_not_finish_to_write_is_removed_later(tmp_path: Path) -> None:
    old, new = tmp_path / "a.new", tmp_path / "b.new"
    old.touch()
    new.touch()
    os.utime(old, (NOW - 3600, NOW - 3600))
    SpoolFolder(tmp_path, MIB)
    assert list(tmp_path.iterdir()) == [new]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    folder = SpoolFolder(tmp_path, MIB)
    assert drain(folder) == []
    assert (tmp_path / "notes.txt").exists()


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        SpoolFolder(tmp_path / "link", MIB)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exists"):
        SpoolFolder(tmp_path / "file", MIB)


@given(
    st.integers(0, 10**11),
    st.integers(0, 2**32 - 1),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.sampled_from(["logs", "custom_events"]),
)
def test_the_name_of_a_file_says_what_is_needed(
    made_at: int, number: int, items: int, expires_at: int, intake: str
) -> None:
    file = describe_file(SpooledRequest(intake, b"body", items, made_at, expires_at), number, "0a1b2c3d")
    assert parse_file_name(file.name) == file


KILLED = """
import os, signal, sys
from pathlib import Path
from observability.exporters import spool_folder as module
from observability.exporters.spool_folder import SpooledRequest, SpoolFolder

root = Path(sys.argv[1])

def put_and_send(path, sent):
    folder = SpoolFolder(path, 2**20)
    for text in ("a", "b"):
        folder.put(SpooledRequest("logs", text.encode(), 1, 1.0 + ord(text), 2.0**40))
        os.write(sent, text.encode())          # acknowledged from here on
    while (claim := folder.claim_oldest("logs")) is not None:
        os.write(sent, claim.request.body.upper())
        claim.delete()

def kill_at(line):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename != module.__file__:
            return None
        count += event == "line"
        if count == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

for line in range(1, 10_000):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        kill_at(line)
        put_and_send(root / str(line), writer)
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    told = os.read(reader, 100).decode()
    os.close(reader)
    folder, left = SpoolFolder(root / str(line), 2**20), ""
    while (claim := folder.claim_oldest("logs")) is not None:
        left += claim.request.body.decode()
        claim.delete()
    for text in "ab":
        if text in told:
            assert text in left or text.upper() in told, (line, told, left)
        assert left.count(text) <= 1, (line, told, left)
    # What was sent before the kill can be left in the one request in flight, and in no other.
    assert sum(text.upper() in told and text in left for text in "ab") <= 1, (line, told, left)
    if status == 0:
        print("killed at", line - 1, "lines")
        break
"""


def test_a_process_that_is_killed_at_any_line_loses_no_request(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[2]) > 60
