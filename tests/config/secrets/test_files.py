"""Secrets come from mounted files, whose changes arrive without a restart."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from config.identity import AppIdentity
from config.secrets import SecretChain, build_secrets, files
from config.secrets.files import FILE_CHECK_INTERVAL
from config.settings.model import Settings
from config.settings.variables import MAX_SECRET_BYTES
from jobs.errors import SecretUnavailable
from jobs.redaction import Redactor
from tests.config.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mounted"
    folder.mkdir()
    return folder


def chain(folder: Path, clock: ManualClock, redactor: Redactor | None = None, **environ: str) -> SecretChain:
    settings = Settings(environment="prod", secrets_folder=folder)
    return build_secrets(settings, AppIdentity(settings), redactor or Redactor(), clock, environ=environ)


async def reported(secrets: SecretChain, name: str = "a") -> str:
    with pytest.raises(SecretUnavailable) as caught:
        await secrets.get_secret(name)
    return str(caught.value)


async def read_first(secrets: SecretChain) -> str:
    """Return the secret `a`. On a busy machine its first read takes longer than a run waits for it."""
    async with asyncio.timeout(60):
        while True:
            with suppress(SecretUnavailable):
                return await secrets.get_secret("a")


@pytest.mark.parametrize("content", [b"value", b"value\n", b"value\r\n", b"\xef\xbb\xbfvalue\n"])
async def test_a_file_holds_a_secret_with_or_without_a_last_line_end(
    content: bytes, folder: Path, clock: ManualClock
) -> None:
    (folder / "checkout-token").write_bytes(content)
    assert await chain(folder, clock).get_secret("checkout-token") == "value"


async def test_only_the_last_line_end_is_accepted_off(folder: Path, clock: ManualClock) -> None:
    (folder / "key").write_text("line 1\nline 2\n\n")
    assert await chain(folder, clock).get_secret("key") == "line 1\nline 2\n"


@pytest.mark.parametrize(("file", "name"), [("a_b", "a-b"), ("a-b", "a_b"), ("a-b", "a-b")])
async def test_hyphen_and_underscore_are_alike(file: str, name: str, folder: Path, clock: ManualClock) -> None:
    (folder / file).write_text("value")
    assert await chain(folder, clock).get_secret(name) == "value"


async def test_a_variable_goes_before_the_file(folder: Path, clock: ManualClock) -> None:
    (folder / "a").write_text("of-the-file")
    assert await chain(folder, clock, SCHEDULER_SECRET_A="of-the-variable").get_secret("a") == "of-the-variable"


async def test_the_value_of_a_file_is_registered_with_the_redactor(folder: Path, clock: ManualClock) -> None:
    (folder / "a").write_text("of-the-file")
    redactor = Redactor()
    await chain(folder, clock, redactor).get_secret("a")
    assert redactor.redact("of-the-file") == "***"


async def test_a_changed_file_is_read_without_a_restart(folder: Path, clock: ManualClock) -> None:
    (folder / "a").write_text("old")
    secrets = chain(folder, clock)
    assert await secrets.get_secret("a") == "old"
    (folder / "a").write_text("new")
    assert await secrets.get_secret("a") == "old"
    clock.passed += FILE_CHECK_INTERVAL
    assert await secrets.get_secret("a") == "new"


async def test_a_folder_that_is_swapped_by_its_link_is_read_again(folder: Path, clock: ManualClock) -> None:
    """As Kubernetes does: the file links into ..data, which links to the folder of the newest version."""
    for version, value in (("..1", "first"), ("..2", "other")):
        (folder / version).mkdir()
        (folder / version / "a").write_text(value)
        os.utime(folder / version / "a", (1, 1))
    (folder / "..data").symlink_to("..1")
    (folder / "a").symlink_to("..data/a")
    secrets = chain(folder, clock)
    assert await secrets.get_secret("a") == "first"
    (folder / "..next").symlink_to("..2")
    (folder / "..next").replace(folder / "..data")
    clock.passed += FILE_CHECK_INTERVAL
    assert await secrets.get_secret("a") == "other"


async def test_a_file_that_comes_later_is_found(folder: Path, clock: ManualClock) -> None:
    secrets = chain(folder, clock)
    await reported(secrets)
    (folder / "a").write_text("value")
    clock.passed += FILE_CHECK_INTERVAL
    assert await secrets.get_secret("a") == "value"


async def test_many_runs_that_request_first_all_get_it(folder: Path, clock: ManualClock) -> None:
    (folder / "a").write_text("value")
    secrets = chain(folder, clock)
    assert await asyncio.gather(*(secrets.get_secret("a") for _ in range(20))) == ["value"] * 20


async def test_a_path_never_leaves_the_folder(folder: Path, tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "outside").write_text("not for jobs")
    (folder / "a").symlink_to(tmp_path / "outside")
    assert await reported(chain(folder, clock)) == (
        f"secret a: {folder / 'a'} is a link out of the folder; secrets are read from the folder only"
    )


async def test_what_cannot_be_a_secret_is_reported(folder: Path, clock: ManualClock) -> None:
    (folder / "large").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "empty").write_text("\n")
    (folder / "folder").mkdir()
    (folder / "lost").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    secrets = chain(folder, clock)
    assert "has more than 64 KiB" in await reported(secrets, "large")
    assert "is not UTF-8 text" in await reported(secrets, "binary")
    assert "is empty" in await reported(secrets, "empty")
    assert "is not a file" in await reported(secrets, "folder")
    assert "is a link to a file that does not exist" in await reported(secrets, "lost")
    assert "is not a file" in await reported(secrets, "pipe")
    assert {trouble.name for trouble in secrets.health()} == {"large", "binary", "empty", "folder", "lost", "pipe"}


async def test_a_file_without_permission_is_reported(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a").write_text("value")
    secrets = chain(folder, clock)

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:  # root, who may run the tests, is refused nothing
        patched.setattr("config.secrets.files.os.open", refused)
        assert "is not readable by the program's user" in await reported(secrets)


async def test_a_reference_that_no_one_resolved_is_no_secret_and_makes_the_app_unready(
    folder: Path, clock: ManualClock
) -> None:
    (folder / "a").write_text("@Microsoft.KeyVault(SecretUri=https://v/secrets/a)\n")
    secrets = chain(folder, clock)
    sentence = (
        f"{folder / 'a'}: its Key Vault reference is not resolved; check that the secret exists "
        "and that the app's identity may read it"
    )
    assert await reported(secrets) == f"secret a: {sentence}"
    assert await secrets.unresolved() == (sentence,)


async def test_without_folder_file_and_vault_every_way_is_reported(folder: Path, clock: ManualClock) -> None:
    assert await reported(chain(folder / "none", clock), "my-key") == (
        "secret my-key: the variable SCHEDULER_SECRET_MY_KEY is not set, "
        f"{folder / 'none'} has no file of that name, and no Key Vault is configured; "
        "mount the file, or set the variable or SCHEDULER_KEY_VAULT_URL"
    )


async def test_a_refused_file_is_checked_at_once(folder: Path, clock: ManualClock) -> None:
    (folder / "a").write_text("old")
    secrets = chain(folder, clock)
    await secrets.get_secret("a")
    still = await secrets.refresh_rejected("a", "old")
    assert not still.is_changed
    assert still.message == f"the secret a is unchanged in the file {folder / 'a'} since 2026-01-01 00:00:00Z"
    (folder / "a").write_text("new")
    assert (await secrets.refresh_rejected("a", "old")).is_changed
    assert await secrets.get_secret("a") == "new"


class Hanging:
    """Looks at files hang while it is closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.looks = 0
        self._content = files._read_content
        monkeypatch.setattr(files, "_read_content", self._look)
        monkeypatch.setattr(files, "FILE_CHECK_TIMEOUT", 0.02)

    def _look(self, *arguments: Any) -> Any:
        self.looks += 1
        self.open.wait()
        return self._content(*arguments)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    hanging = Hanging(monkeypatch)
    hanging.open.set()
    yield hanging
    hanging.open.set()


async def test_while_the_folder_hangs_the_last_known_value_is_used_and_one_read_waits_for_it(
    folder: Path, clock: ManualClock, hanging: Hanging
) -> None:
    (folder / "a").write_text("old")
    secrets = chain(folder, clock)
    assert await read_first(secrets) == "old"
    (folder / "a").write_text("newer")

    hanging.open.clear()
    for _ in range(20):
        clock.passed += FILE_CHECK_INTERVAL
        assert await secrets.get_secret("a") == "old"
        assert not (await secrets.refresh_rejected("a", "old")).is_changed
    looks = hanging.looks
    hanging.open.set()

    async with asyncio.timeout(60):
        while await secrets.get_secret("a") != "newer":
            clock.passed += FILE_CHECK_INTERVAL
    assert looks == 2


async def test_a_secret_that_was_never_read_cannot_be_had_while_the_folder_hangs(
    folder: Path, clock: ManualClock, hanging: Hanging
) -> None:
    (folder / "a").write_text("value")
    hanging.open.clear()

    assert await reported(chain(folder, clock)) == f"secret a: {folder} does not answer; check its mount"
