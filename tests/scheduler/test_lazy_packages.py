"""A package that loads a name on first use: scheduler.app."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.parts.proc import ROOT, clean_environment

EVERY_NAME = """
import importlib, pkgutil, sys, types
package = importlib.import_module(sys.argv[1])
if sys.argv[2] == "files first":
    for file in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{file.name}")
print([name for name in package.__all__ if isinstance(getattr(package, name), types.ModuleType)])
"""


@pytest.mark.parametrize("order", ["files first", "names first"])
def test_every_name_is_what_it_names_and_not_a_file_of_that_name(order: str) -> None:
    """A file that is imported becomes an attribute of its package, and would hide a name that is the same."""
    command = [sys.executable, "-c", EVERY_NAME, "scheduler.app", order]

    ended = subprocess.run(command, env=clean_environment(), cwd=ROOT, capture_output=True, text=True)

    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_a_name_that_a_package_does_not_have_is_an_attribute_error() -> None:
    import scheduler.app

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = scheduler.app.nothing
