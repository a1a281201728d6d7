"""The jobs of the recorded subscription run: each request is one that Azure, or the host, answers."""

from __future__ import annotations

import ssl
from collections import Counter

from config.job_files.entries import PartInterner
from config.job_files.job_set import JobSet
from config.job_files.reader import parse_file
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Outcome
from scheduler.features.discovery.files import write_jobs
from scheduler.features.discovery.inventory import read_inventory
from scheduler.features.discovery.needs import list_paths
from scheduler.features.discovery.service import discover
from tests.config.presets.golden_answers import GOLDEN
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.jobs.running.virtual_time import LoopClock
from tests.parts.azure_apis import AzureApis
from tests.parts.http_server import Answer, Request
from tests.parts.resource_graph import RECORDED, ResourceGraph
from tests.parts.tls import AZURE, authority

ENTRIES = {
    "Microsoft.ServiceBus/namespaces/queues": "servicebus-backlog",
    "Microsoft.KeyVault/vaults/secrets": "keyvault-expiry",
    "Microsoft.App/containerApps/revisions": "container-app",
    "Microsoft.App/jobs/executions": "container-app-job",
    "Microsoft.Sql/servers/databases": "azure-sql-state",
    "Microsoft.Logic/workflows/runs": "logic-app-runs",
    "Microsoft.RecoveryServices/vaults/backupProtectedItems": "recovery-services-backup",
}
"""The preset whose entry is in the list of a type."""

IDS = {row["id"].lower() for row in RECORDED["resources"]}


def discovered_jobs() -> list[JobDefinition]:
    graph, presets = ResourceGraph(), JobSet().presets
    found = discover(read_inventory(graph._find_page, (), "", list_paths(presets)), JobSet())
    text = write_jobs(found.list_jobs()).encode()
    read = parse_file(text, "jobs.yaml", "jobs", None, PartInterner(), None, {})
    assert not read.problems
    return [located.job for located in read.jobs]


class Subscription(AzureApis):
    """Azure Resource Manager with one good entry in each list, and the hosts of the endpoints."""

    hosts: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert(*AZURE, *self.hosts).configure_cert(self._context)

    def answer(self, request: Request) -> Answer:
        if request.headers["host"] != "management.azure.com":
            return Answer(401)
        resource, _, part = request.path.rpartition("/")
        kind = resource.partition("/providers/")[2].rpartition("/")[0]
        if resource.lower() not in IDS:
            return self.refusal(404, "ResourceNotFound")
        return Answer.of_json({"value": [GOLDEN[ENTRIES[f"{kind}/{part}"]].good()]})


async def test_every_job_runs_against_the_subscription() -> None:
    jobs = discovered_jobs()
    secure = [job for job in jobs if "http://" not in job.check.label]
    Subscription.hosts = tuple(job.name for job in secure if job.preset is None)
    ended: Counter[str] = Counter()
    async with Subscription.open() as azure:
        runner = Runner(azure.checks, CircuitBreakers(MemoryStates()), Heard(), LoopClock(), Redactor())
        for job in secure:
            azure.dependencies.azure_budget._buckets.clear()  # the budget of seconds, for one run of each job
            run = await runner.run(job, TICKET)
            ended[run.outcome if run.outcome is Outcome.SUCCEEDED else f"{job.name}: {run.message}"] += 1
    assert ended == {Outcome.SUCCEEDED: 159}
    assert len(secure) == len(jobs) - 1, "the address of the gateway alone is requested without a certificate"
