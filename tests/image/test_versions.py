"""The version of a working copy, from its tags, and where the sources contain it."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from container.errors import InvalidUse
from container.versions import read_number, read_source_version
from scheduler.version import VERSION
from tests.project import ROOT
from tests.project.test_files import files

TIME = 1_700_000_000


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit, whose sources contain 0.2.0."""
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler/version.py").write_text('"""About."""\n\nVERSION = "0.2.0"\n')
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in PERSON.items()}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **who, **settings}, check=True, text=True, capture_output=True
    )
    return done.stdout.strip()


PERSON = {"NAME": "Someone", "EMAIL": "someone@example.com", "DATE": f"{TIME} +0000"}


def commit(folder: Path, text: str) -> str:
    (folder / "file.txt").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD")


def test_a_commit_without_tags_has_the_number_of_the_sources(checkout: Path) -> None:
    found = read_source_version(checkout)
    head = git(checkout, "rev-parse", "HEAD")
    assert (found.version, found.revision, found.time) == (f"0.2.0+g{head[:12]}", head, TIME)


def test_a_tagged_commit_has_the_version_of_its_tag(checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    assert read_source_version(checkout).version == "0.2.0"


def test_an_annotated_tag_counts_and_other_tags_do_not(checkout: Path) -> None:
    git(checkout, "tag", "deployed-today")
    git(checkout, "tag", "--annotate", "--message", "0.2.0", "v0.2.0")
    assert read_source_version(checkout).version == "0.2.0"


def test_a_commit_after_a_tag_counts_from_it(checkout: Path) -> None:
    git(checkout, "tag", "v0.1.0")
    head = [commit(checkout, text) for text in ("second", "third")][-1]
    assert read_source_version(checkout).version == f"0.1.0+2.g{head[:12]}"


def test_changed_files_are_marked(checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    (checkout / "new.txt").write_text("not tracked")
    assert read_source_version(checkout).version == "0.2.0"
    (checkout / "file.txt").write_text("changed")
    assert read_source_version(checkout).version == "0.2.0+dirty"
    git(checkout, "tag", "--delete", "v0.2.0")
    assert read_source_version(checkout).version.endswith(".dirty")


def test_a_tag_that_is_not_the_number_of_the_sources_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v0.3.0")
    with pytest.raises(InvalidUse, match=r"has the tag v0\.3\.0, but scheduler/version\.py contains 0\.2\.0"):
        read_source_version(checkout)


def test_a_tag_that_is_not_a_version_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v2nd-try")
    with pytest.raises(InvalidUse, match=r"a tag must have the form v1\.2\.3"):
        read_source_version(checkout)


def test_an_archive_has_the_number_of_the_sources(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also where it was unpacked inside another repository."""
    git(checkout, "tag", "v0.1.0")
    inside = checkout / "unpacked"
    (inside / "scheduler").mkdir(parents=True)
    (inside / "scheduler/version.py").write_bytes((checkout / "scheduler/version.py").read_bytes())
    found = read_source_version(inside)
    assert (found.version, found.revision, found.time) == ("0.2.0", "unknown", None)


def test_a_machine_without_git_reads_the_sources(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert read_source_version(checkout).version == "0.2.0"


def test_a_version_is_a_tag_of_an_image_with_another_sign_for_plus(checkout: Path) -> None:
    found = read_source_version(checkout)
    assert found.image_tag == found.version.replace("+", "-")
    assert re.fullmatch(r"\w[\w.-]{0,127}", found.image_tag)


def test_the_sources_contain_the_version_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert read_number(ROOT) == VERSION
    assert (project.get("version"), project["dynamic"]) == (None, ["version"])
    assigned = re.compile(rf"""(?i)\bversion\b\s*[:=]\s*["']?v?{re.escape(VERSION)}\b""")
    sources = [file for file in files() if file.suffix in (".py", ".toml", "", ".yml", ".yaml", ".bicep")]
    products = [file for file in sources if file.relative_to(ROOT).parts[0] not in ("tests", "bench", "docs")]
    hits = [file for file in products if assigned.search(file.read_text("utf-8", "replace"))]
    chart = "infra/packaging/helm/scheduler/Chart.yaml"
    assert {file.relative_to(ROOT).as_posix() for file in hits} == {chart, "scheduler/version.py"}
    assert {yaml.safe_load((ROOT / chart).read_text())[key] for key in ("version", "appVersion")} == {VERSION}


def test_the_sources_have_the_version_of_the_newest_release_or_a_later_one_for_what_is_not_released() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0].strip()
    newest, own = (tuple(map(int, one.split("."))) for one in (_released(changelog)[0], VERSION))
    assert own > newest if unreleased else own == newest


def _released(changelog: str) -> list[str]:
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.M)
