"""Reads the page of metrics of an ApiClient.

samples = await scrape(client)
samples['scheduler_job_up{job_name="checkout"}']        # 1.0; KeyError without such a sample
"""

from __future__ import annotations

from tests.scheduler.api.api_client import ApiClient

PROMETHEUS_ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""As Prometheus 2.53 sends it."""


async def scrape(client: ApiClient) -> dict[str, float]:
    """Return the value of each sample by its name and labels. A sample that occurs twice fails the test."""
    answer = await client.get("/api/metrics")
    assert answer.status_code == 200, answer.text
    return read_samples(answer.text)


def read_samples(page: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in found, f"{name} occurs twice"
            found[name] = float(value)
    return found


def of_job(samples: dict[str, float], job: str) -> dict[str, float]:
    """Return the samples of a job."""
    return {name: value for name, value in samples.items() if f'job_name="{job}"' in name}
