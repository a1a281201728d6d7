"""Lines of crontabs as jobs, and what is reported of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.import_context import ImportOptions
from importers.running import detect_source
from importers.source_tree import UnreadableSource
from tests.config.importers.importing import details, import_text, outcomes, read_jobs, text_file


def _job(command: str, schedule: str = "*/5 * * * *") -> dict[str, Any]:
    report = import_text("crontab", f"{schedule} {command}\n", name="crontab")
    (definition,) = report.definitions.values()
    read_jobs(report)
    return dict(definition)


def _refusal(command: str) -> str:
    report = import_text("crontab", f"0 4 * * * {command}\n", name="crontab")
    assert report.definitions == {}
    assert set(outcomes(report).values()) == {"not carried over"}
    return details(report)["command"]


def test_a_health_check_by_curl() -> None:
    job = _job("/usr/bin/curl -fsS -m 10 --retry 3 https://shop.example/health > /dev/null 2>&1")
    assert job["check"] == {"kind": "http", "url": "https://shop.example/health", "redirects": 0}
    assert job["timeout"] == {"attempt": "10s", "run": "8m"}
    assert job["retry"] == {"attempts": 4}
    assert job["expect"] == [{"status": "200-399"}]
    assert job["schedule"] == "*/5 * * * *"
    assert job["overlap"] == "allow"


@pytest.mark.parametrize(
    ("command", "check"),
    [
        ("curl shop.example", {"url": "http://shop.example"}),
        ("curl -L 'https://shop.example/?a=1&b=2'", {"url": "https://shop.example/?a=1&b=2", "redirects": 30}),
        ("curl -kI https://shop.example", {"method": "HEAD", "tls": {"verify": False}}),
        ("curl -X PUT -H 'X-Run: yes' https://shop.example", {"method": "PUT", "headers": {"X-Run": "yes"}}),
        ("curl -Gd q=1 https://shop.example/", {"url": "https://shop.example/?q=1"}),
        ("curl --json '{\"a\": 1}' https://shop.example", {"method": "POST",
            "body": {"text": '{"a": 1}', "content_type": "application/json"},
            "headers": {"Accept": "application/json"}}),
        ("curl -d a=1 -d b=2 https://shop.example", {"method": "POST",
            "body": {"text": "a=1&b=2", "content_type": "application/x-www-form-urlencoded"}}),
        ("curl -H 'Content-Type: text/csv' -d 1 https://shop.example", {
            "body": {"text": "1", "content_type": "text/csv"}}),
        ("curl -4 --http2 --url=https://shop.example", {"ip_version": 4, "http2": True}),
        ("curl -x proxy.example:3128 -U me:pa55word https://shop.example", {"proxy": "http://proxy.example:3128",
            "proxy_auth": {"username": "me", "password": {"secret": "shop-example-proxy-password"}}}),
        ("curl -u probe:pa55word https://shop.example", {"auth": {"kind": "basic", "username": "probe",
            "password": {"secret": "shop-example-password"}}}),
        ("curl --oauth2-bearer abcdefgh https://shop.example", {"auth": {"kind": "bearer",
            "token": {"secret": "shop-example-token"}}}),
        ("wget -qO- https://shop.example/x", {"url": "https://shop.example/x", "redirects": 20}),
        ("wget --spider --no-check-certificate https://shop.example", {"method": "HEAD", "tls": {"verify": False}}),
        ("wget --post-data=a=1 -O /dev/null https://shop.example", {"method": "POST"}),
        ("/bin/sh -c 'curl https://shop.example/y'", {"url": "https://shop.example/y"}),
        ("cd /opt && curl https://shop.example/z || true", {"url": "https://shop.example/z"}),
    ],
)  # fmt: skip
def test_what_a_command_requests(command: str, check: dict[str, Any]) -> None:
    assert _job(command)["check"].items() >= check.items()


def test_programs_that_start_another_one() -> None:
    job = _job("flock -n /tmp/lock timeout 30 nice -n 10 curl -m 60 https://shop.example")
    assert job["overlap"] == "skip"
    assert job["timeout"]["attempt"] == "30s"


def test_sleep_before_a_command_is_the_second() -> None:
    assert _job("sleep 30; curl https://shop.example", "* * * * *")["schedule"] == "30 * * * * *"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/opt/backup.sh", "programs are not started"),
        ("/opt/backup.sh && cp a b", "it runs several programs"),
        ("curl https://a.example | grep -q ok", "it runs several programs"),
        ("curl -F a=b https://a.example", "a multipart form cannot be sent"),
        ("curl -T file https://a.example", "a file cannot be sent"),
        ("curl -d @file https://a.example", "it sends the content of a file"),
        ("curl -d \"$(date)\" https://a.example", "it runs another program to make its arguments"),
        ("curl https://a.example https://b.example", "the command has 2 URLs"),
        ("curl ftp://a.example", "ftp cannot be requested"),
        ("curl --never https://a.example", "the option --never is not known"),
        ("curl 'https://a.example", "is not valid shell syntax"),
        ("(curl https://a.example)", "it uses '(' of the shell"),
        ("curl -m", "the option -m has no value"),
    ],
)  # fmt: skip
def test_a_command_without_an_equivalent(command: str, reason: str) -> None:
    assert reason in _refusal(command)


def test_a_program_is_nearest_to_a_heartbeat() -> None:
    assert 'a job of kind heartbeat with the schedule "0 4 * * *"' in _refusal("/opt/backup.sh")


def test_the_input_after_a_percent_sign() -> None:
    report = import_text("crontab", "0 4 * * * curl -d @- https://shop.example/50\\%%one%two\n", name="crontab")
    (job,) = report.definitions.values()
    assert job["check"]["body"]["text"] == "one\ntwo"
    assert job["check"]["url"] == "https://shop.example/50%"
    assert outcomes(report)["input"] == "imported"


VARIABLES = """\
SHELL=/bin/sh
MAILTO=""
TOKEN = "abcdef-4711"
CRON_TZ=Europe/Berlin
RANDOM_DELAY=5
0 4 * * 1 curl -H "Authorization: Bearer $TOKEN" https://shop.example/
TZ=UTC
"""


def test_variables() -> None:
    report = import_text("crontab", VARIABLES, name="crontab")
    (job,) = report.definitions.values()
    assert job["schedule"] == {
        "cron": "0 4 * * 1",
        "timezone": "Europe/Berlin",
        "dst": {"gap": "end", "repeat": "first"},
        "jitter": "5m",
    }
    assert job["check"]["auth"]["token"] == {"secret": "shop.example-token".replace(".", "-")}
    assert "abcdef-4711" not in report.text
    found = outcomes(report)
    assert found["SHELL"] == found["TZ"] == "not carried over"
    assert found["MAILTO"] == found["CRON_TZ"] == "imported"
    assert found["TOKEN"] == found["RANDOM_DELAY"] == "changed"


def test_an_unknown_variable_in_a_secret_place_names_the_secret() -> None:
    job = _job('curl -H "X-Api-Key: ${SHOP_KEY}" https://shop.example')
    assert job["check"]["headers"] == {"X-Api-Key": {"secret": "shop-key"}}


def test_a_given_variable_is_replaced() -> None:
    options = ImportOptions(variables={"HOST": "shop.example"}, timezone="Asia/Tokyo")
    report = import_text("crontab", "0 4 * * * curl https://$HOST/\n", name="crontab", options=options)
    assert report.definitions["shop.example"]["schedule"]["timezone"] == "Asia/Tokyo"


SYSTEM = """\
# m h dom mon dow user  command
17 *	* * *	root	curl https://shop.example/hourly
@daily  www-data  wget -q https://shop.example/daily
"""


@pytest.mark.parametrize("name", ["crontab", "/etc/cron.d/shop", "list"])
def test_the_form_with_users(name: str) -> None:
    report = import_text("crontab", SYSTEM, name=name)
    assert list(report.definitions) == ["shop.example-hourly", "shop.example-daily"]
    assert outcomes(report)["user"] == "changed"


def test_the_form_with_unusual_users_is_named_by_the_user() -> None:
    text = "0 4 * * * shopuser curl https://shop.example/\n"
    assert import_text("crontab", text, name="list").definitions == {}
    assert list(import_text("crontab-system", text, name="list").definitions) == ["shop.example"]


def test_the_comment_above_is_the_description() -> None:
    text = "# Can customers pay?\n0 4 * * * curl https://shop.example/\n\n# other\n\n1 4 * * * curl https://b.example\n"
    report = import_text("crontab", text, name="crontab")
    assert report.definitions["shop.example"]["description"] == "Can customers pay?"
    assert "description" not in report.definitions["b.example"]


def test_lines_that_cron_does_not_run() -> None:
    text = "0 4 * * * curl https://shop.example/\n61 * * * * curl https://b.example\n@reboot curl https://c.example\n"
    report = import_text("crontab", text, name="crontab")
    reasons = [f"{entry.line}: {entry.detail}" for entry in report.entries if entry.outcome.value == 2]
    assert reasons[0] == "2: cron does not run it: minute: expected 0 to 59, found '61'"
    assert reasons[1] == "3: a start of the machine is not an instant"


def test_an_interval_of_freebsd() -> None:
    assert _job("curl https://shop.example", "@300")["schedule"] == {"every": "300s"}


def test_utc_is_reported_for_a_schedule_that_depends_on_the_time_zone() -> None:
    report = import_text("crontab", "0 4 * * * curl https://shop.example/\n", name="crontab")
    assert "see --timezone" in details(report)["schedule"]
    assert outcomes(import_text("crontab", "* * * * * curl https://shop.example/", name="c"))["schedule"] == "imported"


def test_detection() -> None:
    assert detect_source([text_file(VARIABLES, "list")]) == "crontab"


def test_a_text_that_is_no_crontab() -> None:
    with pytest.raises(UnreadableSource, match=r"^list:1:1: has no line that is a schedule and a command"):
        import_text("crontab", "jobs:\n  a: {check: 1}\n", name="list")


LINE = st.one_of(
    st.text(alphabet="*/0123456789,- %$'\"\\curlwget.:=#@&|;<>()abM\t", max_size=40),
    st.builds(
        lambda schedule, command: f"{schedule} {command}",
        st.sampled_from(["* * * * *", "0 4 1 * 1", "@daily", "@reboot", "1 2 3 4 9"]),
        st.sampled_from(["curl -fsS https://shop.example/$A", "wget x.example", "/opt/a b", "curl", "curl -u a:b x%y"]),
    ),
    st.sampled_from(["A=b", "MAILTO=", "# comment", "", "CRON_TZ=Mars/Base"]),
)


@given(st.lists(LINE, max_size=8))
def test_each_line_is_reported_and_each_result_is_valid(lines: list[str]) -> None:
    try:
        report = import_text("crontab", "\n".join(lines), name="crontab")
    except UnreadableSource:
        return
    expected = {at for at, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")}
    assert {entry.line for entry in report.entries if entry.path} == expected
    read_jobs(report)


def test_thousands_of_equal_lines_are_numbered_in_one_pass() -> None:
    report = import_text("crontab", "* * * * * curl https://shop.example/x\n" * 3000, name="crontab")
    assert list(report.definitions)[-1] == "shop.example-x-3000"


def test_a_line_that_is_longer_than_cron_reads() -> None:
    text = f"* * * * * curl https://shop.example/\n{' ' * 5}* * * * * {'x' * 20_000}\n"
    report = import_text("crontab", text, name="crontab")
    assert details(report)["line"] == "it is longer than 10000 characters"


def test_variables_that_make_a_command_too_long_are_refused() -> None:
    text = f"A={'x' * 5000}\n* * * * * curl https://shop.example/{'$A' * 3}\n"
    assert "its variables make it longer than 10000" in details(import_text("crontab", text, name="c"))["command"]


@given(st.integers(2, 300))
def test_variables_that_double_each_other_are_bounded(count: int) -> None:
    doubling = " ".join(f"x{at}=$x{at - 1}$x{at - 1}" for at in range(1, count))
    text = f"* * * * * x0=aaaaaaaa {doubling} curl https://shop.example/$x{count - 1}\n"
    report = import_text("crontab", text, name="crontab")
    assert len(report.text) < 30_000
    assert bool(report.definitions) == (count < 9)


def test_a_long_variable_that_a_hundred_thousand_lines_use_is_refused() -> None:
    text = f"A={'x' * 5000}\n" + "* * * * * curl https://shop.example/$A\n" * 100_000
    with pytest.raises(UnreadableSource, match=r"^c:402: its variables add more than 2000000 characters"):
        import_text("crontab", text, name="c")
