"""Where a backup is: a file, or a blob container of Azure. Called by the commands of backups."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTAINER_FORMS = "azure://CONTAINER[/FOLDER] or https://ACCOUNT.blob.core.windows.net/CONTAINER[/FOLDER]"
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_ACCOUNT = re.compile(
    r"[a-z0-9]{3,24}(?:\.z\d{1,2}\.blob\.storage\.azure\.net"
    r"|\.blob\.core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn))"
)
"""Hosts of storage accounts: the app's access token is sent to no other."""
_NAME = re.compile(r"(?!\.)[\w.~-]+(?:/(?!\.)[\w.~-]+)*", re.ASCII)
_MAX_NAME = 900
"""Characters of a blob's name, with space for that of a backup: the service accepts 1,024."""


@dataclass(frozen=True, slots=True)
class ContainerLocation:
    """`account_url`: "" for the account of the settings. `path`: a folder, or the name of a blob; "" for all of it."""

    account_url: str
    container: str
    path: str

    @property
    def shown(self) -> str:
        """As the user writes it."""
        return self.join(self.path).rstrip("/")

    @property
    def folder(self) -> str:
        """The start of the names of blobs in it."""
        return f"{self.path}/" if self.path else ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def join(self, blob: str) -> str:
        """Return the location of a blob of the container."""
        start = f"{self.account_url}/" if self.account_url else "azure://"
        return f"{start}{self.container}/{blob}"


def parse_location(text: str) -> ContainerLocation | None:
    """Return the location in a container; None for the path of a file. Raises ValueError."""
    kind, has_kind, rest = text.partition("://")
    if not has_kind:
        return None
    account, _, rest = rest.partition("/") if kind == "https" else ("", "", rest)
    container, _, path = rest.rstrip("/").partition("/")
    if (
        kind not in ("azure", "https")
        or (account and not _ACCOUNT.fullmatch(account))
        or (kind == "https" and not account)
        or not _CONTAINER.fullmatch(container)
        or (path and not (_NAME.fullmatch(path) and len(path) <= _MAX_NAME))
    ):
        raise ValueError(f"expected a file, {CONTAINER_FORMS}, got {text!r}")
    return ContainerLocation(f"https://{account}" if account else "", container, path)
