"""The options that name a running scheduler, and where its key comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from config.settings.variables import CLIENT_VARIABLES
from scheduler.cli.connection import KEY_VARIABLE, Connection, read_connection, read_key
from scheduler.features.delivery.remote import RemoteKey, RemoteKeys


def test_without_a_url_there_is_no_connection() -> None:
    assert read_connection(None, KEY_VARIABLE, environ={KEY_VARIABLE: "x"}) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://scheduler.example.com/", "https://scheduler.example.com"),
        ("http://127.0.0.1:7071", "http://127.0.0.1:7071"),
        ("https://example.com/scheduler", "https://example.com/scheduler"),
    ],
)
def test_an_address_and_its_key(url: str, expected: str) -> None:
    key = RemoteKey("sch_1", "MY_KEY")
    assert read_connection(url, "MY_KEY", environ={"MY_KEY": " sch_1 \n"}) == Connection(expected, RemoteKeys(key, key))


def test_requests_that_read_can_have_a_key_of_their_own() -> None:
    environ = {"OPERATE": "one", "READ": "other"}

    found = read_connection("https://s.example", "OPERATE", "READ", environ)

    assert found is not None
    assert found.keys == RemoteKeys(change=RemoteKey("one", "OPERATE"), read=RemoteKey("other", "READ"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "scheduler.example.com",
        "ftp://x",
        "https://",
        "https://u:p@x",
        "https://x?code=1",
        "https://x#y",
        "http://[x",
    ],
)
def test_what_is_no_address_ends_with_2(url: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        read_connection(url, KEY_VARIABLE, environ={})
    assert ended.value.exit_code == 2


def test_a_key_over_plain_http_to_another_machine_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    read_connection("http://scheduler:7071", KEY_VARIABLE, environ={KEY_VARIABLE: "secret-key"})

    said = capsys.readouterr().err
    assert "is sent to scheduler without encryption" in said
    assert "secret-key" not in said


def test_the_key_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sch_2\n")

    assert read_key("K", {"K_FILE": str(file)}) == "sch_2"
    assert read_key("K", {}) is None


@pytest.mark.parametrize(
    "environ",
    [
        {"K": "a", "K_FILE": "/dev/null"},
        {"K_FILE": "/dev/null"},
        {"K_FILE": "/nowhere/key"},
        {"K": "two words"},
        {"K": "line\nbreak"},
        {"K": "ü"},
    ],
)
def test_a_key_that_cannot_be_used_ends_with_2(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        read_key("K", environ)
    assert ended.value.exit_code == 2
    assert "break" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--key-variable", "--read-key-variable"])
def test_the_name_of_the_variable_is_one(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["not a name", None] if option == "--key-variable" else ["K", "not a name"]
    with pytest.raises(typer.Exit):
        read_connection("https://s.example", str(names[0]), names[1], {})
    assert capsys.readouterr().err.startswith(f"{option}: ")


def test_its_default_is_no_unknown_setting() -> None:
    assert {KEY_VARIABLE, f"{KEY_VARIABLE}_FILE"} == CLIENT_VARIABLES
