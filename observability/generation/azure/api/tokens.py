"""Access tokens for Azure Resource Manager. Called by observability.generation.azure.api.tool.

The command runs as the person or the pipeline that starts it: environment variables of a service principal, a managed
identity, or the user who is signed in with the Azure CLI.
"""

from __future__ import annotations

import asyncio

from observability.generation.core.tool import ToolError


def fetch_access_token(url: str, client_id: str | None) -> str:
    """Return an access token for the API at this address. Raises ToolError.

    `client_id`: of a managed identity that the machine has in addition to its own.
    """
    return asyncio.run(_fetch(f"{url}/.default", client_id))


async def _fetch(scope: str, client_id: str | None) -> str:
    from config.identity import AppIdentity
    from config.settings.model import Settings
    from jobs.errors import TokenUnavailable

    identity = AppIdentity(Settings(environment="dev", managed_identity_client_id=client_id))
    try:
        return await identity.get_token(scope)
    except TokenUnavailable as error:
        raise ToolError(str(error)) from None
    finally:
        await identity.aclose()
