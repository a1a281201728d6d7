"""Every setting of the program, as one frozen model. Built by config.loading from the layers, read by scheduler.app.

config/environments/base.yaml describes each one and has the same defaults; a test compares both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from config.settings.exporter_settings import ApplicationInsightsSettings as ApplicationInsightsSettings
from config.settings.exporter_settings import DatadogSettings as DatadogSettings
from config.settings.exporter_settings import OtlpSettings, TelemetrySettings
from config.settings.fields import (
    DefaultScheduleField,
    Folders,
    Hosts,
    IdentitySettings,
    Networks,
    Ports,
    PositiveDuration,
    References,
    Schemes,
    SecretSettings,
    ServiceUrl,
    check_address_setting,
    check_ping_url,
    check_storage_connection,
    check_store,
    parse_processes,
    reject_query,
    split_list,
    to_lower,
)
from config.settings.http_settings import HttpSettings, RateLimitSettings
from config.settings.outbound_settings import OutboundSettings
from jobs.checks.body_memory import MAX_BODY_BYTES
from jobs.model_base import Duration, FrozenModel
from jobs.policies.execution import find_label_collision, label_of_tag
from jobs.policies.groups import MAX_CONCURRENCY_GROUP
from jobs.running.retry_budget import RETRIES_PER_MINUTE, RETRY_SHARE
from jobs.schedules import parse_schedule


class AlertingSettings(FrozenModel):
    """`age`: an incident is deleted when it was resolved longer ago."""

    age: PositiveDuration = 400 * 86400.0
    group_wait: Annotated[Duration, Field(ge=0, le=300)] = 10.0
    """Seconds for which a firing alert waits for others with the same cause, before it is announced."""
    fallback_after: Annotated[Duration, Field(gt=0, le=86400)] = 180.0
    """Seconds of failures after which the fallback channel is used."""
    give_up_after: Annotated[Duration, Field(gt=0, le=30 * 86400)] = 86400.0
    """Seconds of failures after which a notification becomes undelivered."""
    azure_health: bool = False


def _check_labels(tags: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(tags)) < len(tags):
        raise ValueError("a tag is listed twice")
    if found := find_label_collision(tags):
        raise ValueError(
            f"the tags {found[0]!r} and {found[1]!r} have the same label {label_of_tag(found[0])}: list one of them"
        )
    return tags


TagName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class PrometheusSettings(FrozenModel):
    """`tags`: the tags of jobs that are labels of scheduler_job_info; see scheduler.metrics."""

    tags: Annotated[tuple[TagName, ...], BeforeValidator(split_list), AfterValidator(_check_labels)] = ()
    histograms: Literal["auto", "job", "none"] = "auto"
    max_jobs: int = Field(default=10_000, ge=0, le=1_000_000)


class LogSettings(FrozenModel):
    """`format` auto writes for people on a terminal, and JSON otherwise. `runs`: failures omits the lines of runs that
    start, and of those that end well.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"
    runs: Literal["all", "failures"] = "all"


class AuditSettings(FrozenModel):
    """An entry of the audit trail is deleted when it is older than `age`."""

    age: PositiveDuration = 400 * 86400.0


class RetentionSettings(FrozenModel):
    """A run is deleted when it is older than `age`, or when its job has more than `runs_per_job` newer ones."""

    age: PositiveDuration = 30 * 86400.0
    runs_per_job: int = Field(default=10_000, ge=1)


class ChangeSettings(FrozenModel):
    """A change of the state of a job is deleted when it is older than `age`."""

    age: PositiveDuration = 400 * 86400.0


class DeletedJobSettings(FrozenModel):
    """A deleted stored job can be restored until it is older than `age`; then its versions are deleted."""

    age: PositiveDuration = 400 * 86400.0


MAX_STORED_JOBS = 50_000
"""At most scheduler.features.stored_jobs.committing.MAX_STORED_NAMES, which includes deleted jobs."""


class StoredJobSettings(FrozenModel):
    """The number of stored jobs that changes may reach; see scheduler.features.stored_jobs.allowed_changes."""

    limit: int = Field(default=10_000, ge=1, le=MAX_STORED_JOBS)
    limit_per_tag: int = Field(default=1000, ge=1, le=MAX_STORED_JOBS)
    """Of jobs with one of the tags that limit the caller."""


class RollupSettings(FrozenModel):
    """The counts of runs by hour and day, for uptime and statistics, are deleted when they are older than `age`."""

    age: PositiveDuration = 400 * 86400.0


Share = Annotated[float, Field(gt=0, le=1)]


class ShareSettings(FrozenModel):
    """Shares of `concurrency`; see scheduler.worker.places."""

    job: Share = 0.1
    host: Share = 0.25


class RetryBudgetSettings(FrozenModel):
    """Retries of all jobs of a target host together, in a process; see jobs.running.retries.retry_budget."""

    per_minute: float = Field(default=RETRIES_PER_MINUTE, ge=0, le=1_000_000)
    share: float = Field(default=RETRY_SHARE, ge=0, le=100)


class SelfCheckSettings(FrozenModel):
    """`references`: targets that answer whenever the scheduler can reach anything; see jobs.running.self_checks."""

    references: References = ()


class SelfWatchSettings(FrozenModel):
    """While the scheduler works, it requests `url` at this interval; see scheduler.watchdog.self_watch."""

    url: Annotated[SecretStr, AfterValidator(check_ping_url)] | None = None
    every: Annotated[Duration, Field(ge=10, le=86400)] = 60.0


