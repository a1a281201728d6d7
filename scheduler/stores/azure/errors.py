"""Translates refusals of the service for operators. Used by azure.store and azure.transactions."""

from __future__ import annotations

from azure.core.exceptions import AzureError, HttpResponseError

from scheduler.stores.port import StoreUnavailable

_ADVICE = {
    400: "the service cannot parse the request; this is a bug in the scheduler",
    401: "check the storage account's key or the app's identity",
    403: (
        "the app needs the role Storage Table Data Contributor on the account, and the "
        "account's firewall must allow its network"
    ),
    404: "the table was deleted; restart the app, which creates its tables when it first uses them",
    413: "the rows are too large",
    429: "the account is busy beyond its limits",
    503: "the account is busy beyond its limits",
}


def http_status(error: AzureError) -> int | None:
    """Return the HTTP status: emulators omit the error code."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def to_store_error(table: str, error: AzureError | int) -> StoreUnavailable:
    """Return the error with what to check. `error`: what was raised, or an HTTP status.

    Names the kind of error only: its text may contain the signature of a connection string.
    """
    status = error if isinstance(error, int) else http_status(error)
    what = type(error).__name__ if status is None else f"status {status}"
    advice = _ADVICE.get(status or 0, "check the storage account, its name and the network between them")
    return StoreUnavailable(f"Azure table {table} cannot be used ({what}): {advice}")
