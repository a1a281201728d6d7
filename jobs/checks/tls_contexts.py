"""TLS contexts, made once for each way in which jobs have certificates checked. Called by http.py.

Making one reads some hundred authorities from a file: that takes milliseconds, so a thread does it, and once.
"""

from __future__ import annotations

import asyncio
import os
import ssl

from jobs.targets import Tls


class CaFileUnusable(Exception):
    """The file of a target's authorities cannot be read. The message names it and the reason."""


_Key = tuple[bool, str | None, int]


class TlsContexts:
    """For one event loop. A CA file that has changed is read again."""

    def __init__(self) -> None:
        self._made: dict[_Key, ssl.SSLContext] = {}
        self._making = asyncio.Lock()

    async def get(self, tls: Tls) -> ssl.SSLContext:
        """The context for this target. Raises CaFileUnusable."""
        key = (tls.verify, tls.ca_file, _changed_at(tls.ca_file))
        context = self._made.get(key)
        if context is None:
            async with self._making:
                context = self._made.get(key)
                if context is None:
                    context = self._made[key] = await asyncio.to_thread(_make, tls)
        return context


def _changed_at(ca_file: str | None) -> int:
    if ca_file is None:
        return 0
    try:
        return os.stat(ca_file).st_mtime_ns
    except OSError as error:
        raise CaFileUnusable(_unusable(ca_file, error.strerror or "it cannot be read")) from None


def _make(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except ssl.SSLError:
        raise CaFileUnusable(_unusable(tls.ca_file, "it holds no certificate in PEM form")) from None
    except OSError as error:
        raise CaFileUnusable(_unusable(tls.ca_file, error.strerror or "it cannot be read")) from None
    if tls.ca_file is None and not _system_has_authorities():
        import certifi

        context.load_verify_locations(certifi.where())
    # Judged as browsers and curl judge. Python 3.13 adds a strictness that many authorities of companies fail.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or (paths.capath is not None and bool(os.listdir(paths.capath)))


def _unusable(ca_file: str | None, reason: str) -> str:
    return f"The CA file {ca_file} of this target cannot be used: {reason}."