class StorageSettings(FrozenModel):
    """The storage account of store `azure`: by connection string, or by name (or URLs) with the app's identity."""

    connection_string: Annotated[SecretStr, AfterValidator(check_storage_connection)] | None = None
    account_name: str | None = Field(
        default=None, pattern=r"^[a-z0-9]{3,24}$", description="3 to 24 lower-case letters and digits"
    )
    table_url: ServiceUrl | None = None
    queue_url: ServiceUrl | None = None
    prefix: str = Field(
        default="scheduler", pattern=r"^[a-z][a-z0-9]{2,30}$", description="3 to 31 lower-case letters and digits"
    )
    """Prefix of the names of its tables and queues. (Queue triggers read the variable, see scheduler.dispatch.)"""
    credential: Annotated[Literal["managedidentity"], BeforeValidator(to_lower)] | None = None
    """The credential of the Functions host; the scheduler always uses its managed identity."""


class TargetSettings(FrozenModel):
    """The targets that checks may connect to, and how much of an answer they read; see jobs.checks.guard.guard."""

    networks: Networks = ()
    hosts: Hosts = ()
    ports: Ports = ("1-65535",)
    schemes: Schemes = ("http", "https")
    largest_body: Annotated[ByteSize, Field(ge=1)] = ByteSize(16 * 1024 * 1024)
    ca_folders: Folders = ()
    """Folders that may contain the `ca_file` of a target; empty: any folder."""
    body_memory: Annotated[ByteSize, Field(ge=1024 * 1024)] = ByteSize(MAX_BODY_BYTES)
    """Bytes of all bodies that are held at a time; see jobs.checks.body_memory."""
    traceparent: bool = True
    """Whether HTTP requests of checks carry the ids of the run's trace."""


class Settings(BaseModel):
    """Immutable; unknown keys are rejected. Built from its arguments only: it does not read os.environ."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, arbitrary_types_allowed=True
    )

    environment: str = Field(default="dev", min_length=1)
    jobs: Path | None = None
    jobs_container: Annotated[ServiceUrl, AfterValidator(reject_query)] | None = None
    """Replaces `jobs`: a blob container, or the blobs in it whose names start with the rest of the URL's path."""
    samples: bool = False
    default_schedule: DefaultScheduleField = parse_schedule("0 * * * * *")
    """The schedule of flat jobs without one; None: they run on demand."""
    store: Annotated[str, AfterValidator(check_store)] = "sqlite:///data/scheduler.db"
    allow_remote: bool = False
    """Whether `host`, which is judged by it, may be another address than loopback."""
    host: Annotated[str, AfterValidator(check_address_setting)] = "127.0.0.1"
    port: int = Field(default=7071, ge=0, le=65535)
    http: HttpSettings = HttpSettings.model_construct()
    outbound: OutboundSettings = OutboundSettings.model_construct()
    concurrency: int = Field(default=200, ge=1, le=10_000)
    processes: Annotated[int | Literal["auto"], BeforeValidator(parse_processes)] = "auto"
    """Of the embedded host. `auto`: further ones start once the first one is busy, one for each core at most."""
    max_running: int | None = Field(default=None, ge=1, le=MAX_CONCURRENCY_GROUP)
    """Maximum over all instances together; None: no limit."""
    shares: ShareSettings = ShareSettings.model_construct()
    shutdown_grace: Duration = 3.0
    secrets_folder: Path | None = None
    """Mounted secrets, a file each."""
    key_vault_url: ServiceUrl | None = None
    managed_identity_client_id: str | None = Field(default=None, min_length=1)
    version: str | None = None
    service_name: str | None = Field(default=None, min_length=1)
    """Under which the program reports; see observability.service_name."""
    log: LogSettings = LogSettings.model_construct()
    targets: TargetSettings = TargetSettings.model_construct()
    secrets: SecretSettings = SecretSettings.model_construct()
    identity: IdentitySettings = IdentitySettings.model_construct()
    retry_budget: RetryBudgetSettings = RetryBudgetSettings.model_construct()
    self_checks: SelfCheckSettings = SelfCheckSettings.model_construct()
    self_watch: SelfWatchSettings = SelfWatchSettings.model_construct()
    rate_limits: RateLimitSettings = RateLimitSettings.model_construct()
    audit: AuditSettings = AuditSettings.model_construct()
    alerting: AlertingSettings = AlertingSettings.model_construct()
    changes: ChangeSettings = ChangeSettings.model_construct()
    deleted_jobs: DeletedJobSettings = DeletedJobSettings.model_construct()
    stored_jobs: StoredJobSettings = StoredJobSettings.model_construct()
    retention: RetentionSettings = RetentionSettings.model_construct()
    rollups: RollupSettings = RollupSettings.model_construct()
    storage: StorageSettings = StorageSettings.model_construct()
    telemetry: TelemetrySettings = TelemetrySettings.model_construct()
    """A job can override it for its runs."""
    application_insights: ApplicationInsightsSettings = ApplicationInsightsSettings.model_construct()
    datadog: DatadogSettings = DatadogSettings.model_construct()
    otlp: OtlpSettings = OtlpSettings.model_construct()
    prometheus: PrometheusSettings = PrometheusSettings.model_construct()
    unresolved: tuple[str, ...] = ()
    """Messages about Key Vault references that the platform did not resolve. With one, the app is not ready."""

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file; None with store `azure`."""
        return Path(self.store.removeprefix("sqlite:///")) if self.store.startswith("sqlite:///") else None

    @property
    def uses_azure_storage(self) -> bool:
        return self.store == "azure"

    @property
    def datadog_env(self) -> str:
        """The `env` tag."""
        return self.datadog.env or self.environment
