"""infra/pipeline/image: the commands it runs, with stand-ins for the tools, and what the steps hand over."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from container.bases import read_bases, require_digest, update_bases
from container.commands import Commands
from container.engines import find_engine
from container.errors import InvalidUse
from container.record import ImageRecord
from container.signing import describe_provenance
from container.versions import read_source_version
from tests.project import ROOT

DIGEST = f"sha256:{'ab' * 32}"
BASE_DIGEST = f"sha256:{'cd' * 32}"
REPOSITORY = "contoso.azurecr.io/scheduler"
STAND_IN = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
words = [Path(sys.argv[0]).name, *sys.argv[1:]]
given = sys.stdin.read() if "--password-stdin" in words else ""
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([*words, *([given] if given else [])]) + "\\n")
if os.environ.get("FAILS") == words[1]:
    sys.exit(3)
if "--digestfile" in words:
    Path(words[words.index("--digestfile") + 1]).write_text("{DIGEST}")
if words[:2] == ["docker", "inspect"]:
    print("other/name@sha256:00\\n{REPOSITORY}@{DIGEST}")
if "--expose-token" in words:
    print("the-token")
if words[:4] == ["az", "acr", "repository", "show"] or words[:2] == ["skopeo", "inspect"]:
    print("{DIGEST}")
"""


