"""`validate` warns of options of connections that the proxy of the settings leaves without effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.job_files.reader import JobFileReader
from config.outbound import build_outbound, describe_outbound
from config.settings.model import Settings
from config.warnings import warnings_of_options_without_effect

URL = "https://checkout.example.com/"


def settings_of(**outbound: object) -> Settings:
    return Settings.model_validate({"outbound": outbound})


BEHIND = settings_of(proxy="http://proxy.example:3128", no_proxy=[".corp.example"])


def warnings(tmp_path: Path, options: str, settings: Settings = BEHIND, more: str = "") -> list[str]:
    check = f"{{url: '{URL}', {options}}}"
    (tmp_path / "jobs.yaml").write_text(f"jobs:\n  checkout: {{schedule: null, check: {check}}}\n{more}")
    jobs = JobFileReader(tmp_path).read(tmp_path)
    return [str(one) for one in warnings_of_options_without_effect(jobs, build_outbound(settings, {}))]


@pytest.mark.parametrize("option", ["ip_version: 6", "connection: kept"])
def test_an_option_without_effect_is_named_with_the_proxy_and_the_way_out(tmp_path: Path, option: str) -> None:
    (found,) = warnings(tmp_path, option)
    assert found == (
        f"jobs.yaml:2: jobs.checkout.check.{option.partition(':')[0]}: has no effect: the check leaves by the proxy "
        "proxy.example:3128, the setting outbound.proxy; write proxy: none to connect directly, or remove it"
    )


def test_many_jobs_with_an_option_are_one_warning(tmp_path: Path) -> None:
    other = f"  other: {{schedule: null, check: {{url: '{URL}', connection: kept}}}}\n"
    (found,) = warnings(tmp_path, "connection: kept", more=other)
    assert "has no effect in this and 1 more job:" in found


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("ip_version: 6", settings_of()),
        ("ip_version: 6", settings_of(proxy="http://proxy.example:3128", no_proxy=["checkout.example.com"])),
        ("connection: kept, proxy: none", BEHIND),
        ("method: GET", BEHIND),
    ],
)
def test_an_option_with_an_effect_has_no_warning(tmp_path: Path, options: str, settings: Settings) -> None:
    assert warnings(tmp_path, options, settings) == []


def test_the_proxy_in_force_is_described_without_its_credentials() -> None:
    settings = settings_of(
        proxy="http://proxy.example:3128",
        proxy_user="a-user",
        proxy_password="a-password",
        no_proxy=[f"host-{number}.example" for number in range(12)],
    )
    found = describe_outbound(settings)
    assert found.startswith(
        "http requests leave by the proxy proxy.example:3128, other checks and email do not; direct:"
    )
    assert found.endswith("host-9.example, 2 more of no_proxy")
    assert "a-user" not in found
    assert "a-password" not in found
    assert describe_outbound(settings_of()) == ""
