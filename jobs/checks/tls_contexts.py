"""TLS contexts, made once for each way in which jobs have certificates checked. Called by http.py.

Making one reads some hundred authorities from a file: that takes milliseconds, so a thread does it, and once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import tempfile
from collections import OrderedDict
from contextlib import ExitStack, suppress

from jobs.errors import SecretUnavailable
from jobs.targets import Tls

MOST = 1000
"""Contexts that are remembered; each takes some 100 KiB. Those of rotated certificates fall out."""


class CaFileUnusable(Exception):
    """The file of a target's authorities cannot be read. The message names it and the reason."""


class CertificateUnusable(Exception):
    """What should be a client certificate with its key is none."""


_Key = tuple[bool, str | None, int, bool, bytes]


def unusable_certificate(tls: Tls) -> SecretUnavailable:
    """CertificateUnusable in words, by the secret that a target names."""
    name = tls.client_certificate.secret if tls.client_certificate else ""
    return SecretUnavailable(
        f"The secret {name} holds no client certificate that can be used: store the certificate and its key "
        "in it, both in PEM form, and the key not encrypted."
    )


class TlsContexts:
    """For one event loop. A CA file that has changed is read again."""

    def __init__(self) -> None:
        self._made: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()
        self._making = asyncio.Lock()

    async def get(self, tls: Tls, *, http2: bool = False, client_certificate: str = "") -> ssl.SSLContext:
        """The context for this target. `client_certificate`: the one that it names, with its key, PEM.

        Raises:
            CaFileUnusable, CertificateUnusable
        """
        shown = hashlib.sha256(client_certificate.encode()).digest() if client_certificate else b""
        key = (tls.verify, tls.ca_file, _changed_at(tls.ca_file), http2, shown)
        context = self._made.get(key)
        if context is None:
            async with self._making:
                context = self._made.get(key)
                if context is None:
                    if len(self._made) >= MOST:
                        self._made.popitem(last=False)
                    context = self._made[key] = await asyncio.to_thread(_make, tls, http2, client_certificate)
        return context

    def prepare(self, tls: Tls, *, http2: bool = False) -> None:
        """Make the context for a target without a client certificate. What cannot be made is left to `get`."""
        with suppress(CaFileUnusable):
            key = (tls.verify, tls.ca_file, _changed_at(tls.ca_file), http2, b"")
            if key not in self._made and len(self._made) < MOST:
                self._made[key] = _make(tls, http2)


def _changed_at(ca_file: str | None) -> int:
    if ca_file is None:
        return 0
    try:
        return os.stat(ca_file).st_mtime_ns
    except OSError as error:
        raise CaFileUnusable(_unusable(ca_file, error.strerror or "it cannot be read")) from None


def _make(tls: Tls, http2: bool = False, client_certificate: str = "") -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except ssl.SSLError:
        raise CaFileUnusable(_unusable(tls.ca_file, "it holds no certificate in PEM form")) from None
    except OSError as error:
        raise CaFileUnusable(_unusable(tls.ca_file, error.strerror or "it cannot be read")) from None
    if tls.ca_file is None and not _system_has_authorities():
        import certifi

        context.load_verify_locations(certifi.where())
    # Judged as browsers judge: they read no name in the subject, which OpenSSL does where the certificate has no other.
    # Python 3.13 adds a strictness that many authorities of companies fail.
    context.hostname_checks_common_name = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    if client_certificate:
        _show(context, client_certificate)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def is_client_certificate(text: str) -> bool:
    """Return whether a text is a certificate with its key, PEM, that a target can be shown."""
    try:
        _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), text)
    except CertificateUnusable:
        return False
    return True


def _show(context: ssl.SSLContext, client_certificate: str) -> None:
    """Have the context show it. OpenSSL takes a certificate from files alone: this one has no name, if it can."""
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
            # Without a password of ours OpenSSL would ask at the terminal for that of an encrypted key.
            context.load_cert_chain(path, password="")
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            raise CertificateUnusable from None


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or (paths.capath is not None and bool(os.listdir(paths.capath)))


def _unusable(ca_file: str | None, reason: str) -> str:
    return f"The CA file {ca_file} of this target cannot be used: {reason}."
