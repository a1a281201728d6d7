"""Shared libraries without what the loader does not map."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.image.native_libraries import strip_library


def module_file(name: str) -> Path:
    spec = find_spec(name)
    assert spec
    assert spec.origin
    return Path(spec.origin)


@pytest.mark.parametrize("name", ["uvloop.loop", "_cffi_backend", "yaml._yaml"])
def test_a_stripped_library_is_smaller_and_loads(name: str, tmp_path: Path) -> None:
    original = module_file(name)
    stripped = tmp_path / original.name
    stripped.write_bytes(strip_library(original.read_bytes()))
    assert stripped.stat().st_size < original.stat().st_size

    code = (
        "import sys; from importlib.machinery import ExtensionFileLoader as Loader; from importlib.util import "
        "module_from_spec, spec_from_file_location as spec; name, file = sys.argv[1:]; "
        "module_from_spec(spec(name, file, loader=Loader(name, file)))"
    )
    subprocess.run([sys.executable, "-c", code, name, str(stripped)], check=True)


def test_stripping_again_changes_nothing() -> None:
    once = strip_library(module_file("yaml._yaml").read_bytes())
    assert strip_library(once) == once


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ not ELF",
        b"\x7fELF\x01\x01" + bytes(60),
        b"\x7fELF\x02\x02" + bytes(60),
        b"\x7fELF\x02\x01" + bytes(60),
    ],
    ids=["empty", "other format", "32 bits", "big-endian", "without segments"],
)
def test_other_files_are_unchanged(data: bytes) -> None:
    assert strip_library(data) == data


def test_a_file_that_is_cut_off_is_unchanged() -> None:
    data = module_file("yaml._yaml").read_bytes()[:4096]
    assert strip_library(data) == data
