"""Cache TLS contexts, one for each way in which jobs verify certificates, and the `ca_file` of targets.

Making a context reads some hundred authorities from a file, which takes milliseconds: a thread does it, once. The
records that a session returns are counted. The event loop takes all buffered records in one go, each in some two
microseconds: 1 MiB in records of one byte would block it for two seconds.

The author of a job chooses the path of a `ca_file`, so nothing about it is assumed: it is opened only if it is regular,
read up to a limit, in a thread that the caller waits for only briefly. Outside the folders that are known to hold
certificates, all reasons have the same message: a precise one would reveal what is on the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import ssl
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.checks.errors import (
    CaFileUnusable,
    ClientCertificateUnusable,
    FileError,
    FileTooLarge,
    InvalidCaFile,
    NotRegularFile,
    TooManyTlsRecords,
)
from jobs.checks.files import (
    FileSignature,
    check_descriptors,
    read_regular_file,
    require_regular_file,
    run_in_daemon_thread,
)
from jobs.errors import SecretUnavailable
from jobs.targets import TlsOptions

MAX_CA_FILE = 1024 * 1024
"""Bytes. All authorities of an operating system together take some 250 KiB."""

CA_FILE_CHECK_INTERVAL = 1.0
"""Seconds between two checks whether a file has changed."""

CA_FILE_TIMEOUT = 2.0
"""Seconds that a caller waits for a file, such as one on a hanging share."""

MAX_CONCURRENT_READS = 16
"""Files that are read at a time; each takes a thread, for as long as its share hangs."""

MAX_CACHED_CA_FILES = 1000
"""Files whose content is cached."""

SYSTEM_FOLDERS = tuple(
    map(
        Path,
        (
            "/etc/ssl",
            "/etc/pki",
            "/etc/ca-certificates",
            "/usr/share/ca-certificates",
            "/usr/local/share/ca-certificates",
        ),
    )
)
"""Where operating systems store authorities. Their content is not secret."""

_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END (?:TRUSTED |X509 )?CERTIFICATE-----"
)


@dataclass(frozen=True, slots=True)
class CaFile:
    """`certificates`: each in PEM form. `digest`: differs for each content."""

    certificates: tuple[str, ...]
    digest: bytes


@dataclass(slots=True)
class _CachedCaFile:
    file: CaFile | None = None
    signature: FileSignature = ()
    problem: str = ""
    checked_at: float | None = None
    refresh: asyncio.Task[None] | None = None
    refreshing_since: float = 0.0


class CaFiles:
    """Caches CA files, for one event loop. Threads without a loop may call `describe_problem`."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        explained: Sequence[Path] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folders`: where CA files must be; empty: anywhere. `explained`: folders whose files may be explained, in
        addition to these and those of the system."""
        self._arguments = tuple(folders), tuple(explained)
        self._folders = tuple(folders)
        self._own = (*folders, *explained)
        self._known = (*self._own, *SYSTEM_FOLDERS)
        self._monotonic = monotonic
        self._cache: OrderedDict[str, _CachedCaFile] = OrderedDict()
        self._read_slots = asyncio.Semaphore(MAX_CONCURRENT_READS)

    def __reduce__(self) -> tuple[Any, ...]:
        return CaFiles, self._arguments

    async def load(self, path: str) -> CaFile:
        """Return the file as it was within the last second; while its share hangs, the version before. Raises
        CaFileUnusable."""
        seen, now = self._entry(path), self._monotonic()
        if seen.refresh is None and (seen.checked_at is None or now - seen.checked_at >= CA_FILE_CHECK_INTERVAL):
            seen.refresh, seen.refreshing_since = asyncio.create_task(self._refresh(path, seen)), now
        if seen.refresh is not None and (left := CA_FILE_TIMEOUT - (now - seen.refreshing_since)) > 0:
            await asyncio.wait({seen.refresh}, timeout=left)
        if seen.file is not None:
            return seen.file
        raise CaFileUnusable(self._message(path, seen.problem or self._timeout_reason(path)))

    def describe_problem(self, path: str, timeout: float = CA_FILE_TIMEOUT) -> str:
        """Return why the file cannot be used, within so many seconds; empty if it can."""
        problems: list[str] = []

        def look() -> None:
            problems.append(self._read(path, ())[2])

        thread = threading.Thread(target=look, name="own-look", daemon=True)
        thread.start()
        thread.join(max(timeout, 0.0))
        return problems[0] if problems else self._timeout_reason(path)

    def _entry(self, path: str) -> _CachedCaFile:
        seen = self._cache.setdefault(path, _CachedCaFile())
        self._cache.move_to_end(path)
        if len(self._cache) > MAX_CACHED_CA_FILES:
            self._cache.popitem(last=False)
        return seen

    async def _refresh(self, path: str, seen: _CachedCaFile) -> None:
        try:
            async with self._read_slots:
                found, signature, problem = await run_in_daemon_thread(self._read, path, seen.signature)
            if problem or found is not None:
                seen.file, seen.signature, seen.problem = found, signature, problem
            seen.checked_at = self._monotonic()
        finally:
            seen.refresh = None

    def _read(self, path: str, known_signature: FileSignature) -> tuple[CaFile | None, FileSignature, str]:
        """Return the file (None if its signature is the known one), its signature, and the problem with it or ""."""
        if not self._is_allowed(path):
            return None, (), f"it is outside the folders of targets.ca_folders ({_join_paths(self._folders)})"
        try:
            content, signature = _read_ca_file(path, known_signature)
            ca_file = (
                None if content is None else CaFile(_parse_certificates(content), hashlib.sha256(content).digest())
            )
        except (OSError, ValueError, FileError) as error:
            return None, (), self._reason(path, error)
        return ca_file, signature, ""

    def _is_allowed(self, path: str) -> bool:
        # By the text first: outside the folders, not even a link is followed.
        return not self._folders or (
            _is_in(os.path.abspath(path), self._folders)
            and _is_in(os.path.realpath(path), _resolve_links(self._folders))
        )

    def _reason(self, path: str, error: Exception) -> str:
        if not self._may_explain(path):
            return self._generic_reason()
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        return str(error) if isinstance(error, FileError) else "it cannot be read"

    def _may_explain(self, path: str) -> bool:
        """Return whether a reason may be given. A link in a known folder may lead anywhere."""
        return _is_in(os.path.abspath(path), self._known) and _is_in(
            os.path.realpath(path), _resolve_links(self._known)
        )

    def _generic_reason(self) -> str:
        own = f"{_join_paths(self._own)} and " if self._own else ""
        return (
            f"it must be a regular file of at most {MAX_CA_FILE // 1024 // 1024} MiB that the "
            "program can read, with "
            f"certificates in PEM form; the exact reason is shown only for files in {own}the system's folders for them"
        )

    def _timeout_reason(self, path: str) -> str:
        if not _is_in(os.path.abspath(path), self._known):
            return self._generic_reason()
        return f"it could not be read within {CA_FILE_TIMEOUT:g} s; check how its folder is mounted"

    def _message(self, path: str, reason: str) -> str:
        return f"The CA file {path} of this target cannot be used: {reason}."


def read_authorities(path: str) -> tuple[str, ...]:
    """Return the certificates of a file, each in PEM form. Raises OSError, ValueError, FileError."""
    content, _ = _read_ca_file(path, ())
    return _parse_certificates(content or b"")


def _read_ca_file(path: str, known_signature: FileSignature) -> tuple[bytes | None, FileSignature]:
    """Return the content, None if its signature is the known one. Raises OSError, ValueError, InvalidCaFile."""
    try:
        require_regular_file(os.stat(path))  # before it is opened, which has effects on some devices
        return read_regular_file(path, MAX_CA_FILE, known_signature)
    except NotRegularFile as error:
        raise InvalidCaFile(str(error)) from None
    except FileTooLarge:
        raise InvalidCaFile(f"it is larger than {MAX_CA_FILE // 1024 // 1024} MiB") from None


def _parse_certificates(content: bytes) -> tuple[str, ...]:
    """Return each certificate in PEM form. Raises InvalidCaFile."""
    certificates = tuple(
        f"-----BEGIN CERTIFICATE-----{match[1].decode('ascii')}-----END CERTIFICATE-----\n"
        for match in _CERTIFICATE.finditer(content)
    )
    if not certificates:
        raise InvalidCaFile("it contains no certificate in PEM form")
    try:
        add_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificates)
    except ssl.SSLError:
        raise InvalidCaFile("it contains a damaged certificate") from None
    return certificates


def add_certificates(context: ssl.SSLContext, certificates: Sequence[str]) -> None:
    """Let the context trust the certificates. One by one: each call blocks the other threads. Raises ssl.SSLError."""
    for certificate in certificates:
        context.load_verify_locations(cadata=certificate)


def _resolve_links(folders: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(Path(os.path.realpath(folder)) for folder in folders)


def _is_in(path: str, folders: Sequence[Path]) -> bool:
    return any(Path(path).is_relative_to(os.path.abspath(folder)) for folder in folders)


def _join_paths(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))


MAX_TLS_RECORDS = 2000
"""Records of a session, and one more for each SMALL_TLS_RECORD bytes."""

SMALL_TLS_RECORD = 64
"""Bytes."""


_DER = 2
"""As the ssl module's private part numbers it."""


