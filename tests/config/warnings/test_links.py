"""`validate` warns of messages that have no link."""

from __future__ import annotations

from pathlib import Path

from config.job_files.reader import JobFileReader
from config.settings.model import Settings
from config.warnings import warnings_of_missing_links

CHANNELS = (
    "alerting:\n  channels:\n    team: {kind: ntfy, topic: team}\n    boss: {kind: ntfy, topic: boss}\njobs: {}\n"
)


def warnings(tmp_path: Path, text: str, **http: str) -> list[str]:
    (tmp_path / "alerting.yaml").write_text(text, encoding="utf-8")
    settings = Settings.model_validate({"http": http})
    return [str(one) for one in warnings_of_missing_links(JobFileReader(tmp_path).read(tmp_path), settings)]


def test_channels_without_an_address_for_links_are_one_warning_that_names_the_setting(tmp_path: Path) -> None:
    assert warnings(tmp_path, CHANNELS) == [
        "alerting.yaml:3: alerting.channels: messages contain no link to their incident, because the setting "
        "http.public_url is missing; set the variable SCHEDULER_HTTP__PUBLIC_URL to the address at which users reach "
        "the dashboard, such as https://scheduler.example.com"
    ]


def test_channels_with_an_address_for_links_have_no_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, CHANNELS, public_url="https://scheduler.example.com") == []


def test_files_without_a_channel_have_no_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, "jobs: {}\n") == []
