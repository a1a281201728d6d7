"""`sign-in`: sign in to Azure without a secret, for pipelines. People use `az login`."""

from __future__ import annotations

from pathlib import Path

from delivery.context import Context
from delivery.errors import UnusableInput

MAX_TOKEN_BYTES = 64 * 1024


def sign_in(context: Context, token_file: Path | None) -> None:
    """Sign in with the OpenID Connect token of a file, or else with the machine's managed identity.

    The token does not become an argument, which other processes of the machine could read: `az` reads the file.
    Raises DeliveryError.
    """
    identity = context.environment.sign_in
    if token_file is None:
        client = ["--client-id", identity.client_id] if identity.client_id else []
        context.az.sign_in("--identity", *client)
        return
    missing = [f"sign_in.{name}" for name in ("tenant", "client_id") if not getattr(identity, name)]
    if missing:
        raise UnusableInput(f"infra/environments/{context.environment.name}.json: {' and '.join(missing)} missing.")
    _check(token_file)
    context.az.sign_in(
        "--service-principal",
        *("--username", identity.client_id),
        *("--tenant", identity.tenant),
        *("--federated-token", f"@{token_file}"),
    )


def _check(token_file: Path) -> None:
    try:
        content = token_file.read_bytes()
    except OSError as error:
        raise UnusableInput(f"--token-file: {token_file} cannot be read: {error.strerror}.") from None
    parts = content.strip().split(b".")
    if len(content) > MAX_TOKEN_BYTES or len(parts) != 3 or not all(parts):
        raise UnusableInput(
            f"--token-file: {token_file} does not contain an OpenID Connect token (three parts, joined by dots). "
            "Write the token that the build service issues for this build into it."
        )
