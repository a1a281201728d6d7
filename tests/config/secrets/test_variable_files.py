"""The secret of a job can stand in a file that a variable names; it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.identity import AppIdentity
from config.secrets import SecretChain, build_secrets
from config.secrets.files import FILE_CHECK_INTERVAL
from config.settings.model import Settings
from jobs.errors import SecretUnavailable
from jobs.redaction import Redactor
from tests.config.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "outside" / "token"
    file.parent.mkdir()
    file.write_text("old-value\n")
    return file


def chain(
    clock: ManualClock, folder: Path | None = None, redactor: Redactor | None = None, **environ: str
) -> SecretChain:
    settings = Settings(environment="prod", secrets_folder=folder)
    return build_secrets(settings, AppIdentity(settings), redactor or Redactor(), clock, environ=environ)


async def reported(secrets: SecretChain) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        await secrets.get_secret("api-token")
    return str(caught.value)


async def test_the_value_is_that_of_the_file_and_redacted(file: Path, clock: ManualClock) -> None:
    redactor = Redactor()
    secrets = chain(clock, redactor=redactor, SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    assert await secrets.get_secret("api-token") == "old-value"
    assert "old-value" not in redactor.redact("it was old-value")
    origin = secrets.origin("api-token")
    assert origin is not None
    assert origin.source == f"the file {file}"


async def test_a_rotated_value_is_used_within_a_second(file: Path, clock: ManualClock) -> None:
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    assert await secrets.get_secret("api-token") == "old-value"
    file.write_text("new-value")  # noqa: ASYNC240 - a small file
    assert await secrets.get_secret("api-token") == "old-value"
    clock.passed += FILE_CHECK_INTERVAL
    assert await secrets.get_secret("api-token") == "new-value"


async def test_a_rejected_value_is_read_again_at_once(file: Path, clock: ManualClock) -> None:
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    old = await secrets.get_secret("api-token")
    file.write_text("new-value")  # noqa: ASYNC240 - a small file
    assert (await secrets.refresh_rejected("api-token", old)).is_changed
    assert await secrets.get_secret("api-token") == "new-value"


async def test_the_swapped_link_of_a_mounted_secret_is_followed(tmp_path: Path, clock: ManualClock) -> None:
    """Kubernetes replaces the link ..data, whose target is the folder of the new version."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "token").write_text(f"value-{version}")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "token").symlink_to("..data/token")
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE=str(tmp_path / "token"))
    assert await secrets.get_secret("api-token") == "value-1"
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    clock.passed += FILE_CHECK_INTERVAL
    assert await secrets.get_secret("api-token") == "value-2"


async def test_the_file_of_the_variable_goes_before_the_one_in_the_folder(file: Path, clock: ManualClock) -> None:
    folder = file.parent.parent
    (folder / "api-token").write_text("folder-value")
    assert await chain(clock, folder, SCHEDULER_SECRET_API_TOKEN_FILE=str(file)).get_secret("api-token") == "old-value"
    assert await chain(clock, folder).get_secret("api-token") == "folder-value"


async def test_both_variables_are_an_error(file: Path, clock: ManualClock) -> None:
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN="other", SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    assert await reported(secrets) == (
        "secret api-token: SCHEDULER_SECRET_API_TOKEN and SCHEDULER_SECRET_API_TOKEN_FILE are set; set one of them"
    )


async def test_a_missing_file_is_named_and_stays_an_error_of_health_until_it_exists(
    file: Path, clock: ManualClock
) -> None:
    file.unlink()  # noqa: ASYNC240 - a small file
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    message = f"secret api-token: SCHEDULER_SECRET_API_TOKEN_FILE: {file} does not exist; check its mount"
    assert await reported(secrets) == message
    assert [failure.message for failure in secrets.health()] == [message]
    file.write_text("value")  # noqa: ASYNC240 - a small file
    clock.passed += FILE_CHECK_INTERVAL
    assert await secrets.get_secret("api-token") == "value"
    assert secrets.health() == ()


async def test_an_empty_file_is_an_error(file: Path, clock: ManualClock) -> None:
    file.write_text("\n")  # noqa: ASYNC240 - a small file
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    assert await reported(secrets) == f"secret api-token: SCHEDULER_SECRET_API_TOKEN_FILE: {file} is empty"


async def test_a_value_in_place_of_a_path_is_not_shown(clock: ManualClock) -> None:
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE="sesame")
    assert await reported(secrets) == (
        "secret api-token: SCHEDULER_SECRET_API_TOKEN_FILE is not an absolute path; "
        "write the path of a file with the value"
    )


async def test_an_unresolved_reference_in_the_file_makes_the_app_not_ready(file: Path, clock: ManualClock) -> None:
    file.write_text("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/x)")  # noqa: ASYNC240 - a small file
    secrets = chain(clock, SCHEDULER_SECRET_API_TOKEN_FILE=str(file))
    assert len(await secrets.unresolved()) == 1
    assert "is not resolved" in await reported(secrets)
