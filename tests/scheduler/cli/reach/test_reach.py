"""What every command with a route has, and what a hostile or an unreachable server can do to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.main import get_command

from scheduler.cli.main import app
from scheduler.cli.registry import COMMANDS, LOCAL_ONLY, STORE_ONLY, has_route
from scheduler.cli.remote_program import OPERATIONS, PARTS
from tests.scheduler.cli.invocation import invoke

OPTIONS = {"url", "profile", "is_local", "key_variable", "read_key_variable", "entra"}


def walk() -> Iterator[tuple[str, Any]]:
    """Each command that has an action, with its name."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        if getattr(command, "invoke_without_command", True):
            yield name, command
        yield from ((f"{name} {inner}", each) for inner, each in getattr(command, "commands", {}).items())


def test_a_command_has_a_route_or_a_reason_why_not() -> None:
    names = {name for name, _ in walk()}
    assert {*STORE_ONLY, *LOCAL_ONLY} <= names
    assert not {*STORE_ONLY} & {*LOCAL_ONLY}
    assert [reason for reason in (*STORE_ONLY.values(), *LOCAL_ONLY.values()) if not reason.startswith("it")] == []
    assert {name for name in names if has_route(name)} == names - {*STORE_ONLY} - {*LOCAL_ONLY}


def test_every_command_with_a_route_has_the_options_and_every_other_shows_none() -> None:
    for name, command in walk():
        params = {param.name: param for param in command.params}
        if name in LOCAL_ONLY:
            assert "is_local" not in params, name
            continue
        assert {*params} >= OPTIONS, name
        assert {params[each].hidden for each in OPTIONS} == {name in STORE_ONLY}, name


def test_every_remote_part_exists() -> None:
    from importlib import import_module

    for each in (*PARTS.values(), *OPERATIONS.values()):
        module, _, name = each.partition(":")
        assert hasattr(import_module(module), name), each


NEEDS_STORE = {
    "alerts backtest": (),
    "alerts advise": ("checkout",),
    "audit verify": (),
    "backup create": ("--to", "x"),
    "backup restore": (__file__,),
    "store check": (),
    "store upgrade": (),
    "store move": ("--from", "sqlite:///a.db", "--to", "sqlite:///b.db"),
}


@pytest.mark.parametrize("name", NEEDS_STORE)
def test_a_command_that_needs_the_store_says_so(name: str) -> None:
    result = invoke(*name.split(), *NEEDS_STORE[name], "--url", "https://scheduler.example.com")

    assert (result.code, result.stdout) == (2, "")
    assert f"{name} needs the store, because {STORE_ONLY[name]}" in result.stderr


class _Answers(BaseHTTPRequestHandler):
    """Answers each GET with the next body; the last one repeats."""

    answers: ClassVar[list[tuple[int, dict[str, str], Any]]] = []
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Answers]]:
    """A server on loopback whose answers a test lists."""
    served = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    _Answers.seen.clear()
    monkeypatch.setenv("SERVER", f"http://127.0.0.1:{served.server_port}")
    yield _Answers
    served.shutdown()
    thread.join()
    served.server_close()


