"""What an image lacks of its packages is what the program does not import, and the rest has a bounded size."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.image.conftest import INSTALLED
from tests.image.pruned_imports import VARIABLE
from tests.project import ROOT
from tests.project.test_requirements import pinned
from tools.image.assemble import SELDOM_IMPORTED, find_reached
from tools.image.byte_code import modules_to_compile
from tools.image.import_graph import ImportGraph
from tools.image.native_libraries import strip_library
from tools.image.pruning import IMPORTED_BY_STATEMENTS, is_foreign, is_importable, unused_files

MAX_MEGABYTES = 150
"""As infra/pipeline/image size has it."""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
TESTS_OF_SDKS = (
    "tests/observability/exporters/datadog/test_delivery.py",
    "tests/observability/generation/datadog/test_api.py",
    "tests/jobs/expectations/entries/test_cel.py",
)
MODULE_NAMES = {
    "azure-core-tracing-opentelemetry": "azure",
    "azure-data-tables": "azure",
    "azurefunctions-extensions-base": "azurefunctions",
    "cffi": "_cffi_backend",
    "dnspython": "dns",
    "markdown-it-py": "markdown_it",
    "protobuf": "google",
    "pyjwt": "jwt",
    "python-dateutil": "dateutil",
    "pyyaml": "yaml _yaml",
    "attrs": "attr",
}
"""Top-level modules of a distribution whose names are not its own."""


@pytest.fixture(scope="module")
def runtime_files() -> frozenset[Path]:
    """The files of the distributions that the image installs."""
    names = set(pinned("requirements.txt", "{}.{}".format(*sys.version_info[:2])))
    found = [one for one in distributions(path=[str(INSTALLED)]) if canonicalize_name(one.name) in names]
    return frozenset(Path(str(one.locate_file(file))) for one in found for file in one.files or ())


def test_code_of_the_sdks_runs_without_the_modules_that_an_image_lacks(
    reached_modules: frozenset[Path], tmp_path: Path
) -> None:
    existing = tmp_path / "existing.txt"
    existing.write_text("\n".join(map(str, reached_modules)))
    lacks = [file for sdk in IMPORTED_BY_STATEMENTS for file in (INSTALLED / sdk).rglob("*.py")]
    assert len(set(lacks) - reached_modules) > 5000

    done = subprocess.run(
        [*PYTEST, "-p", "tests.image.pruned_imports", *TESTS_OF_SDKS],
        cwd=ROOT,
        env={**os.environ, VARIABLE: str(existing)},
        text=True,
        capture_output=True,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_a_module_that_an_image_lacks_is_missing_in_that_test(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    existing = tmp_path / "existing.txt"
    existing.write_text("")
    code = "import tests.image.pruned_imports, datadog_api_client"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, VARIABLE: str(existing)}, text=True, stderr=-1
    )
    assert "No module named 'datadog_api_client' in the image" in done.stderr


def test_packages_and_program_stay_below_the_limit(
    import_graph: ImportGraph, reached_modules: frozenset[Path], runtime_files: frozenset[Path]
) -> None:
    """Byte code is estimated, at the size of its source: `./dev image` measures it in the image."""
    installed = runtime_files - set(unused_files(INSTALLED, reached_modules))
    remaining = [file for file in installed if file.is_file() and file.suffix != ".pyc" and ".." not in file.parts]
    native = sum(len(strip_library(file.read_bytes())) for file in remaining if ".so" in file.suffixes)
    other = sum(file.stat().st_size for file in remaining if ".so" not in file.suffixes)
    often_imported = find_reached(import_graph, ROOT, without=SELDOM_IMPORTED)
    compiled = set(modules_to_compile(INSTALLED, often_imported)) & set(remaining)
    program = [file for file in reached_modules if file.is_relative_to(ROOT) and INSTALLED not in file.parents]
    sources = [*compiled, *program, *program]

    total = (native + other + sum(file.stat().st_size for file in sources)) / 1e6

    assert 90 < total < MAX_MEGABYTES


def test_what_remains_at_the_top_is_a_module_of_its_distribution(
    reached_modules: frozenset[Path], runtime_files: frozenset[Path]
) -> None:
    """Nothing like `tests` or `docs`, which any distribution could install over another's."""
    installed = runtime_files - set(unused_files(INSTALLED, reached_modules))
    tops: dict[str, set[str]] = {}
    for one in distributions(path=[str(INSTALLED)]):
        files = [file for file in one.files or () if file.parts[0] != ".."]
        remaining = [file for file in files if Path(str(one.locate_file(file))) in installed]
        tops[canonicalize_name(one.name)] = {file.parts[0] for file in remaining}

    strange = {
        (name, top)
        for name, found in tops.items()
        for top in found
        if not top.endswith(".dist-info") and top != "__pycache__" and not _belongs(top.partition(".")[0], name)
    }

    assert strange == set()


def _belongs(module: str, distribution: str) -> bool:
    own = distribution.replace("-", "_")
    named = MODULE_NAMES.get(distribution, "").split()
    return module in (own, *named) or own.startswith(f"{module}_") or module.replace("_", "") == own.replace("_", "")


@pytest.mark.parametrize(
    ("top", "importable"),
    [
        ("six.py", True),
        ("yaml", True),
        ("_cffi_backend.cpython-313-x86_64-linux-gnu.so", True),
        ("bazel-project", False),
        ("wrapt-stubs", False),
        (".lock", False),
        ("a1_coverage.pth", False),
    ],
)
def test_names_of_modules_are_recognised(top: str, importable: bool) -> None:
    assert is_importable(top) is importable


def test_names_that_any_distribution_could_install_are_foreign() -> None:
    foreign = ["tests", "test", "docs", "examples", "benchmarks", "setup.py", "conftest.py", "bin", "pip", "setuptools"]
    assert [top for top in foreign if not is_foreign(top)] == []
    assert [top for top in ("yaml", "scheduler", "dns", "six.py") if is_foreign(top)] == []


def test_only_what_python_cannot_use_is_removed(tmp_path: Path) -> None:
    sdk = IMPORTED_BY_STATEMENTS[1]
    names = {
        f"{sdk}/__init__.py": False,
        f"{sdk}/imported.py": False,
        f"{sdk}/not_imported.py": True,
        "pkg/__init__.py": False,
        "pkg/loaded_by_name.py": False,
        "pkg/data.json": False,
        "pkg/_types.pyi": True,
        "pkg/locale/de.po": True,
        "pkg/locale/de.mo": False,
        "pkg/tests/test_it.py": True,
        "other/testing/tests/used.py": False,
        "other/testing/tests/data.txt": False,
        "tests/__init__.py": True,
        "bazel-project/setup.py": True,
        "bin/tool": True,
        "pip/__init__.py": True,
        "pkg-1.0.dist-info/METADATA": False,
    }
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    reached = {tmp_path / sdk / "__init__.py", tmp_path / sdk / "imported.py", tmp_path / "other/testing/tests/used.py"}

    removed = {file.relative_to(tmp_path).as_posix() for file in unused_files(tmp_path, reached)}

    assert removed == {name for name, is_unused in names.items() if is_unused}
