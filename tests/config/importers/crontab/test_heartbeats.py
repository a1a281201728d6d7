"""Lines that ping an address after their command become heartbeats."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.import_context import ImportOptions
from importers.report import ImportReport
from tests.config.importers.importing import details, import_text, outcomes, read_jobs

UUID = "5f0b9d3c-8a5e-4d53-9a0e-0c1f6f6a2b11"
PING = f"https://hc-ping.com/{UUID}"
KUMA = "https://kuma.example/api/push/Xk29dLq0aPz81mNs?status=up&msg=OK"


def _import(*lines: str, options: ImportOptions | None = None) -> ImportReport:
    report = import_text("crontab", "\n".join(lines) + "\n", name="crontab", options=options)
    read_jobs(report)
    return report


def _only(report: ImportReport) -> tuple[str, dict[str, Any]]:
    ((name, definition),) = report.definitions.items()
    return name, dict(definition)


@pytest.mark.parametrize(
    "command",
    [
        f"/opt/backup.sh && curl -fsS {PING}",
        f"/opt/backup.sh && curl -fsS -m 10 --retry 5 -o /dev/null {PING} > /dev/null 2>&1",
        f"/opt/backup.sh; curl -fsS {PING}",
        f"/opt/backup.sh ; curl -fsS --retry 3 '{PING}/$?'",
        f'/opt/backup.sh; curl -fsS "{PING}/$?" || true',
        f"/opt/backup.sh && wget -q -T 10 -t 3 -O /dev/null {PING}",
        f"/opt/backup.sh && wget --spider -q {PING}",
        f"/opt/backup.sh && curl {PING} || curl {PING}/fail",
        f"curl {PING}/start ; /opt/backup.sh && curl {PING}",
        f"curl -s {PING}/start && /opt/backup.sh && curl -s {PING} || curl -s {PING}/fail",
        f"/opt/backup.sh >> /var/log/backup.log 2>&1 && curl {PING}",
        f"/opt/backup.sh 2>&1 | logger -t backup && curl {PING}",
        f"cd /opt && ./backup.sh --full && curl {PING}",
        f"sleep 20; /opt/backup.sh && curl {PING}",
        f"flock -n /tmp/lock nice -n 19 /opt/backup.sh && curl {PING}",
        f"/bin/bash -lc '/opt/backup.sh && curl {PING}'",
        f"flock -n /tmp/lock -c '/opt/backup.sh && curl {PING}'",
        f"(/opt/backup.sh && curl {PING})",
        f"/opt/backup.sh && gzip -f /data/all.sql && curl {PING}",
        f'/opt/backup.sh "a && b; c" $(date +\\%F) && curl {PING}',
        f'/opt/backup.sh && curl --data-raw "$(tail -n 5 /var/log/backup.log)" {PING}',
        f"bash /opt/backup.sh && curl {PING}",
        f"BACKUP=/data /opt/backup.sh && curl {PING}",
    ],
)
def test_a_ping_after_a_command_is_a_heartbeat(command: str) -> None:
    report = _import("# Nightly backup", f"30 3 * * * {command}")
    name, job = _only(report)
    assert name == "backup"
    assert job == {
        "description": "Nightly backup",
        "check": {"kind": "heartbeat", "token": {"secret": "backup-token"}, "schedule": "30 3 * * *", "grace": "1h"},
        "alerts": [{"open_after": 1}],
    }
    (secret,) = report.secrets
    assert "as in its address at hc-ping.com: pings go to /api/ping/TOKEN of this scheduler now" in secret.purpose
    assert "replace hc-ping.com in the address of its ping" in details(report)["command"]
    assert UUID not in f"{report.text}{report.to_json()}"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("pg_dump shop > /backup/shop.sql", "pg_dump-shop"),
        ("/usr/bin/certbot renew", "certbot"),
        ("restic backup /data", "restic-backup"),
        ("php /srv/shop/artisan schedule:run", "artisan-schedule-run"),
        ("/usr/bin/python3.12 -u /opt/sync.py --all", "sync"),
        ("python -m shop.export", "shop.export"),
        ("java -jar /opt/report.jar", "report"),
        ("rsync -a /data backup.example:/data", "rsync"),
        ("/opt/sync.sh hunter", "sync"),
        ("mysqldump -u root -psesame4711 shop", "mysqldump"),
        ("sudo -u postgres /usr/bin/vacuumdb --all", "vacuumdb"),
        ("curl -fsS https://shop.example/export", "shop.example-export"),
        ("curl -s https://shop.example/health | grep -q ok", "curl"),
        ("{ /opt/a.sh", "a"),
        ("/opt/日本.sh", "job"),
    ],
)
def test_a_heartbeat_is_named_after_its_command(command: str, name: str) -> None:
    assert _only(_import(f"0 4 * * * {command} && curl {PING}"))[0] == name


@pytest.mark.parametrize(
    ("address", "is_kept"),
    [
        (PING, True),
        (KUMA, True),
        ("https://uptime.betterstack.com/api/v1/heartbeat/kK3xT9aPz81mNsLq0d", True),
        ("https://nosnch.in/c2354d53d2", False),
        ("https://hc-ping.com/0000aaaa1111bbbb2222cc/nightly-backup", False),
        ("https://hc-ping.com/$PING_KEY/nightly", False),
        ("https://ping.example/1", False),
    ],
)
def test_the_token_of_the_address_serves_here_if_it_cannot_be_guessed(address: str, is_kept: bool) -> None:
    report = _import(f"0 4 * * * /opt/backup.sh && curl '{address}'")
    assert _only(report)[1]["check"]["token"] == {"secret": "backup-token"}
    (secret,) = report.secrets
    assert secret.purpose.startswith("token of" if is_kept else "new token of")
    detail = details(report)["command"]
    assert ("with the same token" in detail) == is_kept
    assert ("with the secret backup-token as TOKEN" in detail) != is_kept


def test_no_part_of_an_address_but_its_host_is_shown() -> None:
    address = "https://hc-ping.com/p1ngk3y00000000000000/nightly"
    written = str(_import(f"0 4 * * * /opt/backup.sh && curl {address}").to_json())
    assert "hc-ping.com" in written
    assert "p1ngk3y" not in written


def test_two_lines_with_one_address_get_two_tokens() -> None:
    report = _import(f"0 4 * * * /opt/a.sh && curl {PING}", f"0 5 * * * /opt/b.sh && curl {PING}")
    assert [job["check"]["token"]["secret"] for job in report.definitions.values()] == ["a-token", "b-token"]
    assert report.secrets[1].purpose.startswith("new token")


@pytest.mark.parametrize(
    ("schedule", "due", "grace"),
    [
        ("*/5 * * * *", {"schedule": "*/5 * * * *"}, "5m"),
        ("* * * * *", {"schedule": "* * * * *"}, "1m"),
        ("0,30 8-18 * * *", {"schedule": "0,30 8-18 * * *"}, "30m"),
        ("@weekly", {"schedule": "0 0 * * 0"}, "1h"),
        ("0 4 1 * 1", {"schedule": ["0 4 1 * *", "0 4 * * 1"]}, "1h"),
        ("@300", {"period": "300s"}, "5m"),
    ],
)
def test_the_schedule_is_what_the_heartbeat_expects(schedule: str, due: dict[str, Any], grace: str) -> None:
    check = _only(_import(f"{schedule} /opt/backup.sh && curl {PING}"))[1]["check"]
    assert check == {"kind": "heartbeat", "token": {"secret": "backup-token"}, **due, "grace": grace}


def test_the_longest_run_and_the_random_delay_are_grace() -> None:
    line = f"0 4 * * * timeout 2h /opt/backup.sh && curl {PING}"
    assert _only(_import("RANDOM_DELAY=10", line))[1]["check"]["grace"] == "2h10m"


def test_the_time_zone_of_the_crontab_is_that_of_the_heartbeat() -> None:
    report = _import("CRON_TZ=Europe/Berlin", f"0 4 * * * /opt/backup.sh && curl {PING}")
    assert _only(report)[1]["check"]["schedule"]["timezone"] == "Europe/Berlin"
    assert "see --timezone" in details(_import(f"0 4 * * * /opt/backup.sh && curl {PING}"))["schedule"]


@pytest.mark.parametrize(
    ("command", "note"),
    [
        (f"/opt/backup.sh; curl {PING}", "it pings after a failure, too: let the address end with /$?"),
        (f"/opt/backup.sh || curl {PING}/fail", "the line pings only after a failure: add a ping after success"),
        (f"/opt/backup.sh && curl {PING} || curl {PING}/fail", "the ping of a failure ends with /fail"),
        (f"curl {PING}/start; /opt/backup.sh && curl {PING}", "the ping of the start ends with /start"),
        (f"curl '{KUMA}'; /opt/backup.sh; curl '{KUMA}/$?'", ""),
        ("/opt/backup.sh && curl 'https://cronitor.link/p/k/b?state=complete' || "
         "curl 'https://cronitor.link/p/k/b?state=fail'", "the ping of a failure ends with /fail"),
    ],
)  # fmt: skip
def test_what_the_author_of_the_line_must_know(command: str, note: str) -> None:
    assert note in details(_import(f"0 4 * * * {command}"))["command"]


@pytest.mark.parametrize("command", [f"/opt/backup.sh; curl {PING}/$?", f"/opt/backup.sh && curl {PING}"])
def test_a_line_that_reports_failures_needs_no_note(command: str) -> None:
    assert "failure" not in details(_import(f"0 4 * * * {command}"))["command"]


@pytest.mark.parametrize(
    "command",
    [
        "/opt/backup.sh",
        "/opt/backup.sh && /opt/other.sh",
        "curl https://a.example && curl https://b.example",
        "curl -o data.json https://api.example/data && /opt/load.sh data.json",
        "/opt/export.sh && curl -T /data/export.csv https://shop.example/upload",
        "/opt/export.sh && curl -d @/data/export.json https://shop.example/upload",
        "/opt/export.sh && curl -X DELETE https://shop.example/cache",
        "/opt/export.sh && curl -H 'X-Api-Key: sesame4711' https://shop.example/refresh",
        "/opt/export.sh && curl -u me:sesame4711 https://shop.example/refresh",
        "/opt/backup.sh && curl -d 'text=done' https://hooks.chat.example/abc",
        f"/opt/backup.sh | curl -d @- {PING}",
        f"if /opt/backup.sh; then curl {PING}; fi",
        f"/opt/backup.sh 'and && curl {PING}'",
        f"# curl {PING}",
        f"/opt/backup.sh it's && curl {PING}",
        f"{'/opt/a.sh && ' * 25}curl {PING}",
    ],
)
def test_a_line_without_a_ping_is_not_carried_over(command: str) -> None:
    report = _import(f"0 4 * * * {command}")
    assert report.definitions == {}
    assert set(outcomes(report).values()) == {"not carried over"}


def test_a_line_that_only_pings_is_a_request() -> None:
    assert _only(_import(f"*/5 * * * * curl -fsS {PING}"))[1]["check"]["kind"] == "http"


def test_what_cron_itself_uses_stays_in_a_crontab_of_heartbeats() -> None:
    lines = [f"0 4 * * * root /opt/backup.sh $DATA && curl {PING}\\%in", "0 5 * * * root /opt/other.sh"]
    report = _import("MAILTO=ops@example.org", "PATH=/bin", "DATA=/data", *lines)
    found = outcomes(report)
    assert [found[key] for key in ("MAILTO", "PATH", "DATA", "user")] == ["imported"] * 3 + ["not carried over"]
    assert "it stays in the crontab" in details(report)["DATA"]


def test_what_cron_itself_uses_is_lost_for_requests() -> None:
    report = _import(
        "MAILTO=ops@example.org", f"0 4 * * * /opt/a.sh && curl {PING}", "0 5 * * * curl https://b.example/"
    )
    assert outcomes(report)["MAILTO"] == "not carried over"


COMMAND = st.sampled_from(["/opt/backup.sh", "pg_dump 'a b' > x", "tar czf $(date).tgz /", "cd /srv", "sleep 5", "true",
                           "bash -c 'a; b'", '"', "(a", "sudo", "timeout 5"])  # fmt: skip
PINGS = st.sampled_from(
    [f"curl {PING}", f"wget -q {PING}/start", f"curl {PING}/$?", f"curl {PING}/fail", "curl -m", "curl"]
)
OPERATORS = st.sampled_from(["&&", "||", ";", "|", "&", "\\%"])


@given(st.lists(st.tuples(COMMAND | PINGS, OPERATORS), min_size=1, max_size=6))
def test_each_line_becomes_a_valid_job_or_is_reported(pieces: list[tuple[str, str]]) -> None:
    line = " ".join(f"{command} {operator}" for command, operator in pieces)
    report = _import("0 3 * * * curl https://shop.example/", f"0 4 * * * {line}")
    assert UUID not in f"{report.text}{report.to_json()}" or "kind: http" in report.text
    assert {entry.line for entry in report.entries} == {1, 2}
