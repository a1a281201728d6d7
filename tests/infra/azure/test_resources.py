"""Least rights, limits and private networks: what the resources of a deployment allow."""

from __future__ import annotations

import ipaddress
import re

import pytest

from observability.generation.kql.scheduler import GAUGE_PREFIX, TICK_GAP
from tests.infra.azure.deployments import all_deployments, deployment_of, environments, given_for, parameters_of, the
from tests.project import ROOT

ROLES = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
DEPLOYER = "33333333-3333-3333-3333-333333333333"
_NETWORK, _ENDPOINT = "Microsoft.Network/virtualNetworks", "Microsoft.Network/privateEndpoints"
PRIVATE = [name for name in all_deployments() if deployment_of(name).of_type(_ENDPOINT)]
OWN_NETWORK = [name for name in PRIVATE if deployment_of(name).of_type(_NETWORK)]
PUBLIC = [name for name in all_deployments() if name not in PRIVATE]


WITHOUT_APP = "what a container app uses"


def test_what_the_app_uses_can_be_deployed_before_it() -> None:
    with_app, without = (
        {(each["type"], str(each["name"])) for each in deployment_of(name).resources}
        for name in ("container-apps", WITHOUT_APP)
    )
    assert {kind for kind, name in with_app - without if "diagnosticSettings" not in kind} == {
        "Microsoft.App/containerApps",
        "Microsoft.Insights/scheduledQueryRules",
    }, "the jobs of the sample have the environment, so that keys can be created before the app"
    assert without < with_app
    assert deployment_of(WITHOUT_APP).outputs["address"] == ""


