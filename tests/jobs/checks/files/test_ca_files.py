"""The files that jobs name as `ca_file`, which may be anything."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from jobs.checks.errors import CaFileUnusable
from jobs.checks.files import FileSignature
from jobs.checks.net import tls_contexts as ca_files
from jobs.checks.net.tls_contexts import MAX_CA_FILE, MAX_CONCURRENT_READS, CaFiles, TlsContexts
from jobs.targets.http import TlsOptions
from tests.parts.tls import authority


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


async def problem_with(files: CaFiles, path: Path | str) -> str:
    """As a run says it; `validate` says the same."""
    with pytest.raises(CaFileUnusable) as caught:
        await files.load(str(path))
    output = str(caught.value).removeprefix(f"The CA file {path} of this target cannot be used: ").removesuffix(".")
    assert output == files.describe_problem(str(path))
    return output


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_large(path: Path) -> None:
    path.write_bytes(trustme.CA().cert_pem.bytes() + b"#" * MAX_CA_FILE)


def make_damaged(path: Path) -> None:
    path.write_text("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n")


def make_unreadable(path: Path) -> None:
    path.symlink_to(path)


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (make_pipe, "it is not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is not a regular file"),
    "folder": (Path.mkdir, "it is a directory"),
    "missing": (lambda path: None, "no such file or directory"),
    "large": (make_large, "it is larger than 1 MiB"),
    "text": (lambda path: path.write_text("no PEM"), "it contains no certificate in PEM form"),
    "damaged": (make_damaged, "it contains a damaged certificate"),
    "circle": (make_unreadable, "too many levels of symbolic links"),
}


@pytest.mark.parametrize("kind", UNFIT)
async def test_what_is_no_ca_file_is_refused_at_once_with_the_reason(tmp_path: Path, kind: str) -> None:
    make, message = UNFIT[kind]
    make(tmp_path / "ca.pem")
    known = (tmp_path, Path("/dev"))
    assert await problem_with(CaFiles(explained=known), tmp_path / "ca.pem") == message


async def test_outside_of_the_known_folders_every_reason_has_the_same_sentence(tmp_path: Path) -> None:
    output = set()
    for kind, (make, _) in UNFIT.items():
        make(tmp_path / kind)
        output.add(await problem_with(CaFiles(explained=[Path("/jobs")]), tmp_path / kind))
    (only,) = output
    assert only.startswith("it must be a regular file of at most 1 MiB that the program can read, with certificates")
    assert only.endswith("the exact reason is shown only for files in /jobs and the system's folders for them")


async def test_a_link_from_a_known_folder_to_elsewhere_reports_no_more(tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "ca.pem").symlink_to(tmp_path / "nothing")
    files = CaFiles(explained=[tmp_path / "known"])
    assert (await problem_with(files, tmp_path / "known" / "ca.pem")).startswith("it must be a regular file")


async def test_a_ca_file_may_be_anywhere_unless_folders_are_named(tmp_path: Path, certificate: Path) -> None:
    (tmp_path / "named").mkdir()
    os.link(certificate, tmp_path / "named" / "ca.pem")
    (tmp_path / "named" / "link.pem").symlink_to(certificate)
    assert len((await CaFiles().load(str(certificate))).certificates) == 1
    files = CaFiles([tmp_path / "named"])
    assert len((await files.load(str(tmp_path / "named" / "ca.pem"))).certificates) == 1
    refused = f"it is outside the folders of targets.ca_folders ({tmp_path / 'named'})"
    for path in (certificate, tmp_path / "nothing", tmp_path / "named" / "link.pem", tmp_path / "named/../ca.pem"):
        assert await problem_with(files, path) == refused


async def test_a_file_with_several_certificates_and_comments_is_trusted_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trusted = trustme.CA().cert_pem.bytes().replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")
    path.write_bytes("# F\u0151tan\u00fas\u00edtv\u00e1ny\n".encode() + authority().cert_pem.bytes() + trusted)
    context = await TlsContexts().get_context(TlsOptions(ca_file=str(path)))
    assert len(context.get_ca_certs()) == 2


async def test_a_file_is_read_again_only_when_it_has_changed(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, read = 0.0, []

    def certificates(content: bytes) -> tuple[str, ...]:
        read.append(content)
        return ("x",)

    monkeypatch.setattr(ca_files, "_parse_certificates", certificates)
    files = CaFiles(monotonic=lambda: now)
    for now in (0.0, 0.5, 1.0, 2.0):  # noqa: B007 - the lambda's
        await files.load(str(certificate))
    assert len(read) == 1
    trustme.CA().cert_pem.write_to_path(certificate)
    now = 3.0
    await files.load(str(certificate))
    assert len(read) == 2


# --- shares that hang ---


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every file hangs until the event is set."""
    answers, read = threading.Event(), ca_files.read_regular_file

    def read_late(path: str, most: int, known: FileSignature = ()) -> tuple[bytes | None, FileSignature]:
        answers.wait(60)
        return read(path, most, known)

    monkeypatch.setattr(ca_files, "read_regular_file", read_late)
    monkeypatch.setattr(ca_files, "CA_FILE_TIMEOUT", 0.02)
    yield answers
    answers.set()


async def test_a_share_that_hangs_is_not_waited_for(hanging: threading.Event, certificate: Path) -> None:
    files = CaFiles(explained=[certificate.parent])
    with pytest.raises(CaFileUnusable, match=r"it could not be read within 0.02 s; check how its folder is mounted"):
        await files.load(str(certificate))
    assert files.describe_problem(str(certificate), 0.02).startswith("it could not be read within")


async def test_shares_that_hang_take_a_bounded_number_of_threads_and_none_of_everybodys(
    hanging: threading.Event, tmp_path: Path
) -> None:
    files, before = CaFiles(), threading.active_count()
    for _ in range(2):
        requested = (files.load(str(tmp_path / f"{number}.pem")) for number in range(3 * MAX_CONCURRENT_READS))
        results = await asyncio.gather(*requested, return_exceptions=True)
        assert {type(result) for result in results} == {CaFileUnusable}
    assert threading.active_count() - before <= MAX_CONCURRENT_READS
    assert await asyncio.to_thread(sum, [1, 2]) == 3


async def test_what_was_read_before_is_used_while_the_share_hangs(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = CaFiles()
    first = await files.load(str(certificate))
    monkeypatch.setattr(ca_files, "CA_FILE_CHECK_INTERVAL", 0.0)
    monkeypatch.setattr(ca_files, "CA_FILE_TIMEOUT", 0.02)
    monkeypatch.setattr(ca_files, "read_regular_file", lambda *_: time.sleep(0.5))
    assert await files.load(str(certificate)) is first
