from __future__ import annotations

from pathlib import Path

from tests.parts.api_requests import api_requests
from tests.parts.identity_table import PRINCIPALS, missing_rows, read_table, write_table


def test_a_written_table_has_a_cell_for_each_route_and_principal(tmp_path: Path) -> None:
    file = tmp_path / "table" / "statuses.tsv"
    write_table(lambda request, principal: "401" if principal == "none" else request.scope, file)

    table = read_table(file)

    assert len(table) == len(api_requests())
    assert table["GET /api/jobs"] == {"none": "401"} | dict.fromkeys(PRINCIPALS[1:], "read")
    assert missing_rows(table) == set()


def test_a_route_without_a_row_and_a_row_without_a_route_are_named(tmp_path: Path) -> None:
    file = tmp_path / "statuses.tsv"
    write_table(lambda request, principal: "401", file)
    file.write_text(file.read_text().replace("GET /api/jobs\t", "GET /api/works\t"))

    assert missing_rows(read_table(file)) == {"GET /api/jobs", "GET /api/works"}