def reach(*words: str) -> Any:
    return invoke(*words, "--url", os.environ["SERVER"])


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ((302, {"Location": "http://127.0.0.1:9/"}, {}), 1, "redirects are not followed"),
        ((200, {}, b"<html>"), 1, "the response is not that of a scheduler of this version"),
        ((200, {}, {"jobs": [{"name": 5}], "continuation": None}), 1, "jobs.0.name: Input should be a valid string"),
        ((404, {}, {"detail": "There is no route with this path."}), 1, "404: There is no route"),
        ((404, {}, b"nothing"), 1, "the response is not that of a scheduler"),
        ((500, {}, {"detail": "The \x1b[2Jscheduler failed."}), 1, "500: The \\x1b[2Jscheduler failed."),
        ((401, {}, {"detail": "This request needs a credential."}), 1, "no key was sent: SCHEDULER_API_KEY is not set"),
        ((400, {}, {"detail": "wrong", "errors": 5}), 2, "400: wrong"),
        ((422, {}, {"detail": ["x"], "errors": [{"location": 5}]}), 2, "422"),
    ],
)
def test_an_answer_that_is_not_a_list_of_jobs_ends_the_command(
    answer: tuple[int, dict[str, str], Any], code: int, message: str, server: type[_Answers]
) -> None:
    server.answers = [answer]

    result = reach("jobs")

    assert (result.code, result.stdout) == (code, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert len(server.seen) == 1


def test_a_list_without_an_end_is_read_to_a_limit(server: type[_Answers], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.features.delivery.room.MAX_PAGES", 5)
    server.answers = [(200, {}, {"jobs": [], "continuation": "again"})]

    result = reach("jobs")

    assert result.code == 1
    assert "more than 5 pages" in result.stderr
    assert len(server.seen) == 6


def test_what_a_server_sends_is_shown_escaped(server: type[_Answers]) -> None:
    decision = {"at": "2026-01-01T00:00:00Z", "code": "\x1b[2J", "text": "a\tb\x1b]0;x\x07", "subject": None}
    body = {"decisions": [{**decision, "rule": None, "suppression": None, "inputs": {}}], "continuation": None}
    server.answers = [(200, {}, body)]

    for result in (
        reach("incidents", "decisions", "x"),
        reach("incidents", "decisions", "x", "--json"),
        invoke("incidents", "decisions", "x", "--url", os.environ["SERVER"], terminal=True, colours=True),
    ):
        assert result.code == 0
        assert "\x1b[2J" not in result.stdout
        assert "\x1b]0" not in result.stdout

    server.answers = [(200, {}, b'{"a":"\x1b[2J"}\n{"complete":true,"rows":1}\n')]
    assert "\x1b" not in reach("export", "runs").stdout
    server.answers = [(200, {}, b'{"a":1}\n{"complete":false,"rows":1}\n')]
    assert reach("export", "runs").code == 1


def test_an_id_with_a_slash_stays_one_part_of_the_path(server: type[_Answers]) -> None:
    server.answers = [(404, {}, {"detail": "There is no incident '../keys'."})]

    result = reach("incidents", "show", "../keys?x=1#y")

    assert (result.code, result.stderr) == (1, "there is no incident '../keys'; `incidents list` lists all\n")
    assert server.seen[0][0] == "/api/incidents/..%2Fkeys%3Fx%3D1%23y"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_token_of_az_login_is_sent_as_bearer_alone(
    server: type[_Answers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    az = tmp_path / "az"
    az.write_text(
        '#!/bin/sh\necho "$@" >> "$AZ_LOG"\n'
        'echo \'{"accessToken": "the-token", "expiresOn": "2999-01-01 00:00:00.000000", "expires_on": 32472144000}\'\n'
    )
    az.chmod(0o755)
    monkeypatch.setenv("AZ_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    server.answers = [
        (200, {}, {"jobs": [], "continuation": None}),
        (403, {}, {"detail": "This request needs the role viewer."}),
    ]

    found = invoke("jobs", "--url", os.environ["SERVER"], "--entra", "api://scheduler")
    refused = invoke("jobs", "--url", os.environ["SERVER"], "--entra", "api://scheduler")

    assert found.code == 0, found.stderr
    assert "--resource api://scheduler\n" in (tmp_path / "log").read_text()
    assert server.seen[0][1]["authorization"] == "Bearer the-token"
    assert "x-functions-key" not in server.seen[0][1]
    assert (refused.code, "the token of Entra ID was refused" in refused.stderr) == (1, True)
    assert "the-token" not in found.stderr + refused.stderr


def test_a_command_for_the_store_imports_no_client(job_folder: Path) -> None:
    code = (
        "import sys; sys.argv = ['__main__.py', 'history']\n"
        "from scheduler.cli.main import main\n"
        "main(); print(sorted({'httpx', 'scheduler.cli.remote_program', 'scheduler.features.delivery.room',"
        " 'tomllib', 'azure'} & {*sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stderr.splitlines()[-1] == "[]"


def test_the_tables_name_commands_that_exist() -> None:
    names = {f"{name} {inner}" for name, entry in COMMANDS.items() for inner in entry.subcommands} | {*COMMANDS}
    assert {*STORE_ONLY, *LOCAL_ONLY} <= names


@pytest.mark.parametrize(
    ("words", "member"),
    [
        (("circuits", "open", "checkout", "--for", "1h"), "until"),
        (("pause", "checkout", "--for", "1h"), "until"),
        (("pause", "--all", "--for", "1h"), "until"),
        (("keys", "create", "a-key", "--role", "viewer", "--expires", "1h"), "expires_at"),
    ],
)
def test_a_duration_ends_by_the_clock_of_the_scheduler(
    server: type[_Answers], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], member: str
) -> None:
    bodies: list[dict[str, Any]] = []

    def post(self: _Answers) -> None:
        bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.do_GET()

    monkeypatch.setattr(server, "do_POST", post)
    monkeypatch.setattr(server, "date_time_string", lambda *_: "Sat, 02 Nov 2030 10:00:00 GMT")
    monkeypatch.setattr(server, "answers", [(200, {}, {})])
    invoke(*words, "--url", os.environ["SERVER"])

    assert [body[member] for body in bodies] == ["2030-11-02T11:00:00Z"]


def test_a_time_ago_counts_by_the_clock_of_the_scheduler(
    server: type[_Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "date_time_string", lambda *_: "Sat, 02 Nov 2030 10:00:00 GMT")
    monkeypatch.setattr(server, "answers", [(200, {}, {"runs": [], "continuation": None})])
    invoke("history", "--from", "1h", "--url", os.environ["SERVER"])

    assert "from=2030-11-02T09%3A00%3A00Z" in server.seen[1][0]
