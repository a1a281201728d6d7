"""Reads the license of each installed package, and refuses those that the image must not contain.

Called by tools.image.assemble, which writes the list into the image, and by tools.sbom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageMetadata
from typing import NamedTuple

FILE = "licenses.tsv"
"""The list in the folder of the image's packages: name, version and license of each."""
UNKNOWN = "unknown"
PERMITTED = frozenset(
    ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense", "Zlib")
) | {
    # The same ones in packages that give no SPDX expression: classifiers, and texts.
    "3-Clause BSD License",
    "Apache Software License",
    "BSD License",
    "ISC License (ISCL)",
    "MIT License",
    "Python Software Foundation License",
}
"""Permissive licenses. Every other one is refused: GPL, AGPL, SSPL, commercial ones, unknown ones."""
_AS_A_LIBRARY = "used unmodified as a separate library that a user of the image can replace; its source is on PyPI"
EXCEPTIONS = {
    "certifi": (
        "MPL-2.0",
        "a list of certificates, used unmodified: only changed files must be published",
    ),
    "recurring-ical-events": ("LGPL-3.0-or-later", _AS_A_LIBRARY),
    "x-wr-timezone": ("LGPL-3.0-or-later", _AS_A_LIBRARY),
}
"""By package: the license that is accepted for it alone, and why."""


class PackageLicense(NamedTuple):
    """`license`: an SPDX expression where the package gives one, else its own words."""

    name: str
    version: str
    license: str


def read_licenses(distributions: Iterable[Distribution]) -> list[PackageLicense]:
    """Return the licenses of distributions, by name."""
    found = {(normalize_name(one.metadata["Name"]), one.version, _read_license(one.metadata)) for one in distributions}
    return [PackageLicense(*each) for each in sorted(found)]


def normalize_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def find_refused(licenses: Iterable[PackageLicense]) -> Iterator[str]:
    """Yield a sentence for each package whose license is neither permitted nor an exception."""
    for each in licenses:
        if not _is_permitted(each.license) and EXCEPTIONS.get(each.name, ("",))[0] != each.license:
            found = f"{each.name} {each.version} has the license {each.license}"
            yield f"{found}: tools/image/licenses.py does not permit it"


def _read_license(metadata: PackageMetadata) -> str:
    """Return the expression, else the license of the classifiers, else the first line of the text."""
    classifiers = [one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier", []) if one.startswith("License")]
    if expressions := metadata.get_all("License-Expression"):
        return str(expressions[0])
    text = str((metadata.get_all("License") or [UNKNOWN])[0]).strip().partition("\n")[0]
    # An SPDX identifier in the old field is more precise than a classifier.
    precise = text if text in PERMITTED or text in {one[0] for one in EXCEPTIONS.values()} else ""
    return precise or " AND ".join(sorted(classifiers)) or text


def _is_permitted(expression: str) -> bool:
    """Return whether all parts joined by AND are permitted, and of those joined by OR one. Parentheses are refused."""
    return all(any(one in PERMITTED for one in part.split(" OR ")) for part in expression.split(" AND "))
