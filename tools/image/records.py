"""Rewrites the RECORD of installed distributions after files were removed or changed. Used by tools.image.assemble.

RECORD lists the files of a distribution with their hashes: scanners compare them with what is installed.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from pathlib import Path

RECORD = "RECORD"


def rewrite_records(packages: Path) -> None:
    """Let each RECORD list what exists of its files, with the hashes that they have now."""
    for record in sorted(packages.glob(f"*.dist-info/{RECORD}")):
        with record.open(newline="", encoding="utf-8") as file:
            names = sorted(row[0] for row in csv.reader(file) if row)
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        for name in names:
            path = packages / name
            if path == record:
                rows.writerow((name, "", ""))
            elif path.is_file() and path.resolve().is_relative_to(packages.resolve()):
                rows.writerow((name, *describe(path.read_bytes())))
        record.write_text(text.getvalue(), encoding="utf-8")


def describe(content: bytes) -> tuple[str, int]:
    """Return hash and size in RECORD's form."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}", len(content)
