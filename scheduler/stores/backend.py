"""What a backend gets to open its store. Used by scheduler.app.adapters.

A backend is a module with a function `open_store(options: BackendOptions) -> Store`, and a line in
config.settings.fields. With a function `open_scan(options: BackendOptions, known_tables: Sequence[str]) ->
StoreScan` its store can be backed up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """`url`: the setting `store`. `owns_file`: a file is for this process alone. The others: of a storage account."""

    url: str
    owns_file: bool
    open_credential: Callable[[], Awaitable[AsyncTokenCredential]]
    """Returns the app's identity."""
    connection_string: str | None = None
    account_name: str | None = None
    table_url: str | None = None
    prefix: str = "scheduler"
    client_options: Mapping[str, Any] = field(default_factory=dict)
    """Of Azure's client, such as its transport."""
    is_restoring: bool = False
    """Whether a store is opened of which a restore has written a part only."""
