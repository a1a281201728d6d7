"""The settings in force with their origins, without secrets."""

from __future__ import annotations

from config.settings.loading import list_settings, load_settings, read_descriptions
from config.settings.model import Settings
from tests.project import ROOT


def test_each_setting_has_its_value_and_its_origin() -> None:
    environ = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_LOG__LEVEL": "debug", "SCHEDULER_DATADOG__API_KEY": "a" * 32}
    found = {".".join(each.path): each for each in list_settings(load_settings(environ, root=ROOT))}

    assert (found["log.level"].value, found["log.level"].origin) == ("debug", "SCHEDULER_LOG__LEVEL")
    assert (found["shutdown_grace"].value, found["shutdown_grace"].is_default) == ("3s", True)
    assert (found["datadog.api_key"].value, found["datadog.api_key"].is_secret) == ("set", True)
    assert (found["self_watch.url"].value, found["self_watch.url"].is_secret) == ("not set", True)
    assert found["targets.schemes"].value == '["http", "https"]'
    assert {name.partition(".")[0] for name in found} == {*Settings.model_fields} - {"unresolved"}


def test_a_user_in_a_url_is_hidden() -> None:
    environ = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_SERVICE_NAME": "https://user:password@host.example"}
    found = {".".join(each.path): each.value for each in list_settings(load_settings(environ, root=ROOT))}

    assert found["service_name"] == "https://***@host.example"


def test_groups_have_the_comments_of_the_file_as_their_description() -> None:
    found = read_descriptions()

    assert found["jobs"] == "The folder of job files (*.yaml, *.yml, *.json), or one such file."
    assert "\nown by the scheduler:" in found["http"]
    assert set(found) <= set(Settings.model_fields)
