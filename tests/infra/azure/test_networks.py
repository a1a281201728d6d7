"""What is not public resolves to a private address; zones, jobs and the embedded host agree in every variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from config.settings.loading import load_settings
from scheduler.cli.registry import COMMANDS
from tests.infra.azure.bicep import BicepError
from tests.infra.azure.deployments import MATRIX, all_deployments, deployment_of, given_for, main_file, the
from tests.infra.azure.evaluation import evaluate
from tests.infra.azure.name_resolution import ENDPOINT, GROUP, LINK, RECORD, find_problems, private_hosts
from tests.infra.azure.test_app_settings import EMBEDDED, settings_of
from tests.infra.images import read_image_variables
from tests.project import ROOT

APP, ENVIRONMENT, JOB = "Microsoft.App/containerApps", "Microsoft.App/managedEnvironments", "Microsoft.App/jobs"
SITE, NETWORK = "Microsoft.Web/sites", "Microsoft.Network/virtualNetworks"
WITH_JOBS = [name for name in all_deployments() if deployment_of(name).of_type(JOB)]
WITH_CONTAINER = [name for name in WITH_JOBS if not given_for(name).get("backupTarget")]
PRIVATE_FUNCTIONS = "functions, private API, own network, 1 zones"
WITH_TELEMETRY = "embedded, private API, own network, 1 zones, private link of telemetry"
PRIVATE_APPS = "embedded, private API, own network, 1 zones"


@pytest.mark.parametrize("name", all_deployments())
def test_each_host_is_public_or_resolves_to_a_private_address(name: str) -> None:
    assert find_problems(deployment_of(name).resources, given_for(name)) == []


def test_the_variants_have_private_hosts_of_each_kind() -> None:
    hosts = [host for name in MATRIX for host in private_hosts(deployment_of(name).resources, given_for(name))]
    for end in ("blob.core.windows.net", "queue.core.windows.net", "-prod-staging.scm.azurewebsites.net", "azurecr.io"):
        assert any(host.endswith(end) for host in hosts)
    assert any("managedEnvironments" in host for host in hosts)


@pytest.mark.parametrize(
    ("name", "kind", "part", "problem"),
    [
        (PRIVATE_FUNCTIONS, ENDPOINT, "site-slot", "contoso-scheduler-prod-staging.scm.azurewebsites.net"),
        (PRIVATE_FUNCTIONS, GROUP, "-table/", "pe-contoso-scheduler-prod-table: is registered in []"),
        (PRIVATE_FUNCTIONS, LINK, "vaultcore", "privatelink.vaultcore.azure.net is not linked"),
        (WITH_TELEMETRY, ENDPOINT, "-monitor", "REGION.in.applicationinsights.azure.com"),
        (WITH_TELEMETRY, LINK, "monitor.azure.com", "privatelink.monitor.azure.com is not linked"),
        (WITH_TELEMETRY, "Microsoft.Insights/privateLinkScopes/scopedResources", "/appi-", "is not in the scope"),
        (PRIVATE_APPS, RECORD, "/*", "contoso-scheduler-prod.<reference"),
        (PRIVATE_APPS, LINK, "reference", "contoso-scheduler-prod.<reference"),
    ],
)
def test_what_is_missing_is_found(name: str, kind: str, part: str, problem: str) -> None:
    """Without one resource, a host does not resolve."""
    found = deployment_of(name).resources
    rest = [each for each in found if not (each["type"] == kind and part in str(each["name"]))]
    assert len(rest) == len(found) - 1
    assert any(problem in each for each in find_problems(rest, given_for(name)))


@pytest.mark.parametrize("name", [name for name in all_deployments() if not given_for(name).get("publicApi", True)])
def test_without_a_public_api_the_app_has_no_public_address(name: str) -> None:
    found = deployment_of(name)
    for site in [*found.of_type(SITE), *found.of_type("Microsoft.Web/sites/slots")]:
        assert site["properties"]["publicNetworkAccess"] == "Disabled"
    for environment in found.of_type(ENVIRONMENT):
        assert environment["properties"]["publicNetworkAccess"] == "Disabled"
        assert environment["properties"]["vnetConfiguration"]["internal"] is True


@pytest.mark.parametrize("name", all_deployments())
def test_zones_are_consistent(name: str) -> None:
    found, wanted = deployment_of(name), given_for(name).get("zoneRedundant", False)
    assert the("Microsoft.Storage/storageAccounts", name)["sku"]["name"] == f"Standard_{'ZRS' if wanted else 'LRS'}"
    for plan in found.of_type("Microsoft.Web/serverfarms"):
        config, properties = the(SITE, name)["properties"]["siteConfig"], plan["properties"]
        assert properties["zoneRedundant"] is wanted
        assert plan["sku"]["capacity"] >= (3 if wanted else 1), "one in each zone"
        if plan["kind"] == "elastic":
            assert properties["maximumElasticWorkerCount"] >= plan["sku"]["capacity"], "Azure refuses less"
            assert config["minimumElasticInstanceCount"] <= config["functionAppScaleLimit"]
    for environment in found.of_type(ENVIRONMENT):
        assert environment["properties"]["zoneRedundant"] is wanted
    for app in found.of_type(APP):
        scale = app["properties"]["template"]["scale"]
        assert (2 if wanted else 1) <= scale["minReplicas"] <= scale["maxReplicas"]
    for registry in found.of_type("Microsoft.ContainerRegistry/registries"):
        assert registry["properties"]["zoneRedundancy"] == ("Enabled" if wanted else "Disabled")
    for address in found.of_type("Microsoft.Network/publicIPAddresses"):
        assert address["zones"] == (["1", "2", "3"] if wanted else None)


@pytest.mark.parametrize("name", MATRIX)
def test_an_existing_network_is_used_and_not_changed(name: str) -> None:
    found, given = deployment_of(name), given_for(name)
    if "own network" in name:
        assert len(found.of_type(NETWORK)) == 1
        return
    kinds = {each["type"] for each in found.resources}
    assert not kinds & {NETWORK, "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/natGateways"}
    assert {each["properties"]["subnet"]["id"] for each in found.of_type(ENDPOINT)} == {given["endpointSubnetId"]}
    for site in found.of_type(SITE):
        assert site["properties"]["virtualNetworkSubnetId"] == given["appSubnetId"]
    subnet = given["jobsSubnetId" if given["platform"] == "functions" else "appSubnetId"]
    assert the(ENVIRONMENT, name)["properties"]["vnetConfiguration"]["infrastructureSubnetId"] == subnet


@pytest.mark.parametrize("name", [name for name in MATRIX if "own network" in name])
def test_a_created_network_is_peered_and_leaves_by_its_own_address(name: str) -> None:
    found, given = deployment_of(name), given_for(name)
    peering = the(f"{NETWORK}/virtualNetworkPeerings", name)["properties"]
    assert peering["remoteVirtualNetwork"]["id"] == given["hubNetworkId"]
    assert the(NETWORK, name)["properties"]["dhcpOptions"]["dnsServers"] == ["10.0.0.4"]
    (nat,) = found.of_type("Microsoft.Network/natGateways")
    for subnet in the(NETWORK, name)["properties"]["subnets"]:
        gateway, route = (subnet["properties"].get(key) for key in ("natGateway", "routeTable"))
        if subnet["name"] == "endpoints":
            assert gateway is None
        else:
            assert gateway["id"].endswith(f"/{nat['name']}")
            assert route["id"] == given["routeTableId"]
    assert "publicIPAddresses" in str(found.outputs["outboundAddress"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"publicApi": False, "privateNetworking": False}, "publicApi=false needs privateNetworking or appSubnetId"),
        ({"monitorPrivateLink": "create", "privateNetworking": False}, "monitorPrivateLink needs privateNetworking"),
        ({"appSubnetId": "/a/subnets/b"}, "appSubnetId needs endpointSubnetId"),
        (
            {"appSubnetId": "/a/subnets/b", "endpointSubnetId": "/a/subnets/c", "maintenanceJobs": True},
            "for jobs with platform functions jobsSubnetId",
        ),
        (
            {"appSubnetId": "/a/subnets/b", "endpointSubnetId": "/a/subnets/c", "natGateway": True},
            "are for a network that is created",
        ),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(BicepError, match=message):
        evaluate(main_file(), {**given_for("prod"), **changes})


@pytest.mark.parametrize("name", WITH_JOBS)
def test_the_jobs_run_commands_of_the_program_in_the_network(name: str) -> None:
    found = deployment_of(name)
    jobs = {job["name"]: job["properties"] for job in found.of_type(JOB)}
    app = found.outputs["app"]
    assert set(jobs) == {f"{app}-command", f"{app}-backup"}
    assert max(map(len, jobs)) <= 32, "what Container Apps allows"
    for properties in jobs.values():
        (container,) = properties["template"]["containers"]
        assert properties["environmentId"].endswith(f"/{the(ENVIRONMENT, name)['name']}")
        assert container["command"] == ["python3", "-m", "scheduler"]
        assert container["args"][0] in COMMANDS
        assert container["image"] == given_for(name)["image"]


def test_backups_can_go_to_another_account() -> None:
    name = "backups in another account"
    (backup,) = (job for job in deployment_of(name).of_type(JOB) if job["name"].endswith("-backup"))
    (container,) = backup["properties"]["template"]["containers"]
    assert container["args"][3] == given_for(name)["backupTarget"]
    containers = deployment_of(name).of_type("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert [each["name"].rpartition("/")[2] for each in containers] == ["jobs"]


def test_a_backup_reports_to_the_heartbeat_of_the_sample() -> None:
    name = "embedded, private API, own network, 1 zones"
    command, backup = (job["properties"] for job in deployment_of(name).of_type(JOB))
    (one,), (other,) = (job["template"]["containers"] for job in (backup, command))
    env = {each["name"]: each for each in one["env"]}
    assert str(env["BACKUP_PING"]["value"]).endswith("/api/ping")
    (secret,) = backup["configuration"]["secrets"]
    assert (env["BACKUP_PING_TOKEN"]["secretRef"], command["configuration"]["secrets"]) == (secret["name"], [])
    assert "BACKUP_PING" not in {each["name"] for each in other["env"]}
    job = yaml.safe_load((ROOT / "infra" / "jobs" / "backup.yaml").read_text())["jobs"]["scheduled-backup"]["check"]
    assert secret["keyVaultUrl"].endswith(f"/secrets/{job['token']['secret']}")
    cron = backup["configuration"]["scheduleTriggerConfig"]["cronExpression"]
    assert job["schedule"] == {"cron": f"0 {cron}", "timezone": "UTC"}


@pytest.mark.parametrize("name", WITH_CONTAINER)
def test_backups_are_made_on_a_schedule_where_nobody_can_delete_them(name: str) -> None:
    found, days = deployment_of(name), given_for(name).get("backupRetentionDays", 30)
    (backup,) = (job["properties"] for job in found.of_type(JOB) if job["name"].endswith("-backup"))
    assert backup["configuration"]["triggerType"] == "Schedule"
    assert len(backup["configuration"]["scheduleTriggerConfig"]["cronExpression"].split()) == 5
    (container,) = backup["template"]["containers"]
    assert container["args"][:3] == ["backup", "create", "--to"]
    assert container["args"][3].startswith("azure://backups/")
    service = "Microsoft.Storage/storageAccounts/blobServices"
    (target,) = (one for one in found.of_type(f"{service}/containers") if one["name"].endswith("/backups"))
    assert target["properties"]["immutableStorageWithVersioning"] == {"enabled": True}
    policies = found.of_type(f"{service}/containers/immutabilityPolicies")
    written = {
        each["name"].partition("/")[2]: each["properties"]["immutabilityPeriodSinceCreationInDays"] for each in policies
    }
    assert written == ({} if given_for(name).get("backupsLocked") else {"default/backups/default": days})
    (expiry,) = (rule for rule in lifecycle_of(name) if rule["name"] == "backups")
    assert expiry["definition"]["actions"]["baseBlob"]["delete"] == {"daysAfterModificationGreaterThan": days}
    assert expiry["definition"]["filters"]["prefixMatch"] == ["backups/"], "and nothing else"


def lifecycle_of(name: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = the("Microsoft.Storage/storageAccounts/managementPolicies", name)["properties"][
        "policy"
    ]["rules"]
    return rules


@pytest.mark.parametrize("name", all_deployments())
def test_former_versions_and_logs_do_not_stay_for_ever(name: str) -> None:
    rules = {rule["name"]: rule["definition"] for rule in lifecycle_of(name)}
    assert ("backups" in rules) is (name in WITH_CONTAINER)
    assert rules["versions"]["actions"] == {"version": {"delete": {"daysAfterCreationGreaterThan": 30}}}
    logs = rules["logs"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
    assert logs == given_for(name).get("logRetentionDays", 30)
    for rule in rules.values():
        prefixes = rule["filters"]["prefixMatch"] or []
        assert "baseBlob" not in rule["actions"] or prefixes, "job files and the host's keys are never deleted"
        assert not any(prefix.startswith(("jobs", "azure-webjobs")) for prefix in prefixes)


@pytest.mark.parametrize("name", all_deployments())
def test_locks_hold_storage_and_vault_where_they_are_wanted(name: str) -> None:
    locks = deployment_of(name).of_type("Microsoft.Authorization/locks")
    kinds = {lock["scope"].rpartition("/providers/")[2].rpartition("/")[0] for lock in locks}
    data = {"Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"}
    assert kinds == (data if given_for(name).get("lockData") else set())
    assert {lock["properties"]["level"] for lock in locks} <= {"CanNotDelete"}


def test_the_slot_takes_no_passwords_either() -> None:
    found = deployment_of("dev").of_type("Microsoft.Web/sites/slots/basicPublishingCredentialsPolicies")
    assert {each["name"].rpartition("/")[2]: each["properties"]["allow"] for each in found} == {
        **{"ftp": False, "scm": False}
    }


@pytest.mark.parametrize("name", [name for name in all_deployments() if deployment_of(name).of_type(APP)])
def test_cores_and_memory_fit_the_consumption_profile(name: str) -> None:
    for each in [*deployment_of(name).of_type(APP), *deployment_of(name).of_type(JOB)]:
        (container,) = each["properties"]["template"]["containers"]
        resources = container["resources"]
        assert resources["memory"] == f"{resources['cpu'] * 2:g}Gi"


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_host_has_replicas_and_nothing_of_the_functions_host(name: str) -> None:
    app = the(APP, name)
    properties, settings = app["properties"], settings_of(app)
    assert app["kind"] is None
    assert properties["template"]["scale"]["minReplicas"] >= 2, "one takes over from the other"
    assert "rules" not in properties["template"]["scale"], "no queue"
    assert properties["configuration"]["activeRevisionsMode"] == "Single", "an idle revision would plan as well"
    assert properties["configuration"]["secrets"] == properties["template"]["volumes"] == []
    assert not any(key.startswith(("FUNCTIONS_", "AzureWebJobsSecret")) for key in settings)
    (container,) = properties["template"]["containers"]
    assert {probe["httpGet"]["path"] for probe in container["probes"]} == {"/api/health/live", "/api/health/ready"}
    for probe in container["probes"]:
        assert probe["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}]


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_host_accepts_its_settings_over_those_of_the_image(name: str) -> None:
    app = the(APP, name)
    given = {key: value.replace("<", "").replace(">", "") for key, value in settings_of(app).items()}
    given["APPLICATIONINSIGHTS_CONNECTION_STRING"] = "InstrumentationKey=00000000-0000-0000-0000-000000000000"
    given["SCHEDULER_HTTP__PUBLIC_URL"] = f"https://{app['name']}.example.azurecontainerapps.io"
    settings = load_settings({**read_image_variables("embedded"), **given}, root=ROOT).settings
    assert settings.http.authentication == "own"
    assert settings.http.behind_proxy is True
    assert settings.http.accepted_hosts() == (f"{app['name']}.example.azurecontainerapps.io",)
    assert str(settings.jobs_container).endswith(".blob.core.windows.net/jobs")
    assert settings.uses_azure_storage
    assert settings.allow_remote
