"""`backup create`, `backup verify`, `backup restore` and `store move`."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scheduler.stores.sqlite.file_lock import FileLock
from tests.parts.http_server import Answer, Request
from tests.parts.threaded_server import serve_in_thread
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs


@pytest.fixture(autouse=True)
def _store(job_folder: Path) -> None:
    """With a pause and its entry of the audit trail."""
    write_jobs(job_folder, checkout_api={"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}})
    invoke("pause", "checkout-api", "--reason", "moving")


def pauses(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SCHEDULER_STORE", store)
    return invoke("jobs", "--state", "paused").stdout


def test_a_backup_is_made_verified_and_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump, restored = tmp_path / "dump.jsonl.gz", f"sqlite:///{tmp_path}/restored.db"

    made = invoke("backup", "create", "--to", str(dump))
    assert made.code == 0
    assert [line.split("\t") for line in made.lines] == [["pauses", "1"], ["changes", "3"], ["audit", "2"]]
    assert made.stderr.startswith(f"{dump}: 6 rows of ")
    assert " kB, written in " in made.stderr

    verified = invoke("backup", "verify", str(dump), "--json")
    fields = json.loads(verified.stdout)
    assert (verified.code, fields["rows"], fields["snapshot"], fields["bytes"]) == (0, 6, True, dump.stat().st_size)

    put_back = invoke("backup", "restore", str(dump), "--store", restored)
    assert (put_back.code, put_back.stdout) == (0, "")
    assert put_back.stderr.startswith(f"restored 6 rows into {restored} in ")
    assert invoke("audit", "verify").code == 0
    assert "checkout-api" in pauses(restored, monkeypatch)


def test_a_backup_reports_its_end_to_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[str] = []

    def answer(request: Request) -> Answer:
        requests.append(f"{request.method} {request.target}")
        return Answer()

    monkeypatch.setenv("BACKUP_PING_TOKEN", "token-of-the-heartbeat")
    with serve_in_thread(answer) as url:
        monkeypatch.setenv("BACKUP_PING", f"{url}/api/ping/")
        made = invoke("backup", "create", "--to", str(tmp_path / "dump.jsonl"))
        failed = invoke("backup", "create", "--to", str(tmp_path / "missing" / "dump.jsonl"))
    assert (made.code, failed.code) == (0, 1)
    path = "POST /api/ping/token-of-the-heartbeat"
    assert requests == [f"{path}/0", f"{path}/1"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/api/ping", "nonsense"])
def test_a_heartbeat_that_is_not_reached_is_a_warning_without_its_token(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_PING_TOKEN", "token-of-the-heartbeat")
    made = invoke("backup", "create", "--to", str(tmp_path / "dump.jsonl"), "--ping", address)
    assert (made.code, "the heartbeat of --ping was not reached" in made.stderr) == (0, True)
    assert "token-of" not in made.stderr


def test_a_restore_names_the_keys_that_become_valid(tmp_path: Path) -> None:
    invoke("keys", "create", "deploy", "--role", "admin")
    dump = tmp_path / "dump.jsonl"
    invoke("backup", "create", "--to", str(dump))
    restored = invoke("backup", "restore", str(dump), "--store", f"sqlite:///{tmp_path}/restored.db")
    assert restored.code == 0
    assert "the API accepts 1 key of the backup; `keys revoke NAME` ends a key:" in restored.stderr
    assert "  deploy (admin" in restored.stderr


def test_a_filled_store_is_refused_and_replaced_on_request(tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"
    invoke("backup", "create", "--to", str(dump))
    refused = invoke("backup", "restore", str(dump))
    assert refused.code == 1
    assert "has rows already (pauses, changes, audit): name another file, or add --replace" in refused.stderr
    replaced = invoke("backup", "restore", str(dump), "--replace")
    assert replaced.code == 0
    assert "the former file is " in replaced.stderr
    assert ".db.before-" in replaced.stderr


def test_a_damaged_file_ends_the_commands_with_1_and_the_line(tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"
    invoke("backup", "create", "--to", str(dump))
    dump.write_bytes(dump.read_bytes().replace(b"moving", b"mowing", 1))
    for words in (("verify",), ("restore", "--store", f"sqlite:///{tmp_path}/restored.db")):
        ended = invoke("backup", words[0], str(dump), *words[1:])
        assert (ended.code, ended.stdout) == (1, "")
        assert f"{dump}: line 2: its content does not match its checksum" in ended.stderr
    assert not (tmp_path / "restored.db").exists()


def test_a_terminal_shows_the_progress_and_the_time(tmp_path: Path) -> None:
    shown = invoke("backup", "create", "--to", str(tmp_path / "dump.jsonl"), terminal=True)
    assert "writing" in shown.stderr
    assert "6/6 rows" in shown.stderr
    assert "0:00:0" in shown.stderr


def test_the_default_name_has_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("backup", "create", "--store", os.environ["SCHEDULER_STORE"]).code == 0
    (made,) = tmp_path.glob("scheduler-*Z.jsonl.gz")
    assert made.name in invoke("backup", "verify", made.name).stderr


def test_a_store_is_moved_while_no_scheduler_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = os.environ["SCHEDULER_STORE"], f"sqlite:///{tmp_path}/moved.db"
    lock = FileLock(Path(source.removeprefix("sqlite:///")))
    assert lock.acquire(0.0)
    refused = invoke("store", "move", "--from", source, "--to", target)
    lock.release()
    assert (refused.code, f"is in use by a scheduler (process {os.getpid()}): stop that one" in refused.stderr) == (
        1,
        True,
    )

    moved = invoke("store", "move", "--from", source, "--to", target)
    assert (moved.code, moved.stdout) == (0, "")
    assert moved.stderr.startswith(f"copied 6 rows from {source} to {target} in ")
    assert pauses(target, monkeypatch) == pauses(source, monkeypatch)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backup", "create", "--store", "redis://x"), "--store: 'redis://x' is not a store: write sqlite:///FILE"),
        (("backup", "create", "--store", "azure:a-b"), "--store: expected a prefix of 3 to 31 letters and digits"),
        (("store", "move", "--from", "sqlite:///a.db", "--to", "sqlite:///a.db"), "are the same store"),
        (("backup", "verify", "missing.jsonl"), "missing.jsonl"),
    ],
)
def test_wrong_input_ends_a_command_with_2(words: tuple[str, ...], message: str) -> None:
    ended = invoke(*words)
    assert (ended.code, ended.stdout) == (2, "")
    assert message in ended.stderr


def test_a_store_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path}/missing.db"
    ended = invoke("backup", "create", "--store", missing, "--to", str(tmp_path / "dump.jsonl"))
    assert (ended.code, "missing.db does not exist" in ended.stderr) == (1, True)
    assert [path.name for path in tmp_path.glob("*.jsonl*")] == []
    assert not (tmp_path / "missing.db").exists()


def store_file() -> Path:
    return Path(os.environ["SCHEDULER_STORE"].removeprefix("sqlite:///"))


def test_a_store_is_checked() -> None:
    ended = invoke("store", "check")
    assert ended.code == 0
    assert set(ended.lines) >= {"pauses\t1", "changes\t3", "audit\t2"}
    assert f"{os.environ['SCHEDULER_STORE']}: schema 3; programs that know schema 2 can use it" in ended.stderr


def test_damage_is_found_by_a_check(tmp_path: Path) -> None:
    path = store_file()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        rows = [("history", "0", f"r~{number:05d}", 1, "x" * 200) for number in range(3000)]
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    ended = invoke("store", "check")
    assert (ended.code, "damaged" in ended.stderr) == (1, True)


def test_a_part_of_a_backup_is_found_by_a_check() -> None:
    with closing(sqlite3.connect(store_file())) as connection:
        connection.execute(
            "INSERT INTO rows VALUES ('health', 'restore', 'progress', 1, ?)", ('{"file":"x","rows":7}',)
        )
        connection.commit()
    ended = invoke("store", "check")
    assert (ended.code, "only a part of a backup: its restore ended after 7 rows" in ended.stderr) == (1, True)


def test_an_older_store_is_upgraded_with_a_report() -> None:
    with closing(sqlite3.connect(store_file())) as connection:
        connection.execute("DELETE FROM meta WHERE name IN ('expanded', 'written')")
        connection.commit()
    assert "schema 2, this program writes schema 3" in invoke("store", "check").stderr

    ended = invoke("store", "upgrade")

    assert (ended.code, ended.stdout) == (0, "")
    first, second, third = ended.stderr.splitlines()
    assert first.endswith(": upgrading from schema 2 to 3")
    assert ": upgraded to schema 3 in " in second
    assert third.endswith(": up to date")
    assert len(invoke("store", "upgrade").stderr.splitlines()) == 1
