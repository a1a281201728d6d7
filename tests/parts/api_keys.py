"""A key of the API, made by the command as an operator does before the first start.

key = await create_key(environ, role="viewer", tags=["team:payments"])     # the settings of the server
httpx.AsyncClient(headers=bearer(key))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.parts.proc import ForkedProgram


async def create_key(
    environ: Mapping[str, str], name: str = "admin", *, role: str = "admin", tags: Sequence[str] = ()
) -> str:
    """The text of a new key in the store of these settings."""
    limits = [part for tag in tags for part in ("--tag", tag)]
    async with ForkedProgram("keys", "create", name, "--role", role, *limits, env=dict(environ)) as program:
        assert await program.exited() == 0, program.stderr
    return program.stdout.strip()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
