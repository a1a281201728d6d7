"""The settings of the app, on both platforms, and each place that needs its identity."""

from __future__ import annotations

import re
from typing import Any

import pytest

from config.settings.loading import load_settings
from scheduler.api.scopes import ANONYMOUS, HTTP_FUNCTIONS, MANAGE_POST_FUNCTIONS
from scheduler.dispatch.queue_names import poison_queue_name, run_queue_name_from
from tests.infra.azure.deployments import all_deployments, deployment_of, given_for, the
from tests.infra.azure.evaluation import Later
from tests.infra.images import read_image_variables
from tests.project import ROOT

JOB = "Microsoft.App/jobs"
SITE, SLOT, APP = "Microsoft.Web/sites", "Microsoft.Web/sites/slots", "Microsoft.App/containerApps"
DISABLED = tuple(f"AzureWebJobs.{name}.Disabled" for name in ("tick", "work", "bury"))
STICKY = {"SCHEDULER_STORAGE__PREFIX", *DISABLED}
ON_FUNCTIONS = [name for name in all_deployments() if deployment_of(name).of_type(SITE)]
ON_CONTAINER_APPS = [name for name in all_deployments() if deployment_of(name).of_type(APP)]
EMBEDDED = [name for name in ON_CONTAINER_APPS if given_for(name)["platform"] == "embedded"]


def settings_of(resource: dict[str, Any]) -> dict[str, str]:
    properties = resource["properties"]
    listed = (
        properties["siteConfig"]["appSettings"]
        if "siteConfig" in properties
        else properties["template"]["containers"][0]["env"]
    )
    return {each["name"]: str(each.get("value", "a secret")) for each in listed}


def apps(deployment: str) -> list[dict[str, Any]]:
    found = deployment_of(deployment)
    return [*found.of_type(SITE), *found.of_type(SLOT), *found.of_type(APP), *found.of_type(JOB)]


def client_id_in(deployment: str) -> str:
    return str(deployment_of(deployment).outputs["clientId"])


def test_both_platforms_are_deployed() -> None:
    assert len(ON_FUNCTIONS) >= 5
    assert len(ON_CONTAINER_APPS) >= 3
    assert set(ON_FUNCTIONS) | set(ON_CONTAINER_APPS) == set(all_deployments()) - {"what a container app uses"}
    assert not set(ON_FUNCTIONS) & set(ON_CONTAINER_APPS)


@pytest.mark.parametrize("deployment", all_deployments())
def test_the_program_accepts_the_settings(deployment: str) -> None:
    for app in apps(deployment):
        values = {name: re.sub("<[^>]*>", "given-later", value) for name, value in settings_of(app).items()}
        values["APPLICATIONINSIGHTS_CONNECTION_STRING"] = "InstrumentationKey=00000000-0000-0000-0000-000000000000"
        settings = load_settings(values, root=ROOT).settings
        assert settings.uses_azure_storage
        assert settings.storage.account_name is not None
        assert settings.storage.connection_string is None
        assert settings.managed_identity_client_id == "given-later"
        assert str(settings.key_vault_url).endswith(".vault.azure.net")
        assert settings.http.authentication != "open" or app["type"] == JOB, "a job serves nothing"


@pytest.mark.parametrize("deployment", all_deployments())
def test_no_setting_holds_a_key(deployment: str) -> None:
    for app in apps(deployment):
        names = set(settings_of(app))
        assert not names & {"AzureWebJobsStorage", "DD_API_KEY", "AZURE_CLIENT_SECRET"}
        assert not any("AccountKey" in value for value in settings_of(app).values())


@pytest.mark.parametrize("deployment", all_deployments())
def test_the_identity_stands_wherever_it_is_needed(deployment: str) -> None:
    for app in apps(deployment):
        client_id, settings = client_id_in(deployment), settings_of(app)
        (identity,) = app["identity"]["userAssignedIdentities"]
        assert app["identity"]["type"] == "UserAssigned"
        assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
        assert settings["AzureWebJobsStorage__clientId"] == client_id
        assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"Authorization=AAD;ClientId={client_id}"
        properties = app["properties"]
        if app["type"] in (APP, JOB):
            assert [each["identity"] for each in properties["configuration"]["registries"]] == [identity]
            assert {each["identity"] for each in properties["configuration"].get("secrets", ())} <= {identity}
        else:
            assert str(properties["siteConfig"]["acrUserManagedIdentityID"]) == client_id
            assert properties["siteConfig"]["acrUseManagedIdentityCreds"] is True
            assert properties["keyVaultReferenceIdentity"] == identity


