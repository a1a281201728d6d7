"""Every job file that a test of this package reads has the same verdict by its JSON schema."""

from __future__ import annotations

from typing import Any

import pytest

from config.documents.document import Document
from config.job_files import reader
from config.job_files.joining import FileJobs
from tests.parts.job_file_verdicts import find_contradiction

_check = reader.check_document
_RANDOM = "test_malformed_files.py"
"""Its damage has more reasons than BEYOND_SCHEMAS lists."""


@pytest.fixture(autouse=True)
def same_verdict_by_schema(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    def check_document(document: Document, *context: Any) -> FileJobs:
        checked = _check(document, *context)
        if not (checked.problems and request.path.name == _RANDOM):
            contradiction = find_contradiction(document.value, checked.problems)
            assert not contradiction, f"{document.file}: {contradiction}"
        return checked

    monkeypatch.setattr(reader, "check_document", check_document)
