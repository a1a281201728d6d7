"""The variables of Azure that name a user-assigned managed identity. Used by config.settings.layers.

One id is enough for a user-assigned identity: the Functions host requires AzureWebJobsStorage__clientId for its storage
connection, and Azure's libraries read AZURE_CLIENT_ID.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs.problems import Problem

OWN_VARIABLE = "SCHEDULER_MANAGED_IDENTITY_CLIENT_ID"
HOST_VARIABLE = "AzureWebJobsStorage__clientId"
AZURE_VARIABLE = "AZURE_CLIENT_ID"
_RESOURCE_ID = "AzureWebJobsStorage__managedIdentityResourceId"

CLIENT_SECRET_VARIABLE = "AZURE_CLIENT_SECRET"
_SERVICE_PRINCIPAL = (
    CLIENT_SECRET_VARIABLE,
    f"{CLIENT_SECRET_VARIABLE}_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
)
"""With one of these, AZURE_CLIENT_ID is the id of a service principal."""


def without_service_principal(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without AZURE_CLIENT_ID if it names a service principal instead of a managed identity."""
    present = _present(environ)
    is_principal = any(name in present for name in _SERVICE_PRINCIPAL)
    return {name: value for name, value in environ.items() if not (is_principal and name.upper() == AZURE_VARIABLE)}


def identity_problems(environ: Mapping[str, str]) -> list[Problem]:
    """Find variables that name different identities, or one that the scheduler cannot use.

    `environ`: what `without_service_principal` returned.
    """
    present = _present(environ)
    if OWN_VARIABLE in present:
        return []
    host, azure = present.get(HOST_VARIABLE.upper()), present.get(AZURE_VARIABLE)
    if host is not None and azure is not None and host.lower() != azure.lower():
        hint = f"give both the same client id, or set {OWN_VARIABLE} to the one that the scheduler uses"
        return [Problem(HOST_VARIABLE, f"contains another client id than {AZURE_VARIABLE}", hint)]
    if host is None and azure is None and _RESOURCE_ID.upper() in present:
        message = "the scheduler needs the client id of the identity"
        return [Problem(_RESOURCE_ID, message, f"set {HOST_VARIABLE} in its place")]
    return []


def _present(environ: Mapping[str, str]) -> dict[str, str]:
    """Names in capitals; empty variables count as not set."""
    return {name.upper(): value.strip() for name, value in environ.items() if value.strip()}
