"""What refusals of the service mean to an operator. Used by azure_store and azure_steps."""

from __future__ import annotations

from azure.core.exceptions import AzureError, HttpResponseError

from scheduler.stores.port import StoreUnavailable

_ADVICE = {
    400: "the service does not understand the request; this is a mistake of the program",
    401: "look at the storage account's key or the app's identity",
    403: "the app needs the role Storage Table Data Contributor on the account, and its network must be let in",
    404: "the table is gone; restart the app, it makes its tables when it first uses them",
    413: "the rows are too large",
    429: "the account is busy beyond its limits",
    503: "the account is busy beyond its limits",
}


def http_status(error: AzureError) -> int | None:
    """The HTTP status: emulators leave out the error code."""
    return error.status_code if isinstance(error, HttpResponseError) else None


def to_store_error(table: str, error: AzureError | int) -> StoreUnavailable:
    """`error`: what was raised, or an HTTP status.

    Names the kind of error only: its text may hold the signature of a connection string.
    """
    status = error if isinstance(error, int) else http_status(error)
    what = type(error).__name__ if status is None else f"status {status}"
    advice = _ADVICE.get(status or 0, "look at the storage account, its name and the network on the way to it")
    return StoreUnavailable(f"Azure table {table} cannot be used ({what}): {advice}")