@pytest.fixture(params=[name for name in all_deployments() if name != WITHOUT_APP])
def deployment(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_storage_has_no_keys_and_restores_what_was_deleted(deployment: str) -> None:
    account = the("Microsoft.Storage/storageAccounts", deployment)["properties"]
    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["supportsHttpsTrafficOnly"] is True
    blobs = the("Microsoft.Storage/storageAccounts/blobServices", deployment)["properties"]
    for key in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        assert blobs[key]["enabled"] is True
        assert blobs[key]["days"] >= 7


def test_the_vault_uses_roles_and_cannot_be_purged(deployment: str) -> None:
    vault = the("Microsoft.KeyVault/vaults", deployment)["properties"]
    assert vault["enableRbacAuthorization"] is True
    assert vault["enablePurgeProtection"] is True
    assert "accessPolicies" not in vault


def test_the_registry_has_no_admin() -> None:
    for name in all_deployments():
        for registry in deployment_of(name).of_type("Microsoft.ContainerRegistry/registries"):
            assert registry["properties"]["adminUserEnabled"] is False
            assert registry["properties"]["anonymousPullEnabled"] is False


def roles_in(page: str, heading: str) -> set[str]:
    """Return the roles of the app's identity that a section of a page names."""
    section = (ROOT / "docs" / page).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return {name for name in ROLES if name in section.split("| the pipeline's")[0]}


def test_the_identity_has_the_roles_of_the_page_and_no_others(deployment: str) -> None:
    is_embedded = given_for(deployment)["platform"] == "embedded"
    documented = roles_in("infrastructure.md", "Embedded") if is_embedded else roles_in("deploying.md", "Roles")
    assigned = {
        role["properties"]["roleDefinitionId"].rpartition("/")[2]: role
        for role in deployment_of(deployment).of_type("Microsoft.Authorization/roleAssignments")
        if role["properties"]["principalId"] != DEPLOYER
    }
    assert set(assigned) == {ROLES[name] for name in documented}
    for role in assigned.values():
        assert re.search(r"/providers/Microsoft\.\w+/\w+/[^/]+$", role["scope"]), "one resource, not the group"
        assert str(role["properties"]["principalId"]) == str(deployment_of(deployment).outputs["principalId"])


@pytest.mark.parametrize(
    ("name", "on_app"),
    [
        ("a deployer", "de139f84-1756-47ae-9be6-808fbbe84772"),
        ("a deployer of a container app", "358470bc-b998-42bd-ab17-a7e34c199c0f"),
        ("embedded, public API, own network, 1 zones", "358470bc-b998-42bd-ab17-a7e34c199c0f"),
        ("prod", None),
    ],
)
def test_the_pipeline_may_push_images_and_change_the_app_only(name: str, on_app: str | None) -> None:
    app = deployment_of(name).outputs["app"]
    roles = {
        role["properties"]["roleDefinitionId"].rpartition("/")[2]: role["scope"].rpartition("/")[2]
        for role in deployment_of(name).of_type("Microsoft.Authorization/roleAssignments")
        if role["properties"]["principalId"] == DEPLOYER and "jobs" not in role["scope"].lower()
    }
    push = "8311e382-0749-4cb8-b61a-304f252e45ec"
    assert roles == ({} if on_app is None else {on_app: app, push: "contosoregistry"})


def test_the_pipeline_may_give_the_jobs_a_new_image() -> None:
    jobs_contributor = "4e3d2b60-56ae-4dc6-a233-09c8e5a82e68"
    found = deployment_of("functions, private API, own network, 3 zones")
    scopes = {
        role["scope"].rpartition("/")[2]
        for role in found.of_type("Microsoft.Authorization/roleAssignments")
        if role["properties"]["roleDefinitionId"].endswith(jobs_contributor)
    }
    assert scopes == {job["name"] for job in found.of_type("Microsoft.App/jobs")}


def test_instances_are_limited(deployment: str) -> None:
    found = deployment_of(deployment)
    most = parameters_of(deployment).get("maxInstances") if deployment in environments() else None
    for site in found.of_type("Microsoft.Web/sites"):
        config, plan = site["properties"]["siteConfig"], the("Microsoft.Web/serverfarms", deployment)
        if plan["kind"] == "elastic":
            assert config["functionAppScaleLimit"] >= 2
            assert config["functionAppScaleLimit"] == plan["properties"]["maximumElasticWorkerCount"]
            assert most in (None, config["functionAppScaleLimit"])
            assert config["alwaysOn"] is False
        else:
            assert config["alwaysOn"] is True
    for app in found.of_type("Microsoft.App/containerApps"):
        scale = app["properties"]["template"]["scale"]
        assert scale["minReplicas"] >= 1
        assert scale["minReplicas"] <= scale["maxReplicas"]
        assert most in (None, scale["maxReplicas"])


@pytest.mark.parametrize("name", PRIVATE)
def test_a_private_deployment_sees_its_queues_and_has_no_public_storage(name: str) -> None:
    found, given = deployment_of(name), given_for(name)
    assert the("Microsoft.Storage/storageAccounts", name)["properties"]["publicNetworkAccess"] == "Disabled"
    assert the("Microsoft.KeyVault/vaults", name)["properties"]["publicNetworkAccess"] == "Disabled"
    for site in [*found.of_type("Microsoft.Web/sites"), *found.of_type("Microsoft.Web/sites/slots")]:
        properties = site["properties"]
        is_elastic = the("Microsoft.Web/serverfarms", name)["kind"] == "elastic"
        assert properties["vnetRouteAllEnabled"] is True
        assert properties["vnetImagePullEnabled"] is True
        assert properties["siteConfig"]["functionsRuntimeScaleMonitoringEnabled"] is is_elastic
        assert properties["virtualNetworkSubnetId"].endswith("/subnets/app") or "appSubnetId" in given
    for environment in found.of_type("Microsoft.App/managedEnvironments"):
        subnet = environment["properties"]["vnetConfiguration"]["infrastructureSubnetId"]
        assert subnet.rpartition("/")[2] in ("scheduler-jobs", "jobs" if given["platform"] == "functions" else "app")


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_deployment_needs_no_network(name: str) -> None:
    kinds = {resource["type"] for resource in deployment_of(name).resources}
    assert not any(kind.startswith("Microsoft.Network/") for kind in kinds)
    for site in deployment_of(name).of_type("Microsoft.Web/sites"):
        assert site["properties"]["virtualNetworkSubnetId"] is None


@pytest.mark.parametrize("name", OWN_NETWORK)
def test_the_subnets_lie_in_the_network_and_apart(name: str) -> None:
    vnet = the("Microsoft.Network/virtualNetworks", name)["properties"]
    (space,) = map(ipaddress.ip_network, vnet["addressSpace"]["addressPrefixes"])
    subnets = [ipaddress.ip_network(each["properties"]["addressPrefix"]) for each in vnet["subnets"]]
    assert all(subnet.subnet_of(space) for subnet in subnets)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)


def test_the_networks_of_environments_are_apart() -> None:
    spaces = [
        ipaddress.ip_network(parameters_of(name)["vnetAddressPrefix"])
        for name in ("test", "prod", "container-apps", "embedded")
    ]
    assert not any(a.overlaps(b) for a in spaces for b in spaces if a is not b)