@pytest.mark.parametrize("deployment", ON_FUNCTIONS)
def test_the_slot_plans_nothing_and_its_settings_stay_with_it(deployment: str) -> None:
    site = settings_of(the(SITE, deployment))
    sticky = the("Microsoft.Web/sites/config", deployment)
    assert sticky["name"].endswith("/slotConfigNames")
    assert set(sticky["properties"]["appSettingNames"]) == STICKY
    assert {site[name] for name in DISABLED} == {"false"}
    for found in deployment_of(deployment).of_type(SLOT):
        slot = settings_of(found)
        assert {slot[name] for name in DISABLED} == {"true"}
        assert slot["SCHEDULER_STORAGE__PREFIX"] != site["SCHEDULER_STORAGE__PREFIX"]
        assert {name for name in site if site[name] != slot[name]} == STICKY
        assert set(site) == set(slot)


@pytest.mark.parametrize("deployment", [name for name in ON_FUNCTIONS if deployment_of(name).of_type(SLOT)])
def test_the_slot_is_configured_as_the_site(deployment: str) -> None:
    site, slot = the(SITE, deployment)["properties"], the(SLOT, deployment)["properties"]
    for properties in (site, slot):
        assert properties["siteConfig"]["appSettings"]
    without = {"appSettings": None}
    assert {**site, "siteConfig": site["siteConfig"] | without} == {**slot, "siteConfig": slot["siteConfig"] | without}


@pytest.mark.parametrize("deployment", all_deployments())
def test_the_queues_of_the_prefixes_exist(deployment: str) -> None:
    queues = deployment_of(deployment).of_type("Microsoft.Storage/storageAccounts/queueServices/queues")
    names = {queue["name"].rpartition("/")[2] for queue in queues}
    if given_for(deployment)["platform"] == "embedded":
        assert names == set(), "the embedded host has none"
        return
    for app in apps(deployment):
        queue = run_queue_name_from(settings_of(app))
        assert {queue, poison_queue_name(queue)} <= names


@pytest.mark.parametrize("deployment", [name for name in ON_CONTAINER_APPS if name not in EMBEDDED])
def test_the_host_finds_its_keys_as_files_with_dotted_names(deployment: str) -> None:
    app = the(APP, deployment)["properties"]
    settings = settings_of(the(APP, deployment))
    assert settings["AzureWebJobsSecretStorageType"] == "containerapp"
    secrets = {each["name"]: each["keyVaultUrl"] for each in app["configuration"]["secrets"]}
    (volume,) = app["template"]["volumes"]
    assert volume["storageType"] == "Secret"
    paths = {each["path"]: each["secretRef"] for each in volume["secrets"]}
    assert set(paths.values()) == set(secrets)
    functions = (*HTTP_FUNCTIONS.values(), *MANAGE_POST_FUNCTIONS)
    keyed = {function.name for function in functions if function.auth_level != ANONYMOUS}
    keyed = set() if settings["SCHEDULER_HTTP__AUTHENTICATION"] == "own" else keyed  # the program checks its own keys
    assert {path for path in paths if path.startswith("functions.")} == {f"functions.{name}.default" for name in keyed}
    assert {"host.master", "host.function.default", "host.systemKey.eventgrid_extension"} <= set(paths)
    for name, url in secrets.items():
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name), "what Container Apps accepts"
        assert url == f"{settings['SCHEDULER_KEY_VAULT_URL']}/secrets/{name}"
    mounts = app["template"]["containers"][0]["volumeMounts"]
    assert mounts == [{"volumeName": volume["name"], "mountPath": "/run/secrets/functions-keys"}]


def test_the_variables_of_the_image_are_not_contradicted() -> None:
    image = read_image_variables("")
    assert image["SCHEDULER_STORE"] == "azure"
    for deployment in all_deployments():
        for app in apps(deployment):
            both = set(image) & set(settings_of(app)) - {"SCHEDULER_ENVIRONMENT", "SCHEDULER_STORE"}
            assert both == set()


def test_what_azure_gives_later_is_marked() -> None:
    assert isinstance(deployment_of("dev").outputs["clientId"], Later)
