"""API keys: their text, and what the scheduler stores of each. Pure.

Used by scheduler.authentication, scheduler.features.access.service and scheduler.stores.identity.

    sch_o_k7f3m2qd9x_<43 characters of secret><6 characters of checksum>

The letter is the role (v, o, a), so a user sees what a key opens. The prefix and the checksum let a secret scanner find
a key in a text without false alarms, and the API reject a misspelt key without a read of the store.

The hash is SHA-256 without salt and without a slow function: both protect secrets that people choose. This secret has
256 random bits, so its hash does not help to guess it, and a slow hash would only cost time on each request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

from jobs.formats import format_instant
from scheduler.identity.principal import Principal, PrincipalKind, Role

API_KEY_PREFIX: Final = "sch_"
API_KEY_PATTERN: Final = r"sch_[mvoa]_[0-9a-z]{10}_[0-9A-Za-z]{49}"
"""For secret scanners. scheduler.identity.api_keys.parse_api_key checks the checksum too."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_ALPHABET = string.digits + string.ascii_lowercase
_ID_LENGTH = 10
_SECRET_BYTES = 32
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6
_KEY = re.compile(API_KEY_PATTERN, re.ASCII)


class KeyRejection(NamedTuple):
    """Why a key is not accepted. `reason`: a code for the audit trail; `detail`: a sentence for the caller."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key, without its secret.

    `expires_at`: None for a key without an end. `addresses`: networks that may use it; empty: any address.
    `successor`: the id of the key that replaces it. Instants are UTC.
    """

    id: str
    name: str
    role: Role
    secret_hash: str
    created_at: datetime
    created_by: str
    tags: tuple[tuple[str, str], ...] = ()
    expires_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    revoked_at: datetime | None = None
    successor: str = ""

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.API_KEY, self.name, self.role, self.tags)

    def is_active_at(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def matches(self, text: str) -> bool:
        """Return whether this is the text of the key, in constant time."""
        return hmac.compare_digest(self.secret_hash, hash_api_key(text))

    def rejection_at(self, now: datetime, address: str) -> KeyRejection | None:
        """Return why the key is not accepted now from this address; None if it is."""
        if self.revoked_at is not None:
            return KeyRejection("key_revoked", f"The API key {self.name} was revoked.")
        if self.expires_at is not None and now >= self.expires_at:
            return KeyRejection("key_expired", f"The API key {self.name} expired at {format_instant(self.expires_at)}.")
        if self.addresses and not _is_in_networks(address, self.addresses):
            return KeyRejection("key_address", f"The API key {self.name} is not allowed from this address.")
        return None


def create_api_key_text(role: Role) -> tuple[str, str]:
    """Return the id and the text of a new key. Only the caller ever has the text."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    secret = _to_base62(int.from_bytes(secrets.token_bytes(_SECRET_BYTES), "big"), _SECRET_LENGTH)
    start = f"{API_KEY_PREFIX}{role.value[0]}_{key_id}_{secret}"
    return key_id, start + _checksum(start)


def parse_api_key(text: str) -> str | None:
    """Return the id of a key; None if the text is not a key, or misspelt."""
    if _KEY.fullmatch(text) is None or _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        return None
    return text.split("_")[2]


def hash_api_key(text: str) -> str:
    """Return the SHA-256 of the text in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _checksum(start: str) -> str:
    return _to_base62(zlib.crc32(start.encode("ascii")), _CHECKSUM_LENGTH)


def _to_base62(number: int, length: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits.rjust(length, "0")


def _is_in_networks(address: str, networks: Sequence[str]) -> bool:
    try:
        given = ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(given, "ipv4_mapped", None)
    return any((mapped or given) in ip_network(network) for network in networks)
