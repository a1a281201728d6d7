"""Offers in the form of the file: JSON in a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.documents.document import rewrite_examples_as_json
from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader


@pytest.mark.parametrize(
    ("text", "as_json"),
    [
        ("write retry: {attempts: 3}", 'write "retry": {"attempts": 3}'),
        ("write expect: [{status: 200}]", 'write "expect": [{"status": 200}]'),
        ("write {json: $.status, equals: UP}", 'write {"json": "$.status", "equals": "UP"}'),
        ("write retry: {attempts: 4}, as it counts", 'write "retry": {"attempts": 4}, as it counts'),
        ("60 has no unit: write {every: 60s} if so", '60 has no unit: write {"every": "60s"} if so'),
        (
            "write {monthly: {day: last, at: '10:15'}} (or {monthly: {day: last}}, if Sunday is 1)",
            'write {"monthly": {"day": "last", "at": "10:15"}} (or {"monthly": {"day": "last"}}, if Sunday is 1)',
        ),
        ("write '@hourly' (in quotes)", 'write "@hourly"'),
        ("write '0 0 12 * * 1-5'", 'write "0 0 12 * * 1-5"'),
        ("write timeout beside check, one level up", "write timeout beside check, one level up"),
        ("write it like 500ms, 10s, 2m or 1h30m", "write it like 500ms, 10s, 2m or 1h30m"),
        ("write {broken: [", "write {broken: ["),
        ("is missing", "is missing"),
    ],
)
def test_the_form_after_write_is_written_as_json(text: str, as_json: str) -> None:
    assert rewrite_examples_as_json(text) == as_json


def test_a_problem_of_a_json_file_offers_json(tmp_path: Path) -> None:
    job = {"check": {"url": "https://shop.internal/"}, "retry": 3, "schedule": "5m", "expect": ["[STATUS] == 200"]}
    (tmp_path / "shop.json").write_text(json.dumps({"jobs": {"shop": job}}))

    with pytest.raises(ConfigurationError) as refused:
        JobFileReader(tmp_path).read(tmp_path)

    assert [str(problem).rpartition("write ")[2] for problem in refused.value.problems] == [
        '{"every": "5m"}',
        '{"status": 200}',
        '"retry": {"attempts": 3}',
    ]