def peer_certificates(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the peer has shown, DER, its own first; also when they are not verified."""
    if hasattr(session, "get_unverified_chain"):  # Python 3.13
        return tuple(session.get_unverified_chain())
    chain = session._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return tuple(each.public_bytes(_DER) for each in chain or ())


class CountingTlsObject(ssl.SSLObject):
    """A session that limits its records, and shows a certificate that was not accepted. Contexts create it through
    `sslobject_class`."""

    _records = 0
    _bytes = 0

    def do_handshake(self) -> None:
        """Like ssl.SSLObject. The error of a certificate that is not accepted has `certificates`."""
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            error.certificates = peer_certificates(self)  # type: ignore[attr-defined]
            raise

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Read like ssl.SSLObject, the content of one record at most. Raises TooManyTlsRecords."""
        content = super().read(len, buffer)
        self._records += 1
        self._bytes += content if isinstance(content, int) else content.__len__()
        if self._records > MAX_TLS_RECORDS + self._bytes // SMALL_TLS_RECORD:
            raise TooManyTlsRecords(MAX_TLS_RECORDS, SMALL_TLS_RECORD)
        return content


MAX_CACHED_CONTEXTS = 1000
"""Contexts; each takes some 100 KiB. Those of rotated certificates are evicted."""


HTTP1, HTTP2 = ("http/1.1",), ("h2", "http/1.1")
"""Protocols that a handshake offers (ALPN)."""
_Key = tuple[bool, bytes, tuple[str, ...], bytes]


def client_certificate_error(tls: TlsOptions) -> SecretUnavailable:
    """Return the error for ClientCertificateUnusable that names the target's secret."""
    name = tls.client_certificate.secret if tls.client_certificate else ""
    return SecretUnavailable(
        f"The secret {name} contains no usable client certificate: store the certificate and its key "
        "in it, both in PEM form, and the key not encrypted."
    )


class TlsContexts:
    """For one event loop. A changed CA file is read again."""

    def __init__(self, ca_files: CaFiles | None = None, authorities: Sequence[str] = ()) -> None:
        """`ca_files`: reads those of targets; None: from anywhere. `authorities`: trusted in addition to those of the
        system, each in PEM form."""
        self._ca_files = ca_files or CaFiles()
        self._authorities = tuple(authorities)
        self._made: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()
        self._making = asyncio.Lock()

    async def get_context(
        self, tls: TlsOptions, *, alpn: tuple[str, ...] = HTTP1, client_certificate: str = ""
    ) -> ssl.SSLContext:
        """Return the context for this target. `client_certificate`: its own one, with its key, PEM.

        Raises:
            CaFileUnusable, ClientCertificateUnusable
        """
        shown = hashlib.sha256(client_certificate.encode()).digest() if client_certificate else b""
        trusted = None if tls.ca_file is None else await self._ca_files.load(tls.ca_file)
        key = (tls.verify, b"" if trusted is None else trusted.digest, alpn, shown)
        context = self._made.get(key)
        if context is None:
            async with self._making:
                context = self._made.get(key)
                if context is None:
                    if len(self._made) >= MAX_CACHED_CONTEXTS:
                        self._made.popitem(last=False)
                    made = await asyncio.to_thread(
                        _make_context, tls, self._authorities, alpn, client_certificate, trusted
                    )
                    context = self._made[key] = made
        return context

    def prepare(self, tls: TlsOptions, *, alpn: tuple[str, ...] = HTTP1) -> None:
        """Make the context for a target without a client certificate.

        One with a CA file is left to `get_context`: it is made quickly, and its file may be on a hanging share.
        """
        key = (tls.verify, b"", alpn, b"")
        if tls.ca_file is None and key not in self._made and len(self._made) < MAX_CACHED_CONTEXTS:
            self._made[key] = _make_context(tls, self._authorities, alpn)


def _make_context(
    tls: TlsOptions,
    authorities: Sequence[str],
    alpn: tuple[str, ...] = HTTP1,
    client_certificate: str = "",
    trusted: CaFile | None = None,
) -> ssl.SSLContext:
    if trusted is not None:
        # Without a certificate here, the function would load those of the system.
        context = ssl.create_default_context(cadata=trusted.certificates[0])
        add_certificates(context, trusted.certificates[1:])
    else:
        context = create_trusting_context(authorities)
    # As in browsers: OpenSSL accepts the subject's name if the certificate has no other.
    context.hostname_checks_common_name = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # see create_trusting_context
    context.sslobject_class = CountingTlsObject
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(alpn)
    if client_certificate:
        _load_client_certificate(context, client_certificate)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def create_trusting_context(authorities: Sequence[str]) -> ssl.SSLContext:
    """Return a context that trusts the authorities of the system, and these in addition, each in PEM form."""
    context = ssl.create_default_context()
    check_descriptors()  # without one, OpenSSL silently reads no authorities
    if not _system_has_authorities():
        import certifi

        context.load_verify_locations(certifi.where())
    add_certificates(context, authorities)
    # Python 3.13 adds a strictness that the authorities of many companies fail.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def is_client_certificate(text: str) -> bool:
    """Return whether a text is a certificate with its key, PEM."""
    try:
        _load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), text)
    except ClientCertificateUnusable:
        return False
    return True


def _load_client_certificate(context: ssl.SSLContext, client_certificate: str) -> None:
    """Load the certificate. OpenSSL accepts only files; this one has no name, if the system supports it."""
    with ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("certificate")
            stack.callback(os.close, descriptor)
            path = f"/proc/self/fd/{descriptor}"
        else:
            descriptor, path = tempfile.mkstemp()
            stack.callback(os.unlink, path)
            stack.callback(os.close, descriptor)
        os.write(descriptor, client_certificate.encode())
        try:
            # Without a password, OpenSSL would prompt at the terminal for that of an encrypted key.
            context.load_cert_chain(path, password="")
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            raise ClientCertificateUnusable from None


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or (paths.capath is not None and bool(os.listdir(paths.capath)))
