"""`profile`, its file, and which scheduler a command reaches."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli.profiles import Profile, ProfileFile, find_profiles_path, find_target, read_profiles, write_profiles
from scheduler.features.delivery.remote import RemoteKey
from tests.parts.host import job
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs
from tests.scheduler.cli.reach.two_ways import two_ways

URL = "https://scheduler.example.com"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles of this user, which does not exist."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return find_profiles_path()


def target(**options: object) -> object:
    given = {"url": None, "profile": None, "is_local": False, "key_variable": None, "read_key_variable": None}
    return find_target(**{**given, "entra": None, **options})  # type: ignore[arg-type]


def test_profiles_are_added_used_and_removed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sch_secret\n")
    assert invoke("profile", "list").lines == ["current\tname\turl\tkey"]
    added = invoke("profile", "add", "prod", f"{URL}/", "--key-file", str(tmp_path / "key"))
    assert (added.code, added.stdout) == (0, "profile prod is added\n")
    assert invoke("profile", "add", "test", "http://127.0.0.1:7071", "--key-variable", "TEST_KEY").code == 0
    assert invoke("profile", "use", "prod").stdout == f"profile prod is in use: {URL}\n"

    listed = invoke("profile", "list")
    shown = invoke("profile", "show", "prod")
    found = json.loads(invoke("profile", "list", "--json").stdout)["profiles"]

    assert listed.lines[1:] == [
        f"*\tprod\t{URL}\tfile {tmp_path / 'key'}",
        "\ttest\thttp://127.0.0.1:7071\tvariable TEST_KEY",
    ]
    assert shown.lines[-1] == "key: is set"
    assert [one["is_current"] for one in found] == [True, False]
    assert "sch_secret" not in file.read_text() + listed.stdout + shown.stdout + shown.stderr
    assert invoke("profile", "remove", "prod").code == 0
    assert read_profiles() == ProfileFile({"test": Profile("http://127.0.0.1:7071", "TEST_KEY")}, "")
    assert invoke("profile", "use", "prod").code == 1
    assert invoke("profile", "use", "--none").code == 0
    assert invoke("profile", "use").code == 2
    invoke("profile", "add", "prod", URL, "--key-file", str(tmp_path / "missing"))
    missing = invoke("jobs", "--profile", "prod")
    assert (missing.code, missing.stderr) == (2, f"key_file: {tmp_path / 'missing'} does not exist; check its mount\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_the_file_is_readable_by_its_user_alone(file: Path) -> None:
    write_profiles(ProfileFile({"prod": Profile(URL)}, "prod"))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["profiles.toml"]


@pytest.mark.usefixtures("file")
@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True), st.text(min_size=1)))
def test_what_is_written_is_read_again(urls: dict[str, str]) -> None:
    content = ProfileFile({name: Profile(url, key_file=url) for name, url in urls.items()}, next(iter(urls), ""))
    try:
        json.dumps(content).encode()
        "".join(urls.values()).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate, which no file has
    write_profiles(content)

    assert read_profiles() == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("current = prod\n", "is not TOML: "),
        ("\n\ncurrent = 'x'\n", ":3: current: there is no profile 'x'"),
        ("[profiles.prod]\nurl = 'https://x'\nkey = 'sch_1'\n", ":3: profile prod: unknown key 'key': expected url, "),
        ("[profiles.prod]\nkey_file = '/k'\n", ":1: profile prod: url is missing"),
        ("[profiles.prod]\nurl = 5\n", ":2: profile prod: url: expected a text in quotes"),
        ("profiles = 5\n", ":1: profiles: expected tables such as [profiles.prod]"),
        ("current = ['x']\n", ":1: current: expected the name of a profile in quotes"),
        ("[other]\n", "unknown key 'other'"),
        ("[profiles.prod]\nurl = 'u'\nkey_file = 'k'\nentra = 'e'\n", "exclude each other"),
    ],
)
def test_a_wrong_file_is_reported_with_its_line(text: str, message: str, file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)

    result = invoke("jobs")

    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert str(file) in result.stderr
    assert "sch_1" not in result.stderr


def test_a_url_uses_no_key_of_a_profile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profiles(ProfileFile({"prod": Profile(URL, key_variable="PROD_KEY")}, "prod"))
    monkeypatch.setenv("PROD_KEY", "sch_prod")

    assert target().keys.change == RemoteKey("sch_prod", "PROD_KEY")  # type: ignore[attr-defined]
    assert target(url="https://other.example").keys.change.text is None  # type: ignore[attr-defined]
    assert target(profile="") is None
    assert target(is_local=True) is None


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    "words",
    [
        ("--url", ""),
        ("--url", URL, "--local"),
        ("--url", URL, "--profile", "prod"),
        ("--profile", "unknown"),
        ("--entra", "api://x"),
        ("--url", URL, "--entra", "api://x", "--key-variable", "A"),
        ("--url", "http://other.example", "--entra", "api://x"),
        ("--url", URL, "--entra", "a b"),
    ],
)
def test_options_that_contradict_each_other_end_with_2(words: tuple[str, ...]) -> None:
    result = invoke("jobs", *words)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr


@pytest.mark.usefixtures("file")
def test_options_before_a_subcommand_are_rejected() -> None:
    result = invoke("circuits", "--url", URL, "reset", "checkout")
    assert (result.code, result.stdout) == (2, "")
    assert "after the subcommand" in result.stderr


def test_a_command_that_needs_the_store_rejects_a_profile_in_use(job_folder: Path, file: Path) -> None:
    write_jobs(job_folder, checkout="http://127.0.0.1:9/")
    chosen = invoke("store", "check", "--url", URL)
    assert chosen.code == 2
    assert chosen.stderr.startswith("store check needs the store, because it reads all rows: run it where the store is")
    write_profiles(ProfileFile({"prod": Profile(URL)}, "prod"))

    in_use, local = invoke("store", "check"), invoke("store", "check", "--local")

    assert (in_use.code, "--local" in in_use.stderr) == (2, True)
    assert "needs the store" not in local.stderr
    assert invoke("jobs", "--local").lines[1].startswith("checkout\t")
    assert "the profile prod is not used" in invoke("validate", "--stored").stderr


def test_a_user_without_a_folder_has_no_profiles(
    job_folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_jobs(job_folder, checkout="http://127.0.0.1:9/")
    (tmp_path / "config").write_text("a file in place of the folder")

    assert invoke("jobs").code == 0

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what Python does for a user without an entry
    assert invoke("jobs").code == 0


async def test_a_profile_in_use_is_reached_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_ways(tmp_path, monkeypatch, {"checkout": job("http://127.0.0.1:9/")}) as ways:
        for words in (
            ("profile", "add", "prod", ways.url, "--key-variable", "OPERATOR"),
            ("profile", "use", "prod"),
        ):
            assert (await ways.local(*words)).code == 0
        monkeypatch.setenv("PATH", "")
        here = await ways.local("jobs", "--profile", "", terminal=True)
        there = await ways.local("jobs", terminal=True)
        paused = await ways.local("pause", "checkout", terminal=True)
        refused = await ways.local("delete", "checkout", "--key-variable", "VIEWER")

        assert there.stdout == here.stdout
        assert (here.stderr, there.stderr) == ("", f"prod: {ways.url}\n")
        assert paused.stderr.startswith(f"prod: {ways.url}\n")
        assert (refused.code, "the key of VIEWER was refused" in refused.stderr) == (1, True)
