"""The two layers of an image, made of small packages and a small program."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT
from tools.image.assemble import FILE_TIME

PACKAGES = "opt/app/packages"
FILES = {
    "packages/six.py": "SET = {'a', 'b', 'c'}\n",
    "packages/datadog_api_client/__init__.py": "",
    "packages/datadog_api_client/used.py": "",
    "packages/datadog_api_client/unused.py": "",
    "packages/dns/by_name.py": "",
    "packages/seldom.py": "",
    "packages/tests/__init__.py": "",
    "packages/six-1.0.dist-info/METADATA": "Name: six\nVersion: 1.0\nLicense-Expression: MIT\n",
    "packages/six-1.0.dist-info/RECORD": "six.py,sha256=old,1\ntests/__init__.py,,\nsix-1.0.dist-info/METADATA,,\n"
    "six-1.0.dist-info/RECORD,,\n../../bin/six,,\n",
    "program/function_app.py": "import jobs.names",
    "program/jobs/__init__.py": "",
    "program/jobs/names.py": "import six\nTABLE = {'used': 'datadog_api_client.used'}\n",
    "program/scheduler/__init__.py": "",
    "program/config/prod.yaml": "a: 1\n",
}


def build(folder: Path, *, seed: str, mode: int) -> Path:
    """Assemble in a new process, as in a build."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    words = ["packages", "program", "layers", "--packages-path", PACKAGES, "--program-path", "opt/app"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    command = [sys.executable, "-m", "tools.image.assemble", *words]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder / "layers"


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("first"), seed="1", mode=0o640)


def state(tree: Path) -> dict[str, tuple[int, int, str]]:
    return {
        path.relative_to(tree).as_posix(): (
            path.stat().st_mode,
            int(path.stat().st_mtime),
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in tree.rglob("*")
    }


def test_a_second_build_makes_the_same_layers(layers: Path, tmp_path: Path) -> None:
    """With another seed for hashes, in another folder, of a checkout with other modes."""
    again = build(tmp_path, seed="2", mode=0o664)
    assert state(again) == state(layers)
    assert {time for _, time, _ in state(layers).values()} == {FILE_TIME}


def test_files_that_other_environments_share_are_copied_and_not_changed(tmp_path: Path) -> None:
    """uv installs links to its cache."""
    library = importlib.util.find_spec("yaml._yaml")
    assert library
    assert library.origin
    cached = Path(library.origin).read_bytes()
    (tmp_path / "cache").mkdir()
    (tmp_path / "packages").mkdir()
    for name in ("hard.so", "symbolic.so"):
        (tmp_path / "cache" / name).write_bytes(cached)
        (tmp_path / "cache" / name).chmod(0o755)
    os.link(tmp_path / "cache/hard.so", tmp_path / "packages/hard.so")
    os.symlink(tmp_path / "cache/symbolic.so", tmp_path / "packages/symbolic.so")
    before = state(tmp_path / "cache")

    layers = build(tmp_path, seed="1", mode=0o640)

    assert state(tmp_path / "cache") == before
    for name in ("hard.so", "symbolic.so"):
        assert (layers / "packages" / PACKAGES / name).stat().st_size < len(cached)


def test_each_layer_has_its_part(layers: Path) -> None:
    files = {path.relative_to(layers).as_posix() for path in layers.rglob("*") if path.is_file()}
    cached = f".cpython-{sys.version_info[0]}{sys.version_info[1]}.pyc"
    at, program = f"packages/{PACKAGES}", "program/opt/app"
    assert files == {
        f"{at}/licenses.tsv",
        f"{at}/six.py",
        f"{at}/__pycache__/six{cached}",
        f"{at}/datadog_api_client/__init__.py",
        f"{at}/datadog_api_client/__pycache__/__init__{cached}",
        f"{at}/datadog_api_client/used.py",
        f"{at}/datadog_api_client/__pycache__/used{cached}",
        f"{at}/dns/by_name.py",
        f"{at}/dns/__pycache__/by_name{cached}",
        f"{at}/seldom.py",
        f"{at}/six-1.0.dist-info/METADATA",
        f"{at}/six-1.0.dist-info/RECORD",
        f"{program}/function_app.py",
        f"{program}/__pycache__/function_app{cached}",
        f"{program}/jobs/__init__.py",
        f"{program}/jobs/__pycache__/__init__{cached}",
        f"{program}/jobs/names.py",
        f"{program}/jobs/__pycache__/names{cached}",
        f"{program}/scheduler/__init__.py",
        f"{program}/scheduler/__pycache__/__init__{cached}",
        f"{program}/config/prod.yaml",
    }


def test_byte_code_ignores_file_times_and_names_its_place_in_the_image(layers: Path) -> None:
    file = layers / "packages" / PACKAGES / "six.py"
    code = Path(importlib.util.cache_from_source(str(file))).read_bytes()
    unchecked_hash = 1
    assert int.from_bytes(code[4:8], "little") == unchecked_hash
    assert f"/{PACKAGES}/six.py".encode() in code


def test_a_record_lists_what_exists_with_its_hash(layers: Path) -> None:
    folder = layers / "packages" / PACKAGES
    with (folder / "six-1.0.dist-info/RECORD").open(newline="") as file:
        rows = {name: (digest, size) for name, digest, size in csv.reader(file)}
    content = (folder / "six.py").read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

    assert set(rows) == {"six.py", "six-1.0.dist-info/METADATA", "six-1.0.dist-info/RECORD"}
    assert rows["six.py"] == (f"sha256={digest}", str(len(content)))
    assert rows["six-1.0.dist-info/RECORD"] == ("", "")
