"""infra/pipeline/packages: equal files of a commit, their checksums, and uploads to what is set."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from container import packages
from container.commands import Commands
from container.errors import InvalidUse
from container.versions import SourceVersion
from tests.project import ROOT
from tools.infra import helm

REGISTRY, INDEX = "contoso.azurecr.io/charts", "https://feed.example/upload"


class Recorded(Commands):
    """Records what it would run; `./dev sbom` writes a file."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "calls", [])

    def run(self, *words: str, text: str | None = None) -> None:
        self.calls.append([*words, *([text] if text else [])])  # type: ignore[attr-defined]
        if "sbom" in words:
            Path(words[words.index("--output") + 1]).write_text("{}", encoding="utf-8")

    def read(self, *words: str) -> str:
        return "the-token"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(packages, "read_source_version", lambda root: SourceVersion("9.8.7", "a" * 40, 1))
    packages.build(tmp_path / "dist", Recorded(), is_release=True)
    return tmp_path / "dist"


def test_a_tag_has_wheel_archive_chart_components_and_checksums(built: Path) -> None:
    sums = (built / packages.SUMS_FILE).read_text(encoding="utf-8")
    assert {path.suffix for path in built.iterdir()} == {".whl", ".gz", ".tgz", ".json", ""}
    assert {line.split("  ")[1] for line in sums.splitlines()} == {path.name for path in built.iterdir()} - {
        "SHA256SUMS"
    }
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=built, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (wheel,) = built.glob("*.whl")
    assert "azure_job_scheduler/tree/scheduler/version.py" in zipfile.ZipFile(wheel).namelist()


def test_the_chart_has_the_version_of_the_tag(built: Path) -> None:
    with tarfile.open(built / "scheduler-9.8.7.tgz") as archive:
        names = set(archive.getnames())
        archive.extractall(built.parent, filter="data")
    text = (built.parent / "scheduler" / "Chart.yaml").read_text(encoding="utf-8")
    assert "version: 9.8.7\nappVersion: 9.8.7\n" in text
    if helm.is_installed():
        assert "scheduler/templates/deployment.yaml" in helm.render(built / "scheduler-9.8.7.tgz", {}, "scheduler")
    folder = ROOT / "infra" / "packaging" / "helm" / "scheduler"
    assert names == {f"scheduler/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}


def test_equal_commits_make_equal_files(built: Path, tmp_path: Path) -> None:
    packages.build(tmp_path / "again", Recorded(), is_release=True)
    first, second = ((folder / packages.SUMS_FILE).read_bytes() for folder in (built, tmp_path / "again"))
    assert first == second


def test_a_publication_signs_in_and_uploads_what_was_built(built: Path) -> None:
    commands = Recorded()
    packages.publish(built, commands, REGISTRY, INDEX)
    login, push, upload = commands.calls  # type: ignore[attr-defined]
    assert login[:3] == ["helm", "registry", "login"]
    assert login[-2:] == ["contoso.azurecr.io", "the-token"], "the token is on standard input"
    assert push == ["helm", "push", str(built / "scheduler-9.8.7.tgz"), f"oci://{REGISTRY}"]
    assert upload[:5] == ["twine", "upload", "--non-interactive", "--repository-url", INDEX]
    assert {Path(word).suffix for word in upload[5:]} == {".whl", ".gz"}


def test_a_changed_file_is_not_published(built: Path) -> None:
    next(built.glob("*.tgz")).write_bytes(b"other")
    with pytest.raises(InvalidUse, match=r"scheduler-9\.8\.7\.tgz: changed"):
        packages.publish(built, Recorded(), REGISTRY, "")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["publish"], 2, "set CHART_REGISTRY or PYTHON_INDEX"),
        (["publish", "--chart-registry", REGISTRY], 2, "does not have the files"),
        (["build", "--any-version", "--dry-run"], 0, "dev sbom --output"),
    ],
)
def test_a_step_names_what_is_missing(words: list[str], code: int, message: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "infra/pipeline/packages"), *words]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_commit_without_a_tag_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "read_source_version", lambda root: SourceVersion("9.8.7+3.gabc", "a" * 40, 1))
    with pytest.raises(InvalidUse, match=r"9\.8\.7\+3\.gabc: check out the tag"):
        packages.build(tmp_path / "dist", Recorded(), is_release=True)
