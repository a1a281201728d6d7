"""`discover azure` with a recorded subscription of 300 resources, served by Resource Graph on loopback."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.job_files.job_set import JobSet
from config.loading import load_configuration
from jobs.targets import AzureTarget
from jobs.targets.azure_apis import API_HOSTS
from tests.infra.azure.bicep import BicepFile
from tests.infra.azure.evaluation import evaluate
from tests.parts.ingestion import ManagedIdentityServer
from tests.parts.resource_graph import PROD, TEST, ResourceGraph, refusal, resource_graph
from tests.scheduler.cli.invocation import CommandResult, invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

NEEDED = 160
"""Checks that the recorded resources need: 106 of presets and 54 of hosts."""
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


@pytest.fixture
def graph(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResourceGraph]:
    monkeypatch.setattr("observability.generation.azure.arm_client.fetch_access_token", lambda url, client_id: "token")
    with resource_graph() as served:
        monkeypatch.setenv("AZURE_RESOURCE_MANAGER_URL", served.url)
        yield served


def discover(*options: str) -> CommandResult:
    return invoke("discover", "azure", *options)


def load_jobs() -> JobSet:
    return load_configuration(os.environ, root=Path(__file__).resolve().parents[4]).jobs


def differences(*options: str) -> dict[str, set[tuple[str, str]]]:
    found = discover("--diff", "--json", *options)
    report = json.loads(found.stdout)
    missing = {(each["check"], each["resource"].rpartition("/")[2]) for each in report["missing"]}
    stale = {(each["job"], each["resource"].rpartition("/")[2]) for each in report["stale"]}
    assert found.code == (3 if missing or stale else 0)
    return {"missing": missing, "stale": stale}


def find_row(graph: ResourceGraph, name: str) -> dict[str, Any]:
    return next(row for row in graph.resources if row["name"] == name)


def test_the_files_hold_a_valid_job_for_each_needed_check(graph: ResourceGraph, job_folder: Path) -> None:
    written = discover("--out", str(job_folder))
    assert written.code == 0, written.stderr
    assert (len(graph.resources), "300 resources, 2 ignored" in written.stderr) == (300, True)
    jobs = load_jobs()
    assert len(jobs) == NEEDED
    presets = Counter(job.preset.name for job in jobs if job.preset is not None)
    assert presets == {
        "servicebus-dead-letters": 17,
        "servicebus-backlog": 17,
        "keyvault-expiry": 16,
        "container-app": 24,
        "container-app-job": 8,
        "azure-sql-state": 8,
        "logic-app-runs": 8,
        "recovery-services-backup": 8,
    }
    assert invoke("validate").code == 0


def test_tags_are_those_of_the_resource_without_what_looks_secret(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    assert load_jobs().jobs["shop-tagged-servicebus-backlog"].tags == {
        "1": "2",
        "owner": 'Ä. Müller: "shop"',
        "yes": "no",
    }


def test_hosts_are_those_that_the_public_reaches(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    urls = {getattr(job.check, "url", "") for job in load_jobs()}
    assert {
        "https://shop-prod-web0.azurewebsites.net/",
        "https://www.shop-prod.example/",
        "https://app0.shop-prod.example/",
        "https://shop-abc123.z01.azurefd.net/",
        "https://shop.example/",
        "https://gateway-1.azure-api.net/",
        "https://pay.example/",
        "https://api.pay.example/",
        "http://front-1.westeurope.cloudapp.azure.com/",
    } <= urls
    assert not [url for url in urls for hidden in ("internal.", "old-", "vm-1", "web2.", "play", "*") if hidden in url]


def test_a_second_discovery_changes_nothing(graph: ResourceGraph, job_folder: Path) -> None:
    first = discover("--out", str(job_folder))
    again = discover("--out", str(job_folder))
    assert {line.partition("\t")[0] for line in first.lines} == {"written"}
    assert {line.partition("\t")[0] for line in again.lines} == {"unchanged"}
    assert differences() == {"missing": set(), "stale": set()}


def test_diff_names_exactly_what_was_removed_and_added(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    gone = find_row(graph, "orders-prod-kv1")
    graph.resources.remove(gone)
    changed = find_row(graph, "orders-prod-web0")
    changed["properties"]["hostNames"] = ["new.orders.example"]
    bus = {**find_row(graph, "orders-prod-bus0"), "name": "orders-new"}
    graph.resources.append({**bus, "id": bus["id"].replace("orders-prod-bus0", "orders-new")})
    assert differences() == {
        "missing": {
            ("servicebus-dead-letters", "orders-new"),
            ("servicebus-backlog", "orders-new"),
            ("https://new.orders.example/", "orders-prod-web0"),
        },
        "stale": {("orders-prod-kv1-keyvault-expiry", "orders-prod-kv1"), ("www.orders-prod.example", changed["name"])},
    }
    printed = discover("--diff", "--resource-group", "orders")
    file = next(job_folder.glob("azure-orders-*.yaml"))
    assert printed.lines[-1].split("\t")[3].startswith(f"{file}:")
    assert printed.code == 3
    assert [line.split("\t")[:2] for line in printed.lines] == [
        ["difference", "check"],
        ["missing", "servicebus-backlog"],
        ["missing", "servicebus-dead-letters"],
        ["missing", "https://new.orders.example/"],
        ["stale", "orders-prod-kv1-keyvault-expiry"],
        ["stale", "www.orders-prod.example"],
    ]
    assert differences("--resource-group", "shop") == {"missing": set(), "stale": set()}
    assert "0 jobs without a resource" in discover("--out", str(job_folder)).stderr, "the files no longer have them"


def test_jobs_of_people_about_missing_resources_are_stale(graph: ResourceGraph, job_folder: Path) -> None:
    below = f"/subscriptions/{PROD}/resourceGroups"
    queues = "providers/Microsoft.ServiceBus/namespaces"

    def read(path: str) -> dict[str, Any]:
        return {
            "schedule": "every 5m",
            "check": {"kind": "azure_resource", "resource": path, "api_version": "2021-11-01"},
        }

    write_jobs(
        job_folder,
        present=read(f"{below}/SHOP/{queues}/Shop-Prod-Bus0/queues/orders"),
        renamed=read(f"{below}/shop/{queues}/shop-prod-bus9/queues"),
        dropped=read(f"{below}/shop/providers/Microsoft.Sql/servers/shop-prod-sql/databases/gone"),
        database=read(f"{below}/shop/providers/Microsoft.Sql/servers/shop-prod-sql/databases/shop"),
        group=read(f"{below}/deleted/providers/Microsoft.ResourceHealth/availabilityStatuses"),
        empty=read(f"{below}/empty/providers/Microsoft.ResourceHealth/availabilityStatuses"),
        elsewhere=read(f"/subscriptions/{TEST[:-1]}0/resourceGroups/shop/{queues}/any/queues"),
    )
    assert {job for job, _ in differences()["stale"]} == {"renamed", "dropped", "group"}


def test_what_a_person_checks_is_not_written_again(graph: ResourceGraph, job_folder: Path) -> None:
    values = {"subscription": PROD, "resource_group": "SHOP", "namespace": "Shop-prod-bus0"}
    app = "providers/microsoft.app/containerapps/shop-prod-app0"
    write_jobs(
        job_folder,
        bus={"preset": "servicebus-backlog", "with": values},
        app={
            "schedule": "every 5m",
            "check": {
                "kind": "azure_resource",
                "resource": f"/subscriptions/{PROD}/resourceGroups/shop/{app}/revisions",
                "api_version": "2023-05-01",
            },
        },
        site={"schedule": "every 1m", "check": {"url": "https://SHOP.example/login"}},
    )
    report = json.loads(discover("--out", str(job_folder), "--json").stdout)
    assert (report["covered"], len(report["missing"])) == (3, NEEDED - 3)
    assert len(load_jobs()) == NEEDED
    assert differences() == {"missing": set(), "stale": set()}


def test_an_edited_file_is_left_alone(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    file = next(job_folder.glob("azure-orders-*.yaml"))
    edited = file.read_text().replace("every 5m", "every 1m", 1)
    file.write_text(edited)
    roles = job_folder / f"roles-{PROD}.bicep"
    roles.write_text("// ours")
    again = discover("--out", str(job_folder))
    assert (file.read_text(), roles.read_text()) == (edited, "// ours")
    assert f"edited\t{file}" in again.lines
    assert f"{file} was edited and is left alone" in again.stderr
    assert len(load_jobs()) == NEEDED


def test_the_file_of_a_deleted_group_is_deleted(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    for rows in (graph.resources, graph.containers):
        rows[:] = [row for row in rows if row["resourceGroup"] != "orders"]
    orders = next(job_folder.glob("azure-orders-*.yaml"))
    assert f"deleted\t{orders}" in discover("--out", str(job_folder)).lines
    assert not orders.exists()
    assert differences() == {"missing": set(), "stale": set()}


def test_a_discovery_of_one_group_leaves_the_files_of_others(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    before = {file: file.read_text() for file in job_folder.iterdir()}
    one = discover("--out", str(job_folder), "--resource-group", "orders", "--subscription", PROD)
    assert one.code == 0
    assert {file: file.read_text() for file in before} == before
    assert {file.name for file in job_folder.iterdir() if file not in before} == {f"roles-{PROD}-orders.bicep"}
    limited = evaluate(BicepFile(job_folder / f"roles-{PROD}-orders.bicep"), {"principalId": "x"})
    assert {each["scope"].split("/")[4] for each in limited.resources} == {"orders"}
    assert graph.bodies[-1]["subscriptions"] == [PROD]


def test_a_name_stays_when_another_resource_gets_the_same(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder), "--subscription", TEST)
    names = set(load_jobs().jobs)
    for row in [row for row in graph.resources if row["subscriptionId"] == TEST]:
        text = json.dumps(row).replace(TEST, PROD).replace("azurewebsites.net", "azurewebsites.us")
        graph.resources.append(json.loads(text))
    discover("--out", str(job_folder))
    assert names <= set(load_jobs().jobs)


def test_ignored_resources_need_no_check(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder), "--ignore", "orders-*", "--ignore", "shop.example")
    jobs = load_jobs()
    assert not [name for name in jobs.jobs if name.startswith("orders-prod-")]
    assert "shop.example" not in jobs.jobs
    assert differences("--ignore", "orders-*", "--ignore", "shop.example")["missing"] == set()
    assert ("https://shop.example/", "shop-example") in differences()["missing"]


def test_without_a_folder_one_valid_file_is_printed(graph: ResourceGraph, job_folder: Path) -> None:
    (job_folder / "jobs.yaml").write_text(discover().stdout)
    assert len(load_jobs()) == NEEDED
    assert not list(job_folder.glob("*.bicep"))


def test_the_roles_compile_to_one_assignment_for_each_role_and_resource(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    principal = "99999999-0000-4000-8000-000000000001"
    files = [BicepFile(job_folder / f"roles-{subscription}.bicep") for subscription in (PROD, TEST)]
    made = [each for file in files for each in evaluate(file, {"principalId": principal}).resources]
    given = [(each["scope"], each["properties"]["roleDefinitionId"][-36:]) for each in made]
    assert {each["type"] for each in made} == {"Microsoft.Authorization/roleAssignments"}
    assert len(set(given)) == len(given) == len({each["name"] for each in made}) == 89
    jobs = [job for job in load_jobs() if job.preset is not None]
    assert {scope.lower() for scope, _ in given} == {job.check.azure_resource.lower() for job in jobs}  # type: ignore[union-attr]
    assert Counter(role for _, role in given) == {READER: 81, "a795c7a0-d4a2-40c1-ae25-d81f01202912": 8}
    bus = [role for scope, role in given if scope.endswith("/shop-prod-bus0")]
    assert bus == [READER], "two presets share a role"


def test_jobs_of_another_cloud_name_it(graph: ResourceGraph, job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as served:
        served.setitem(API_HOSTS, "china", API_HOSTS["china"]._replace(arm="127.0.0.1"))
        discover("--out", str(job_folder))
    checks = [job.check for job in load_jobs() if job.preset is not None]
    assert {check.auth.scope for check in checks if isinstance(check, AzureTarget)} == {
        "https://management.chinacloudapi.cn/.default"
    }


def test_a_refusal_names_the_role_and_the_subscription(graph: ResourceGraph, job_folder: Path) -> None:
    graph.refusals.append(refusal(403, "AuthorizationFailed", "The client has no authorization"))
    failed = discover("--subscription", PROD, "--out", str(job_folder))
    assert failed.code == 1
    assert "403" in failed.stderr
    assert f"assign the role Reader to who runs this command at /subscriptions/{PROD}" in failed.stderr
    assert not list(job_folder.iterdir())


def test_a_subscription_that_shows_nothing_is_no_difference(graph: ResourceGraph, job_folder: Path) -> None:
    discover("--out", str(job_folder))
    graph.resources.clear()
    graph.containers[:] = [row for row in graph.containers if row["subscriptionId"] != PROD]
    failed = discover("--diff", "--subscription", PROD)
    assert (failed.code, failed.stdout) == (1, "")
    assert f"Azure shows nothing of /subscriptions/{PROD}" in failed.stderr
    assert "assign the role Reader" in failed.stderr


def test_a_group_that_does_not_exist_is_no_difference(graph: ResourceGraph) -> None:
    failed = discover("--diff", "--resource-group", "shpo")
    assert failed.code == 1
    assert "Azure shows nothing of the resource group shpo" in failed.stderr


def test_all_pages_are_read(graph: ResourceGraph, job_folder: Path) -> None:
    graph.page_rows = 7
    discover("--out", str(job_folder))
    assert len(load_jobs()) == NEEDED
    assert len(graph.bodies) == 2 + 43


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resultTruncated": "true"}, "returned a part of the resources"),
        ({"$skipToken": "at-0"}, "an invalid link to its next page"),
        ({"$skipToken": 7}, "an invalid link to its next page"),
        ({"data": {}}, "something else than at most 1000 rows"),
        ({"data": ["x"]}, "something else than at most 1000 rows"),
        ({"data": [{}] * 1001}, "something else than at most 1000 rows"),
        ({"data": []}, "Azure shows nothing of any subscription"),
    ],
)
def test_an_incomplete_list_is_refused(changes: dict[str, Any], message: str, graph: ResourceGraph) -> None:
    graph.changes = changes
    if "$skipToken" in changes:
        graph.resources.clear()
    failed = discover("--diff")
    assert (failed.code, failed.stdout) == (1, "")
    assert message in failed.stderr


def test_rows_without_an_id_are_counted(graph: ResourceGraph) -> None:
    graph.resources[0]["id"] = "/subscriptions/x\n/../y"
    graph.resources[1]["id"] = 7
    assert "2 rows of Resource Graph have no valid id" in discover().stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subscription", "shop"], "--subscription: expected the id"),
        (["--resource-group", "x' or 1==1 //"], "--resource-group: expected the name of a resource group"),
        (["--diff", "--out", "x"], "--diff writes nothing: remove --out"),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str, job_folder: Path) -> None:
    refused = discover(*options)
    assert refused.code == 2
    assert message in refused.stderr


async def test_the_token_is_that_of_the_identity(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ManagedIdentityServer() as identities:
        with resource_graph() as graph:
            for name, value in {**identities.environ, "AZURE_RESOURCE_MANAGER_URL": graph.url}.items():
                monkeypatch.setenv(name, value)
            found = await invoke_concurrently("discover", "azure", "--json")
            assert len(json.loads(found.stdout)["missing"]) == NEEDED
            assert identities.calls == [(graph.url, None)]
