"""Which places the guard takes for the program's own, in each host and for commands beside a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.check_rules import build_guard
from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from jobs.checks.errors import TargetDenied
from scheduler.app.profile import server_endpoints
from scheduler.hosts.embedded.program import EmbeddedProfile
from scheduler.hosts.functions.program import functions_endpoints
from scheduler.stores.sqlite.file_lock import write_api_address

SETTINGS = Settings()


def ports(environ: dict[str, str], *arguments: str) -> list[int]:
    return [place.port for place in functions_endpoints(environ, arguments)]


def test_the_embedded_host_has_the_port_that_it_really_listens_on() -> None:
    bound = OwnEndpoint("127.0.0.1", 50123)
    assert EmbeddedProfile((bound,)).own_endpoints(SETTINGS) == (bound,)


def test_a_command_has_the_ports_of_the_settings_and_of_the_server_that_has_the_store(tmp_path: Path) -> None:
    database = tmp_path / "state.db"
    settings = Settings(store=f"sqlite:///{database}", port=7171)
    assert server_endpoints(settings) == (OwnEndpoint("127.0.0.1", 7171),)
    write_api_address(database, "http://127.0.0.1:50123")
    assert server_endpoints(settings) == (
        OwnEndpoint("127.0.0.1", 50123),
        OwnEndpoint("127.0.0.1", 7171),
    )


def test_the_functions_host_has_the_ports_of_its_variables() -> None:
    environ = {"WEBSITES_PORT": "8081", "ASPNETCORE_URLS": "http://+:5000/;https://[::]:5001"}
    assert ports(environ) == [5000, 5001, 8081]
    assert ports({"ASPNETCORE_HTTP_PORTS": "8080;8082", "WEBSITES_PORT": "x"}) == [8080, 8082]


def test_the_functions_host_has_the_usual_ports_where_no_variable_reports_others() -> None:
    assert ports({}) == [80, 8080]


@pytest.mark.parametrize(
    "arguments",
    [
        ("worker.py", "--host", "127.0.0.1", "--port", "50051", "--workerId", "1"),
        ("worker.py", "--functions-uri", "http://127.0.0.1:50051/"),
        ("worker.py", "--functions-uri=http://127.0.0.1:50051"),
    ],
)
def test_the_channel_between_functions_host_and_worker_is_its_own(arguments: tuple[str, ...]) -> None:
    assert 50051 in ports({}, *arguments)


@pytest.mark.parametrize(
    "environ",
    [
        {"WEBSITE_HOSTNAME": "mine.azurewebsites.net"},
        {"WEBSITE_HOSTNAME": "mine.azurewebsites.net:443"},
        {"CONTAINER_APP_NAME": "mine", "CONTAINER_APP_ENV_DNS_SUFFIX": "azurewebsites.net"},
    ],
)
def test_the_name_of_the_site_is_its_own(environ: dict[str, str]) -> None:
    with pytest.raises(TargetDenied, match="own API"):
        build_guard(SETTINGS, environ).check_endpoint("mine.azurewebsites.net", 443)


def test_the_functions_tools_on_a_client_own_one_port_of_localhost() -> None:
    guard = build_guard(Settings(targets={"networks": ["127.0.0.0/8"]}), {"WEBSITE_HOSTNAME": "localhost:7075"}, ())
    guard.check_address("localhost", "127.0.0.1", 8080)
    with pytest.raises(TargetDenied, match="own API"):
        guard.check_address("localhost", "127.0.0.1", 7075)


def test_validate_knows_the_port_of_the_settings() -> None:
    settings = Settings(port=7171, targets={"networks": ["127.0.0.0/8"]})
    assert "own API" in build_guard(settings, {}).explain_denial("http://127.0.0.1:7171/api/jobs")
    assert build_guard(settings, {}).explain_denial("http://127.0.0.1:7172/") == ""
    assert (
        build_guard(Settings(port=0, targets={"networks": ["127.0.0.0/8"]}), {}).explain_denial(
            "http://127.0.0.1:7071/"
        )
        == ""
    )
