"""Cache TLS contexts, one for each way in which jobs verify certificates. Used by the checks.

Making one reads some hundred authorities from a file, which takes milliseconds: a thread does it, once.

The records that a session returns are counted. The event loop takes all buffered records in one go, each in some two
microseconds: 1 MiB in records of one byte would block it for two seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import tempfile
from collections import OrderedDict
from contextlib import ExitStack
from typing import Any

from jobs.checks.errors import ClientCertificateUnusable, TooManyTlsRecords
from jobs.checks.files.ca_files import CaFile, CaFiles, add_certificates
from jobs.checks.files.reading import check_descriptors
from jobs.errors import SecretUnavailable
from jobs.targets import TlsOptions

MAX_TLS_RECORDS = 2000
"""Records of a session, and one more for each SMALL_TLS_RECORD bytes."""

SMALL_TLS_RECORD = 64
"""Bytes."""


class CountingTlsObject(ssl.SSLObject):
    """A session that limits its records. Contexts create it through `sslobject_class`."""

    _records = 0
    _bytes = 0

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """See ssl.SSLObject.read; returns the content of one record at most. Raises TooManyTlsRecords."""
        found = super().read(len, buffer)
        self._records += 1
        self._bytes += found if isinstance(found, int) else found.__len__()
        if self._records > MAX_TLS_RECORDS + self._bytes // SMALL_TLS_RECORD:
            raise TooManyTlsRecords(MAX_TLS_RECORDS, SMALL_TLS_RECORD)
        return found


MAX_CACHED_CONTEXTS = 1000
"""Contexts; each takes some 100 KiB. Those of rotated certificates are evicted."""


_Key = tuple[bool, bytes, bool, bytes]


def client_certificate_error(tls: TlsOptions) -> SecretUnavailable:
    """Return the error for ClientCertificateUnusable that names the target's secret."""
    name = tls.client_certificate.secret if tls.client_certificate else ""
    return SecretUnavailable(
        f"The secret {name} contains no usable client certificate: store the certificate and its key "
        "in it, both in PEM form, and the key not encrypted."
    )


class TlsContexts:
    """For one event loop. A changed CA file is read again."""

    def __init__(self, ca_files: CaFiles | None = None) -> None:
        """`ca_files`: reads those of targets; None: from anywhere."""
        self._ca_files = ca_files or CaFiles()
        self._made: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()
        self._making = asyncio.Lock()

    async def get_context(
        self, tls: TlsOptions, *, http2: bool = False, client_certificate: str = ""
    ) -> ssl.SSLContext:
        """Return the context for this target. `client_certificate`: its own one, with its key, PEM.

        Raises:
            CaFileUnusable, ClientCertificateUnusable
        """
        shown = hashlib.sha256(client_certificate.encode()).digest() if client_certificate else b""
        trusted = None if tls.ca_file is None else await self._ca_files.load(tls.ca_file)
        key = (tls.verify, b"" if trusted is None else trusted.digest, http2, shown)
        context = self._made.get(key)
        if context is None:
            async with self._making:
                context = self._made.get(key)
                if context is None:
                    if len(self._made) >= MAX_CACHED_CONTEXTS:
                        self._made.popitem(last=False)
                    made = await asyncio.to_thread(_make_context, tls, http2, client_certificate, trusted)
                    context = self._made[key] = made
        return context

    def prepare(self, tls: TlsOptions, *, http2: bool = False) -> None:
        """Make the context for a target without a client certificate.

        One with a CA file is left to `get_context`: it is made quickly, and its file may be on a hanging share.
        """
        key = (tls.verify, b"", http2, b"")
        if tls.ca_file is None and key not in self._made and len(self._made) < MAX_CACHED_CONTEXTS:
            self._made[key] = _make_context(tls, http2)


def _make_context(
    tls: TlsOptions, http2: bool = False, client_certificate: str = "", trusted: CaFile | None = None
) -> ssl.SSLContext:
    if trusted is not None:
        # Without a certificate here, the function would load those of the system.
        context = ssl.create_default_context(cadata=trusted.certificates[0])
        add_certificates(context, trusted.certificates[1:])
    else:
        context = ssl.create_default_context()
        check_descriptors()  # without one, OpenSSL silently reads no authorities
        if not _system_has_authorities():
            import certifi

            context.load_verify_locations(certifi.where())
    # As in browsers: OpenSSL accepts the subject's name if the certificate has no other.
    # Python 3.13 adds a strictness that the authorities of many companies fail.
    context.hostname_checks_common_name = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslobject_class = CountingTlsObject
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    if client_certificate:
        _load_client_certificate(context, client_certificate)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
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