def test_telemetry_has_a_cap_and_no_keys(deployment: str) -> None:
    workspace = the("Microsoft.OperationalInsights/workspaces", deployment)["properties"]
    assert workspace["workspaceCapping"]["dailyQuotaGb"] >= 1
    assert workspace["retentionInDays"] >= 30
    assert workspace["features"]["disableLocalAuth"] is True
    assert the("Microsoft.Insights/components", deployment)["properties"]["DisableLocalAuth"] is True


def test_each_resource_of_value_reports_to_the_workspace(deployment: str) -> None:
    if given_for(deployment).get("diagnosticsWorkspaceId") == "none":  # a policy of the company does
        assert not deployment_of(deployment).of_type("Microsoft.Insights/diagnosticSettings")
        return
    settings = deployment_of(deployment).of_type("Microsoft.Insights/diagnosticSettings")
    scopes = {setting["scope"] for setting in settings}
    types = {re.sub(r".*/providers/([^/]+/[^/]+)/.*", r"\1", scope) for scope in scopes}
    assert {"Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"} <= types
    assert types & {"Microsoft.Web/sites", "Microsoft.App/managedEnvironments"}
    categories = {log.get("category") for setting in settings for log in setting["properties"].get("logs", ())}
    assert "ContainerAppConsoleLogs" not in categories, "telemetry would be paid twice"
    assert not categories & {"StorageRead", "StorageWrite"}, "some hundred a second"


def test_the_dead_mans_alert_reads_a_gauge_that_the_program_sends(deployment: str) -> None:
    rule = the("Microsoft.Insights/scheduledQueryRules", deployment)["properties"]
    (criterion,) = rule["criteria"]["allOf"]
    assert f'name == "{GAUGE_PREFIX}{TICK_GAP}"' in criterion["query"]
    assert "summarize Received = count()" in criterion["query"]
    assert rule["severity"] == 0
    assert rule["actions"]["actionGroups"][0].endswith(f"ag-{deployment_of(deployment).outputs['app']}")


def test_events_of_the_vault_reach_the_function_on_both_platforms() -> None:
    kind = "Microsoft.EventGrid/systemTopics/eventSubscriptions"
    function = the(kind, "all options")["properties"]
    assert function["destination"]["endpointType"] == "AzureFunction"
    assert function["destination"]["properties"]["resourceId"].endswith("/functions/secrets_changed")
    webhook = the(kind, "events of the container app")["properties"]
    assert webhook["destination"]["endpointType"] == "WebHook"
    address = webhook["destination"]["properties"]["endpointUrl"]
    assert "/runtime/webhooks/eventgrid?functionName=secrets_changed&code=" in address
    assert "<secret host-systemkey-eventgrid-extension>" in address
    assert function["filter"] == webhook["filter"]
    assert deployment_of("prod").of_type(kind) == [], "the app must run first"


def test_the_site_is_probed_and_takes_no_passwords() -> None:
    for name in ("dev", "prod", "a dedicated plan"):
        site = the("Microsoft.Web/sites", name)["properties"]
        assert site["httpsOnly"] is True
        assert site["siteConfig"]["healthCheckPath"] == "/api/health/live"
        assert site["siteConfig"]["ftpsState"] == "Disabled"
        policies = deployment_of(name).of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        assert [policy["properties"]["allow"] for policy in policies] == [False, False]


def test_the_container_app_is_a_functions_app_with_probes_and_revisions() -> None:
    app = the("Microsoft.App/containerApps", "container-apps")
    assert app["kind"] == "functionapp"
    configuration = app["properties"]["configuration"]
    assert configuration["activeRevisionsMode"] == "Multiple"
    assert configuration["ingress"]["targetPort"] == 8080
    assert configuration["ingress"]["allowInsecure"] is False
    probes = {
        probe["type"]: probe["httpGet"]["path"] for probe in app["properties"]["template"]["containers"][0]["probes"]
    }
    assert probes == {
        "Startup": "/api/health/live",
        "Liveness": "/api/health/live",
        "Readiness": "/api/health/ready",
    }


def test_names_have_the_length_that_azure_allows() -> None:
    for name in all_deployments():
        for resource in deployment_of(name).of_type("Microsoft.Web/sites"):
            assert len(f"{resource['name']}-staging") <= 32, "the Functions host distinguishes 32 letters"
