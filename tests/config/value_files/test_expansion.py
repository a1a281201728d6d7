"""A secret can stand in a file that the variable NAME_FILE names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.errors import ConfigurationError, format_problems
from config.loading import load_usable_settings
from config.settings.loading import list_settings, load_settings, load_telemetry_settings
from config.settings.variables import (
    MAX_SECRET_BYTES,
    UnusableSecretFile,
    read_secret_variable,
    secret_setting_variables,
)
from tests.project import ROOT

Write = Callable[[str | bytes], str]

SAMPLES = {
    "connection_string": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0",
    "api_key": "sesame",
    "headers": "api-key=sesame",
    "proxy_password": "sesame",
    "url": "https://watch.example.com/ping/sesame",
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(content: str | bytes) -> str:
        file = tmp_path / "mounted"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(file)

    return write_file


def problems(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ, root=ROOT)
    return format_problems(caught.value.problems)


def value_at(path: tuple[str, ...], **environ: str) -> str:
    found: object = load_settings(environ, root=ROOT).settings
    for name in path:
        found = getattr(found, name)
    assert isinstance(found, SecretStr)
    return found.get_secret_value()


def secret_settings() -> list[tuple[str, ...]]:
    loaded = load_settings({}, root=ROOT)
    return [setting.path for setting in list_settings(loaded) if setting.is_secret]


def test_every_secret_setting_has_a_sample() -> None:
    assert {path[-1] for path in secret_settings()} == set(SAMPLES)


@pytest.mark.parametrize("path", secret_settings(), ids=".".join)
def test_every_setting_that_holds_a_secret_can_stand_in_a_file(path: tuple[str, ...], write: Write) -> None:
    variable = "SCHEDULER_" + "__".join(path).upper() + "_FILE"
    sample = SAMPLES[path[-1]]
    environ = {variable: write(sample + "\n")}
    assert value_at(path, **environ) == sample
    assert load_settings(environ, root=ROOT).find_origin(*path) == variable


@pytest.mark.parametrize(
    "name",
    ["AzureWebJobsStorage", "APPLICATIONINSIGHTS_CONNECTION_STRING", "DD_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS"],
)
def test_names_of_azure_datadog_and_opentelemetry_can_have_a_file(name: str, write: Write) -> None:
    path = {
        "AzureWebJobsStorage": ("storage", "connection_string"),
        "DD_API_KEY": ("datadog", "api_key"),
        "OTEL_EXPORTER_OTLP_HEADERS": ("otlp", "headers"),
    }.get(name, ("application_insights", "connection_string"))
    assert value_at(path, **{f"{name}_FILE": write(SAMPLES[path[-1]])}) == SAMPLES[path[-1]]
    assert name.upper() in secret_setting_variables()


@pytest.mark.parametrize("content", ["sesame", "sesame\n", "sesame\r\n", b"\xef\xbb\xbfsesame\n"])
def test_the_last_line_end_is_removed(content: str | bytes, write: Write) -> None:
    assert value_at(("datadog", "api_key"), DD_API_KEY_FILE=write(content)) == "sesame"


def test_only_one_line_end_is_removed(write: Write) -> None:
    assert value_at(("datadog", "api_key"), DD_API_KEY_FILE=write("a\n\n")) == "a\n"


def test_a_variable_and_its_file_together_are_an_error(write: Write) -> None:
    path = write("sesame")
    assert problems(DD_API_KEY="other-value", DD_API_KEY_FILE=path) == (
        "DD_API_KEY_FILE: DD_API_KEY is set, too; set one of them"
    )
    assert value_at(("datadog", "api_key"), DD_API_KEY=" ", DD_API_KEY_FILE=path) == "sesame"


def test_the_variable_of_our_own_name_goes_before_a_well_known_file(write: Write) -> None:
    environ = {"SCHEDULER_DATADOG__API_KEY": "ours", "DD_API_KEY_FILE": write("theirs")}
    assert value_at(("datadog", "api_key"), **environ) == "ours"


def test_the_secrets_of_jobs_must_not_be_set_twice_either(write: Write) -> None:
    environ = {"SCHEDULER_SECRET_TOKEN": "sesame", "SCHEDULER_SECRET_TOKEN_FILE": write("sesame")}
    assert problems(**environ) == ("SCHEDULER_SECRET_TOKEN_FILE: SCHEDULER_SECRET_TOKEN is set, too; set one of them")


def test_the_name_of_a_secret_may_end_with_file() -> None:
    """SCHEDULER_SECRET_TOKEN_FILE is the variable of the secret token-file as well."""
    load_settings({"SCHEDULER_SECRET_TOKEN": "a", "SCHEDULER_SECRET_TOKEN_FILE": "b"}, root=ROOT)


def test_a_missing_file_is_named() -> None:
    assert problems(DD_API_KEY_FILE="/run/secrets/none") == (
        "DD_API_KEY_FILE: /run/secrets/none does not exist; check its mount"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text; write it so"),
        ("x" * (MAX_SECRET_BYTES + 1), "has more than 64 KiB, which is too large for a secret"),
    ],
)
def test_an_unusable_file_is_explained(content: str | bytes, message: str, write: Write) -> None:
    path = write(content)
    assert problems(DD_API_KEY_FILE=path) == f"DD_API_KEY_FILE: {path} {message}"


def test_a_named_pipe_and_a_folder_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        assert problems(DD_API_KEY_FILE=str(path)) == f"DD_API_KEY_FILE: {path} is not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_explained(write: Write) -> None:
    path = write("sesame")
    os.chmod(path, 0)
    assert "is not readable by the program's user" in problems(DD_API_KEY_FILE=path)


def test_a_value_in_place_of_a_path_is_not_shown() -> None:
    found = problems(DD_API_KEY_FILE="sesame-0123456789")
    assert found == "DD_API_KEY_FILE: is not an absolute path; write the path of a file that holds the value"


def test_an_invalid_value_is_reported_at_the_variable_of_the_file_without_the_value(write: Write) -> None:
    found = problems(SCHEDULER_SELF_WATCH__URL_FILE=write("sesame"))
    assert found.startswith("SCHEDULER_SELF_WATCH__URL_FILE: ")
    assert "sesame" not in found


def test_only_secrets_stand_in_files(write: Write) -> None:
    assert problems(SCHEDULER_PORT_FILE=write("7000")) == (
        "SCHEDULER_PORT_FILE: only a setting that holds a secret can stand in a file; set SCHEDULER_PORT"
    )


def test_a_command_continues_without_the_file_of_telemetry_but_not_of_the_store() -> None:
    loaded, found = load_usable_settings({"DD_API_KEY_FILE": "/none"}, root=ROOT)
    assert loaded.settings.datadog.api_key is None
    assert [problem.key for problem in found] == ["DD_API_KEY_FILE"]
    for name in ("AzureWebJobsStorage_FILE", "SCHEDULER_STORAGE__CONNECTION_STRING_FILE"):
        with pytest.raises(ConfigurationError):
            load_usable_settings({name: "/none"}, root=ROOT)


def test_telemetry_starts_with_a_file_while_other_settings_are_invalid(write: Write) -> None:
    environ = {"SCHEDULER_PORT": "x", "DD_API_KEY_FILE": write("sesame")}
    key = load_telemetry_settings(environ, root=ROOT).datadog.api_key
    assert key is not None
    assert key.get_secret_value() == "sesame"


def test_a_client_secret_in_a_file_makes_the_client_id_one_of_a_principal(write: Write) -> None:
    environ = {"AZURE_CLIENT_ID": "principal", "AZURE_CLIENT_SECRET_FILE": write("sesame")}
    assert load_settings(environ, root=ROOT).settings.managed_identity_client_id is None
    assert problems(AZURE_CLIENT_SECRET="x", AZURE_CLIENT_SECRET_FILE=environ["AZURE_CLIENT_SECRET_FILE"]) == (
        "AZURE_CLIENT_SECRET_FILE: AZURE_CLIENT_SECRET is set, too; set one of them"
    )


def test_a_single_variable_is_read_with_its_file(write: Write) -> None:
    assert read_secret_variable({}, "DD_APP_KEY") == ""
    assert read_secret_variable({"DD_APP_KEY": " a "}, "DD_APP_KEY") == "a"
    assert read_secret_variable({"DD_APP_KEY_FILE": write("b\n")}, "DD_APP_KEY") == "b"
    with pytest.raises(UnusableSecretFile, match="DD_APP_KEY_FILE: DD_APP_KEY is set, too"):
        read_secret_variable({"DD_APP_KEY": "a", "DD_APP_KEY_FILE": "/b"}, "DD_APP_KEY")
    with pytest.raises(UnusableSecretFile, match="DD_APP_KEY_FILE: /none does not exist"):
        read_secret_variable({"DD_APP_KEY_FILE": "/none"}, "DD_APP_KEY")
