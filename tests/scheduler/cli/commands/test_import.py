"""`import` writes valid job files, never over others, and shows what became of each value."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.config.importers.kuma.backups import mixed_backup
from tests.scheduler.cli.invocation import invoke

CRONTAB = """\
MAILTO=ops@example.com
*/5 * * * * curl -fsS -H "X-Api-Key: sesame-4711" https://shop.example/health
0 4 * * * /opt/backup.sh
"""


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "list"
    file.write_text(CRONTAB)
    return file


def test_nothing_is_written_without_to(crontab: Path) -> None:
    said = invoke("import", "crontab", "list", "--verbose")
    assert said.code == 0
    assert said.lines[0] == "job\tplace\tkey\toutcome\tdetail"
    assert said.lines[1].startswith("shop.example-health\tlist:2\tschedule\timported")
    assert "(no job)\tlist:3\tcommand\tnot carried over\tprograms are not started" in said.stdout
    assert "provide secret shop-example-health-x-api-key: value of the header X-Api-Key" in said.stderr
    assert "1 job, 5 values: 1 imported, 1 changed, 3 not carried over" in said.stderr
    assert "sesame-4711" not in said.stdout + said.stderr
    assert list(crontab.parent.iterdir()) == [crontab]


def test_a_terminal_shows_a_table_for_each_job(crontab: Path) -> None:
    said = invoke("import", "list", "--verbose", terminal=True)
    assert "shop.example-health: 1 imported, 1 changed, 0 not carried over" in said.stdout


def test_the_written_file_is_valid_and_is_not_replaced_without_overwrite(crontab: Path) -> None:
    assert invoke("import", "crontab", "list", "--to", "jobs/list.yaml").code == 0
    written = Path("jobs/list.yaml").read_text()
    assert "sesame-4711" not in written
    assert "  # list:2\n  shop.example-health:\n" in written
    assert invoke("validate", "jobs/list.yaml", "--no-secrets").code == 0
    again = invoke("import", "crontab", "list", "--to", "jobs/list.yaml")
    assert again.code == 2
    assert "would replace jobs/list.yaml: use --overwrite" in again.stderr
    assert invoke("import", "crontab", "list", "--to", "jobs/list.yaml", "--overwrite").code == 0
    assert Path("jobs/list.yaml").read_text() == written


def test_a_folder_gets_a_file_for_each_source_file(crontab: Path) -> None:
    Path("other").write_text("0 3 * * * curl https://other.example/\n")
    assert invoke("import", "crontab", "list", "other", "--to", "jobs").code == 0
    assert sorted(file.name for file in Path("jobs").iterdir()) == ["list.yaml", "other.yaml"]
    assert invoke("validate", "jobs", "--no-secrets").code == 0


def test_strict_exits_with_1_and_writes_no_job_file(crontab: Path) -> None:
    said = invoke("import", "crontab", "list", "--strict", "--to", "jobs/list.yaml", "--report", "report.json")
    assert said.code == 1
    assert not Path("jobs").exists()
    report = json.loads(Path("report.json").read_text())
    assert report["counts"] == {"imported": 1, "changed": 1, "not_carried_over": 3}
    crontab.write_text("*/5 * * * * curl -fsS https://shop.example/health\n")
    assert invoke("import", "crontab", "list", "--strict").code == 0


def test_json_has_everything(crontab: Path) -> None:
    said = invoke("import", "auto", "list", "--json")
    document = json.loads(said.stdout)
    assert document["source"] == "crontab"
    assert document["jobs"][0]["definition"]["check"]["headers"] == {
        "X-Api-Key": {"secret": "shop-example-health-x-api-key"}
    }
    assert document["secrets"][0]["places"] == ["list:2 command"]
    assert {entry["line"] for entry in document["entries"]} == {1, 2, 3}


def test_to_a_dash_prints_the_job_file_alone(crontab: Path) -> None:
    said = invoke("import", "crontab", "list", "--to", "-")
    Path("printed.yaml").write_text(said.stdout)
    assert invoke("validate", "printed.yaml", "--no-secrets").code == 0
    assert "5 values" in said.stderr


def test_a_source_that_cannot_be_read(crontab: Path) -> None:
    crontab.write_bytes(b"* * * * * curl https://shop.example/\xff\n")
    said = invoke("import", "crontab", "list", "--to", "jobs/list.yaml")
    assert said.code == 2
    assert said.stderr.startswith("list:1:37: is not UTF-8 text; save the file in the encoding UTF-8")
    assert not Path("jobs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "list"], "SOURCE: expected auto or one of "),
        (["crontab"], "PATH: expected at least one file"),
        (["crontab", "missing"], "missing: cannot be read: no such file"),
        (["crontab", "list", "--set", "x"], "--set: expected NAME=VALUE"),
        (["crontab", "list", "--timezone", "Mars"], "--timezone: expected an IANA name"),
        (["crontab", "list", "--to", "jobs.json"], "--to: expected a name that ends in .yaml or .yml"),
    ],
)
def test_wrong_arguments(crontab: Path, arguments: list[str], message: str) -> None:
    said = invoke("import", *arguments)
    assert said.code == 2
    assert message in said.stderr


GATUS = """
alerting: {slack: {webhook-url: https://hooks.shop.example/abcdef-4711}}
endpoints: [{name: a, url: https://a.example, conditions: ["[STATUS] == 200"], alerts: [{type: slack}]}]
"""


def test_a_folder_has_sections_in_one_of_its_files(crontab: Path) -> None:
    Path("one.yaml").write_text(GATUS)
    Path("two.yaml").write_text(GATUS.replace("name: a", "name: b").partition("\n")[2].partition("\n")[2])
    assert invoke("import", "gatus", "one.yaml", "two.yaml", "--to", "jobs").code == 0
    assert [("alerting:" in file.read_text()) for file in sorted(Path("jobs").iterdir())] == [True, False]
    assert invoke("validate", "jobs", "--no-secrets").code == 0


def test_a_source_from_stdin(crontab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CRONTAB.encode())))
    said = invoke("import", "crontab", "-")
    assert said.code == 0
    assert "not carried over\tstdin:3\tschedule, command\t" in said.stdout


@pytest.fixture
def kuma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "kuma.json"
    file.write_text(mixed_backup())
    return file


def test_the_report_of_15_monitors_has_a_row_for_each_reason(kuma: Path) -> None:
    rows = [line.split("\t") for line in invoke("import", "uptime-kuma", "kuma.json").stdout.splitlines()[1:]]
    assert len(rows) < 25
    assert {row[0] for row in rows} == {"not carried over", "changed"}
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)
    assert rows[0][1] == "Router, Switch"
    assert len({row[3] for row in rows}) == len(rows)


def test_the_report_on_a_terminal_is_no_longer_than_two_screens(kuma: Path) -> None:
    said = invoke("import", "uptime-kuma", "kuma.json", terminal=True)
    assert "Not carried over: 25 values" in said.stdout
    assert len(said.stdout.splitlines()) + len(said.stderr.splitlines()) < 100


def test_the_values_that_are_not_shown_are_counted(kuma: Path) -> None:
    said = invoke("import", "uptime-kuma", "kuma.json")
    assert "473 values carried over unchanged: --verbose lists all values" in said.stderr
    everything = invoke("import", "uptime-kuma", "kuma.json", "--verbose")
    assert everything.stdout.count("\timported\t") == 473
    assert "--verbose" not in everything.stderr


def test_jobs_without_an_alert_rule_and_without_a_channel_are_named(kuma: Path) -> None:
    Path("list").write_text(CRONTAB)
    assert "without an alert rule: 1 job (shop.example-health);" in invoke("import", "crontab", "list").stderr
    said = invoke("import", "uptime-kuma", "kuma.json", "--report", "report.json")
    assert "without an alert rule" not in said.stderr
    assert "with an alert rule that names no channel: 8 jobs (orders, intranet, " in said.stderr
    assert json.loads(Path("report.json").read_text())["jobs_without_notification"][0] == "orders"


def test_many_names_are_shortened_in_the_report_and_complete_in_json(crontab: Path) -> None:
    crontab.write_text("".join(f"* * * * * curl https://shop.example/{number}\n" for number in range(30)))
    said = invoke("import", "crontab", "list", "--report", "report.json")
    assert "shop.example-19 and 10 more); add alerts" in said.stderr
    assert len(json.loads(Path("report.json").read_text())["jobs_without_rule"]) == 30


def test_the_report_names_what_the_source_names(kuma: Path) -> None:
    entries = json.loads(invoke("import", "uptime-kuma", "kuma.json", "--json").stdout)["entries"]
    subjects = {entry["subject"] for entry in entries if entry["key"].startswith("monitorList[11]")}
    assert subjects == {"Router"}


def test_links_of_a_folder_to_outside_are_not_read(crontab: Path) -> None:
    folder, outside = Path("folder"), Path("outside")
    for one in (folder, outside):
        one.mkdir()
    (outside / "secret").write_text("root:$6$hash-of-root:19000:0:99999:7:::\n")
    (outside / "list").write_text("0 3 * * * curl https://outside.example/\n")
    (folder / "list").write_text("0 3 * * * curl https://inside.example/\n")
    (folder / "again").symlink_to("list")
    (folder / "shadow").symlink_to(outside.resolve() / "secret")
    (folder / "relative").symlink_to("../outside/list")
    (folder / "whole").symlink_to(outside.resolve(), target_is_directory=True)
    said = invoke("import", "crontab", "folder", "--json")
    assert "hash-of-root" not in said.stdout + said.stderr
    assert [job["name"] for job in json.loads(said.stdout)["jobs"]] == ["inside.example", "inside.example-2"]
    assert "folder/shadow: is a link to outside the folder, and is not read" in said.stderr
    assert "folder/relative: is a link to outside the folder" in said.stderr


def test_a_link_that_is_named_is_read(crontab: Path) -> None:
    Path("link").symlink_to("list")
    assert invoke("import", "crontab", "link").code == 0


def test_a_folder_of_links_to_outside_has_no_files(crontab: Path) -> None:
    Path("folder").mkdir()
    Path("folder/list").symlink_to(crontab)
    said = invoke("import", "crontab", "folder")
    assert said.code == 2
    assert "folder: is a folder without files" in said.stderr