class Workplace:
    """A folder where commands run, with the calls of the tools that are on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "bin"
        self.tools.mkdir()
        self.calls_file = folder / "calls.txt"

    def install(self, *names: str) -> None:
        for name in names:
            tool = self.tools / name
            tool.write_text(STAND_IN)
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.tools}:/usr/bin:/bin", "CALLS": str(self.calls_file), **environ}
        command = [sys.executable, str(ROOT / "infra/pipeline/image"), *words]
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True)

    @property
    def calls(self) -> list[list[str]]:
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def record(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "image.json").read_text())
        return found


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def built(place: Workplace) -> Workplace:
    """After `build` by Docker."""
    place.install("docker", "az", "cosign")
    done = place.run("build", "--engine", "docker", "--revision", "abc", "--version", "1.2.3+4.gabc")
    assert done.returncode == 0, done.stderr
    place.calls_file.unlink()
    return place


def test_a_build_hands_over_what_it_built(place: Workplace) -> None:
    place.install("docker")
    done = place.run("build", "--base-digest", BASE_DIGEST, "--revision", "abc", "--version", "1.2.3+4.gabc")

    assert (done.returncode, done.stdout) == (0, "1.2.3+4.gabc\n")
    _, build = place.calls  # the first one finds out whether an engine runs
    assert build[:3] == ["docker", "build", "--pull"]
    assert build[-3:] == ["--tag", "localhost/scheduler:1.2.3-4.gabc", "."]
    arguments = dict(word.split("=", 1) for word in build if "=" in word)
    assert arguments == {
        "BASE_IMAGE": "mcr.microsoft.com/azure-functions/python:4-python3.13",
        "BASE_DIGEST": BASE_DIGEST,
        "REVISION": "abc",
        "VERSION": "1.2.3+4.gabc",
    }
    assert place.record["base"] == f"mcr.microsoft.com/azure-functions/python:4-python3.13@{BASE_DIGEST}"
    assert (place.record["version"], place.record["digest"]) == ("1.2.3+4.gabc", "")
    assert not (place.folder / "image.txt").exists()


@pytest.mark.parametrize(
    "on_main", [{"GITHUB_REF": "refs/heads/main"}, {"BUILD_SOURCEBRANCH": "refs/heads/main"}, {"BRANCH_NAME": "main"}]
)
def test_a_pipeline_on_main_builds_on_a_pinned_base_only(place: Workplace, on_main: dict[str, str]) -> None:
    place.install("docker")
    words = ("build", "--engine", "docker", "--base-image", "base", "--version", "1", "--revision", "a")
    branch = dict.fromkeys(on_main, "refs/heads/bases")
    refused, pinned, of_branch = (
        place.run(*words, **on_main),
        place.run(*words, "--base-digest", BASE_DIGEST, **on_main),
        place.run(*words, **branch),
    )
    is_pinned = bool(read_bases()["BASE"]["digest"])
    assert (refused.returncode, pinned.returncode, of_branch.returncode) == (0 if is_pinned else 2, 0, 0)
    assert is_pinned or "has no digest of BASE" in refused.stderr


@pytest.mark.parametrize("name", ["BASE", "PYTHON"])
def test_an_unpinned_base_of_main_is_refused_with_the_command_that_pins_it(name: str) -> None:
    with pytest.raises(InvalidUse, match=f"no digest of {name}.*image bases --update"):
        require_digest("", name, {"BRANCH_NAME": "main", "PATH": "/bin"})
    require_digest(BASE_DIGEST, name, {"BRANCH_NAME": "main"})
    require_digest("", name, {"BRANCH_NAME": "PR-12", "GITHUB_REF": "refs/pull/1/merge"})


def test_a_build_takes_version_and_commit_of_the_working_copy(place: Workplace) -> None:
    place.install("docker")
    done = place.run("build", "--engine", "docker", PATH=f"{place.tools}:{os.environ['PATH']}")
    expected = read_source_version(ROOT)
    assert done.returncode == 0, done.stderr
    assert (place.record["version"], place.record["revision"]) == (expected.version, expected.revision)


def test_the_embedded_image_is_its_stage_on_its_base(place: Workplace) -> None:
    place.install("buildah")
    words = ("--target", "embedded", "--python-digest", BASE_DIGEST, "--no-pull", "--version", "1", "--revision", "a")
    place.run("build", "--engine", "buildah", *words)
    [build] = place.calls
    assert build[build.index("--target") :][:2] == ["--target", "embedded"]
    assert f"PYTHON_DIGEST={BASE_DIGEST}" in build
    assert build[:6] == ["buildah", "build", "--pull=never", "--format", "docker", "--layers"]


def test_the_image_with_drivers_has_tags_components_and_an_origin_of_its_own(place: Workplace) -> None:
    place.install("docker", "az")
    words = ("--engine", "docker", "--version", "1.2.3+4.gabc", "--revision", "abc")
    drivers = "requirements-databases.txt"
    place.run("build", *words, IMAGE_REQUIREMENTS=drivers)
    place.run("push", "--repository", REPOSITORY)
    sbom = place.run("--dry-run", "sbom")

    build, *_ = place.calls
    assert build[-2] == "localhost/scheduler:1.2.3-4.gabc-databases"
    assert f"REQUIREMENTS={drivers}" in build
    assert "VERSION=1.2.3+4.gabc" in build  # for which the release waits
    assert [call[2] for call in place.calls if call[1] == "push"] == [
        f"{REPOSITORY}:1.2.3-4.gabc-databases",
        f"{REPOSITORY}:abc-databases",
    ]
    assert sbom.stderr.endswith(f"--requirements {drivers}\n")
    provenance = describe_provenance(ImageRecord(**place.record), "https://example.com/repository")
    assert provenance["buildDefinition"]["externalParameters"]["requirements"] == drivers


@pytest.mark.parametrize("name", ["IMAGE_TARGET", "IMAGE_REQUIREMENTS"])
def test_a_variable_with_an_unknown_value_names_the_known_ones(place: Workplace, name: str) -> None:
    done = place.run("build", **{name: "others.txt"})
    assert done.returncode == 2
    assert f"{name}: expected one of " in done.stderr


def test_a_push_by_docker_prints_the_digest_that_a_deployment_uses(built: Workplace) -> None:
    done = built.run("push", "--repository", REPOSITORY)

    assert (done.returncode, done.stdout) == (0, f"{REPOSITORY}@{DIGEST}\n")
    assert (built.folder / "image.txt").read_text() == f"{REPOSITORY}@{DIGEST}\n"
    assert (built.record["repository"], built.record["digest"]) == (REPOSITORY, DIGEST)
    assert built.calls[0] == ["az", "acr", "login", "--name", "contoso"]
    assert [call[2] for call in built.calls if call[1] == "push"] == [
        f"{REPOSITORY}:1.2.3-4.gabc",
        f"{REPOSITORY}:abc",
    ]


def test_a_push_by_buildah_signs_in_without_a_secret_on_the_command_line(place: Workplace) -> None:
    place.install("buildah", "az")
    place.run("build", "--engine", "buildah", "--version", "1.2.3", "--revision", "abc")
    done = place.run("push", IMAGE_REPOSITORY=REPOSITORY)

    assert (done.returncode, done.stdout) == (0, f"{REPOSITORY}@{DIGEST}\n")
    [login] = [call for call in place.calls if call[:2] == ["buildah", "login"]]
    user, host = login[3], login[5]
    assert (user.strip("0-"), host) == ("", "contoso.azurecr.io")
    assert login[4:] == ["--password-stdin", host, "the-token"]  # the last one is the standard input


def test_an_agent_without_an_engine_builds_in_the_registry(place: Workplace) -> None:
    place.install("az")
    environ = {"IMAGE_REPOSITORY": REPOSITORY, "PATH": str(place.tools)}
    built = place.run("build", "--version", "1.2.3", "--revision", "abc", **environ)
    pushed = place.run("push", **environ)

    assert (built.returncode, pushed.returncode) == (0, 0), built.stderr + pushed.stderr
    check, push, _ = place.calls
    assert check[:6] == ["az", "acr", "build", "--registry", "contoso", "--platform"]
    assert "--no-push" in check
    assert [push[at + 1] for at, word in enumerate(push) if word == "--image"] == ["scheduler:1.2.3", "scheduler:abc"]
    assert place.record["digest"] == DIGEST


def test_signing_covers_the_image_its_components_and_its_origin(built: Workplace) -> None:
    built.run("push", "--repository", REPOSITORY)
    built.calls_file.unlink()
    missing = built.run("sign", SIGNING_KEY="the.key")
    (built.folder / "sbom.json").write_text("{}")
    done = built.run("sign", "--source", "https://example.com/repository", SIGNING_KEY="the.key")

    assert (missing.returncode, done.returncode) == (2, 0)
    assert "sbom.json does not exist" in missing.stderr
    kinds = [call[call.index("--type") + 1] for call in built.calls if "--type" in call]
    assert [call[1] for call in built.calls] == ["sign", "attest", "attest"]
    assert kinds == ["cyclonedx", "slsaprovenance1"]
    for call in built.calls:
        assert call[-1] == f"{REPOSITORY}@{DIGEST}"
        assert "--tlog-upload=false" in call
        assert call[call.index("--key") + 1] == "the.key"


def test_without_a_key_the_identity_of_the_pipeline_signs(built: Workplace) -> None:
    built.run("push", "--repository", REPOSITORY)
    (built.folder / "sbom.json").write_text("{}")
    built.run("sign")
    assert not any("--key" in call for call in built.calls)


def test_verification_needs_a_key_or_who_signed(built: Workplace) -> None:
    built.run("push", "--repository", REPOSITORY)
    image = ("--image", f"{REPOSITORY}@{DIGEST}")
    nothing = built.run("verify", *image)
    person = ("--certificate-identity", "https://ci.example.com/release", "--issuer", "https://issuer.example.com")
    keyless = built.run("verify", *image, *person)

    assert (nothing.returncode, keyless.returncode) == (2, 0)
    assert "give --key, or --certificate-identity and --issuer" in nothing.stderr
    assert [call[1] for call in built.calls if call[0] == "cosign"] == ["verify", *["verify-attestation"] * 2]


def test_an_image_that_is_not_pushed_cannot_be_signed(built: Workplace) -> None:
    (built.folder / "sbom.json").write_text("{}")
    done = built.run("sign", "--key", "k")
    assert (done.returncode, built.calls) == (2, [])
    assert "push the image first" in done.stderr


@pytest.mark.parametrize("words", [("push", "--repository", REPOSITORY), ("scan",), ("sbom",), ("sign",), ("size",)])
def test_a_step_without_a_build_says_so(place: Workplace, words: tuple[str, ...]) -> None:
    done = place.run(*words)
    assert done.returncode == 2
    assert "build the image first" in done.stderr


def test_a_failing_tool_ends_the_step(built: Workplace) -> None:
    done = built.run("push", "--repository", REPOSITORY, FAILS="push")
    assert done.returncode == 1
    assert "exit code 3 of: docker push" in done.stderr
    assert built.record["digest"] == ""


def test_a_dry_run_prints_commands_and_changes_nothing(place: Workplace) -> None:
    place.install("docker", "az")
    steps = [("build",), ("push", "--repository", REPOSITORY), ("sbom",), ("scan",), ("sign", "--key", "k")]
    done = [place.run("--dry-run", *words) for words in steps]
    assert [each.returncode for each in done] == [0] * len(steps), [each.stderr for each in done]
    assert all(each.stderr.startswith("+ ") for each in done)
    assert place.calls == []
    assert {path.name for path in place.folder.iterdir()} == {"bin"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("build", "--base-digest", "sha256:12"), "is not a digest"),
        (("push",), "give --repository"),
        (("push", "--environment", "nowhere"), "does not name a registry"),
    ],
)
def test_wrong_use_is_exit_code_2(built: Workplace, words: tuple[str, ...], problem: str) -> None:
    done = built.run(*words)
    assert done.returncode == 2
    assert problem in done.stderr


def test_a_scan_finds_what_a_newer_version_fixes(built: Workplace) -> None:
    none = built.run("scan")
    built.install("trivy")
    found = built.run("scan", FAILS="image")
    [call] = built.calls
    assert (none.returncode, found.returncode) == (2, 1)
    assert call[:2] == ["trivy", "image"]
    assert "--ignore-unfixed" in call
    assert call[-1] == "localhost/scheduler:1.2.3-4.gabc"


def test_new_digests_of_the_bases_are_found(place: Workplace) -> None:
    place.install("skopeo")
    before = (ROOT / "infra/pipeline/bases.json").read_bytes()
    done = place.run("bases")
    assert done.returncode == 0, done.stderr
    assert [line.rpartition(" -> ")[2] for line in done.stdout.splitlines()] == [DIGEST, DIGEST]
    assert (ROOT / "infra/pipeline/bases.json").read_bytes() == before


def test_an_update_pins_the_new_digests(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.install("skopeo")
    monkeypatch.setenv("PATH", str(place.tools))
    monkeypatch.setenv("CALLS", str(place.calls_file))
    file = place.folder / "bases.json"
    file.write_text(json.dumps({"BASE": {"image": "a:1", "digest": DIGEST}, "PYTHON": {"image": "b:1", "digest": ""}}))

    changes = update_bases(Commands(), file)
    again = update_bases(Commands(), file)

    assert (changes, again) == ([f"b:1: not pinned -> {DIGEST}"], [])
    assert [base["digest"] for base in read_bases(file).values()] == [DIGEST, DIGEST]


def test_bases_and_dockerfile_name_the_same_images() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    bases = json.loads((ROOT / "infra/pipeline/bases.json").read_text())
    assert {name: f"ARG {name}_IMAGE={base['image']}" in dockerfile for name, base in bases.items()} == {
        "BASE": True,
        "PYTHON": True,
    }


def test_a_machine_without_any_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidUse, match="neither Docker"):
        find_engine(Commands())
