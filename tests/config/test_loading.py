"""The layers of settings are merged, and what is wrong is told at the place to mend."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from config.documents.document import parse_document, read_file
from config.errors import ConfigurationError, format_problems
from config.job_files.reader import JobFileReader
from config.loading import load_configuration
from config.settings.layers import list_environments, merge_layers
from config.settings.loading import load_settings
from config.settings.model import Settings
from tests.project import ROOT

PROJECT = ROOT
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://my.vault.azure.net/secrets/x)"

Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder of its own, whose base.yaml is empty."""
    for name in ("base", "dev", "prod"):
        write_layer(tmp_path, name, "")
    (tmp_path / "config" / "jobs" / "samples").mkdir(parents=True)
    return tmp_path


def write_layer(root: Path, name: str, text: str) -> None:
    folder = root / "config" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


def settings(root: Path, **environ: str) -> Settings:
    return load_settings(environ, root=root).settings


def problems(root: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(environ, root=root)
    return format_problems(caught.value.problems).splitlines()


def test_later_layers_go_before_earlier_ones(root: Path) -> None:
    write_layer(root, "base", "port: 1\nlog: {level: debug, format: json}\nconcurrency: 7\n")
    write_layer(root, "dev", "port: 2\nlog: {format: text}\n")
    read = settings(root, SCHEDULER_PORT="3")
    assert (read.port, read.log.level, read.log.format, read.concurrency) == (3, "debug", "text", 7)


def test_nested_settings_are_variables_with_two_underscores(root: Path) -> None:
    read = settings(root, SCHEDULER_LOG__LEVEL="warning", scheduler_retention__age="2d", SCHEDULER_SAMPLES="true")
    assert (read.log.level, read.retention.age, read.samples) == ("warning", 2 * 86400.0, True)


def test_an_empty_variable_is_not_set(root: Path) -> None:
    assert settings(root, SCHEDULER_PORT="", SCHEDULER_KEY_VAULT_URL=" ", DD_API_KEY="", SCHEDULER_ENVIRONMENT="") == (
        settings(root)
    )


def test_names_that_azure_and_datadog_give_are_known(root: Path) -> None:
    read = settings(
        root,
        AzureWebJobsStorage="UseDevelopmentStorage=true",
        AzureWebJobsStorage__accountName="mystore",
        AzureWebJobsStorage__tableServiceUri="https://t.example",
        APPLICATIONINSIGHTS_CONNECTION_STRING="InstrumentationKey=1",
        DD_API_KEY="k",
        DD_SITE="datadoghq.eu",
        DD_ENV="e",
        DD_SERVICE="s",
        DD_VERSION="v",
    )
    assert read.storage.connection_string is not None
    assert read.storage.connection_string.get_secret_value() == "UseDevelopmentStorage=true"
    assert (read.storage.account_name, read.storage.table_url) == ("mystore", "https://t.example")
    assert read.application_insights.connection_string is not None
    assert read.datadog.api_key is not None
    assert (read.datadog.site, read.datadog_env, read.datadog.service, read.datadog.version) == (
        "datadoghq.eu",
        "e",
        "s",
        "v",
    )


def test_a_setting_of_our_own_name_goes_before_a_well_known_one(root: Path) -> None:
    assert settings(root, DD_SERVICE="a", SCHEDULER_DATADOG__SERVICE="b").datadog.service == "b"


IDENTITY = {
    "SCHEDULER_MANAGED_IDENTITY_CLIENT_ID": "ours",
    "AzureWebJobsStorage__clientId": "hosts",
    "AZURE_CLIENT_ID": "azures",
}


@pytest.mark.parametrize("name", IDENTITY)
def test_each_name_of_the_identity_is_enough(name: str, root: Path) -> None:
    loaded = load_settings({name: "one-id"}, root=root)
    assert loaded.settings.managed_identity_client_id == "one-id"
    assert loaded.find_origin("managed_identity_client_id") == name


def test_the_identity_of_our_own_name_goes_before_the_others_whatever_they_report(root: Path) -> None:
    loaded = load_settings(IDENTITY, root=root)
    assert loaded.settings.managed_identity_client_id == "ours"
    assert loaded.find_origin("managed_identity_client_id") == "SCHEDULER_MANAGED_IDENTITY_CLIENT_ID"


def test_an_identity_in_a_file_is_weaker_than_a_variable(root: Path) -> None:
    write_layer(root, "base", "managed_identity_client_id: of-the-file\n")
    assert settings(root, AZURE_CLIENT_ID="azures").managed_identity_client_id == "azures"


def test_two_names_with_the_same_identity_agree(root: Path) -> None:
    loaded = load_settings({"AzureWebJobsStorage__clientId": "ABC-1", "AZURE_CLIENT_ID": "abc-1"}, root=root)
    assert loaded.settings.managed_identity_client_id == "ABC-1"
    assert loaded.find_origin("managed_identity_client_id") == "AzureWebJobsStorage__clientId"


def test_two_identities_without_one_of_our_own_name_are_refused(root: Path) -> None:
    assert problems(root, AzureWebJobsStorage__clientId="hosts", AZURE_CLIENT_ID="azures") == [
        "AzureWebJobsStorage__clientId: contains another client id than AZURE_CLIENT_ID; give both the same client id, "
        "or set SCHEDULER_MANAGED_IDENTITY_CLIENT_ID to the one that the scheduler uses"
    ]


@pytest.mark.parametrize(
    "other", ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"]
)
def test_the_client_id_of_a_service_principal_names_no_managed_identity(other: str, root: Path) -> None:
    environ = {"AZURE_CLIENT_ID": "principal", other: "x"}
    assert settings(root, **environ).managed_identity_client_id is None
    assert settings(root, AzureWebJobsStorage__clientId="hosts", **environ).managed_identity_client_id == "hosts"


@pytest.mark.parametrize("value", ["managedidentity", "ManagedIdentity"])
def test_the_hosts_credential_is_the_managed_identity(value: str, root: Path) -> None:
    assert settings(root, AzureWebJobsStorage__credential=value).storage.credential == "managedidentity"


def test_another_credential_of_the_host_is_refused(root: Path) -> None:
    (problem,) = problems(root, AzureWebJobsStorage__credential="workloadidentity")
    assert problem.startswith("AzureWebJobsStorage__credential: ")
    assert problem.endswith("allowed: managedidentity")


def test_an_identity_by_its_resource_id_is_refused_unless_its_client_id_is_set(root: Path) -> None:
    environ = {"AzureWebJobsStorage__managedIdentityResourceId": "/subscriptions/1/x"}
    assert problems(root, **environ) == [
        "AzureWebJobsStorage__managedIdentityResourceId: the scheduler needs the client id of the identity; "
        "set AzureWebJobsStorage__clientId in its place"
    ]
    assert settings(root, **environ, AZURE_CLIENT_ID="x").managed_identity_client_id == "x"


def test_lists_are_written_with_commas_in_a_variable_and_as_lists_in_a_file(root: Path) -> None:
    write_layer(
        root, "base", "targets: {networks: [10.0.0.0/8, '::1'], ports: [443, 8000-8999], hosts: '*.internal'}\n"
    )
    read = settings(
        root, SCHEDULER_TARGETS__NETWORKS="127.0.0.1, fd12::/16,", SCHEDULER_TARGETS__SCHEMES="https"
    ).targets
    assert [str(network) for network in read.networks] == ["127.0.0.1/32", "fd12::/16"]
    assert (read.ports, read.hosts, read.schemes) == (("443", "8000-8999"), ("*.internal",), ("https",))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "NETWORKS",
            "10.0.0.0/8,ten",
            "'ten' is not a network: write it like 10.0.0.0/8 or fd00::/8, or an address alone",
        ),
        ("NETWORKS", "10.1.0.0/8", "'10.1.0.0/8' is not the first address of its network: write 10.0.0.0/8, or"),
        ("NETWORKS", "169.254.0.0/16", "'169.254.0.0/16' is never allowed: a link-local address, "),
        ("NETWORKS", "168.63.129.16", "'168.63.129.16' is never allowed: Azure's own address"),
        ("HOSTS", "http://x/", "'http://x/' is not a host: write a name, or a pattern such as *.internal, "),
        ("PORTS", "80, 0", "'0' is not a port from 1 to 65535: write it like 443, or 8000-8999"),
        ("PORTS", "9000-8000", "'9000-8000' is not a port"),
        ("SCHEMES", "http,ftp", "'ftp' is not allowed; allowed: http, https"),
        ("LARGEST_BODY", "0", "'0' is too small: at least 1"),
    ],
)
def test_a_wrong_item_of_a_list_is_reported_with_the_variable(root: Path, name: str, value: str, message: str) -> None:
    (reported,) = problems(root, **{f"SCHEDULER_TARGETS__{name}": value})
    assert reported.startswith(f"SCHEDULER_TARGETS__{name}: {message}")


def test_a_wrong_item_of_a_list_is_reported_with_its_line(root: Path) -> None:
    write_layer(root, "base", "targets:\n  networks:\n    - 10.0.0.0/8\n    - ten\n")
    (reported,) = problems(root)
    assert reported.startswith("config/environments/base.yaml:4: targets.networks[1]: 'ten' is not a network")


def test_secrets_do_not_show(root: Path) -> None:
    read = settings(root, DD_API_KEY="hunter2", AzureWebJobsStorage="AccountName=a;AccountKey=hunter2=")
    assert "hunter2" not in f"{read!r} {read} {read.model_dump_json()}"


@pytest.mark.parametrize(
    ("environ", "environment"),
    [
        ({}, "dev"),
        ({"SCHEDULER_ENVIRONMENT": "prod"}, "prod"),
        ({"WEBSITE_INSTANCE_ID": "1"}, "prod"),
        ({"CONTAINER_APP_NAME": "a"}, "prod"),
        ({"CONTAINER_APP_NAME": "a", "SCHEDULER_ENVIRONMENT": "dev"}, "dev"),
    ],
)
def test_the_environment_is_prod_on_azure_and_dev_elsewhere(
    environ: dict[str, str], environment: str, root: Path
) -> None:
    assert settings(root, **environ).environment == environment


def test_datadogs_env_is_the_environment(root: Path) -> None:
    assert settings(root, SCHEDULER_ENVIRONMENT="prod").datadog_env == "prod"


def test_an_unknown_environment_is_reported_with_those_present(root: Path) -> None:
    assert problems(root, SCHEDULER_ENVIRONMENT="prd") == [
        "SCHEDULER_ENVIRONMENT: 'prd' is not allowed, did you mean prod? "
        "allowed: dev, prod (the files in config/environments)"
    ]


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"SCHEDULER_PORT": "80000"}, "SCHEDULER_PORT: '80000' is too large: at most 65535"),
        ({"SCHEDULER_LOG__LEVEL": "warn"}, "SCHEDULER_LOG__LEVEL: 'warn' is not allowed, did you mean warning?"),
        ({"SCHEDULER_LOG_LEVEL": "info"}, "SCHEDULER_LOG_LEVEL: unknown setting, did you mean SCHEDULER_LOG__LEVEL?"),
        ({"SCHEDULER_PROT": ""}, "SCHEDULER_PROT: unknown setting, did you mean SCHEDULER_PORT?"),
        ({"SCHEDULER_ZZZZ": "1"}, "SCHEDULER_ZZZZ: unknown setting; config/environments/base.yaml lists the settings"),
        ({"SCHEDULER_UNRESOLVED": "1"}, "SCHEDULER_UNRESOLVED: unknown setting"),
        (
            {"SCHEDULER_STORE": "azur"},
            "SCHEDULER_STORE: 'azur' is not a store: write sqlite:///path/to/file.db or azure",
        ),
        ({"SCHEDULER_STORE": "sqlite:///"}, "SCHEDULER_STORE: 'sqlite:///' is not a store"),
        ({"SCHEDULER_STORE": "azure"}, "SCHEDULER_STORE: azure needs a storage account; set AzureWebJobsStorage"),
        (
            {"SCHEDULER_HOST": "0.0.0.0"},
            "SCHEDULER_HOST: the API is served on loopback only: 127.0.0.1, ::1 or localhost; allow_remote",
        ),
        (
            {"SCHEDULER_HOST": "example.com", "SCHEDULER_ALLOW_REMOTE": "true"},
            "SCHEDULER_HOST: 'example.com' is not an address: write an IP address such as 0.0.0.0, or localhost",
        ),
        (
            {"SCHEDULER_KEY_VAULT_URL": "http://a.example"},
            "SCHEDULER_KEY_VAULT_URL: 'http://a.example' is not an https",
        ),
        ({"SCHEDULER_KEY_VAULT_URL": "https://["}, "SCHEDULER_KEY_VAULT_URL: 'https://[' is not a URL"),
        ({"SCHEDULER_SHUTDOWN_GRACE": "4"}, "SCHEDULER_SHUTDOWN_GRACE: '4' is not a duration"),
        ({"DD_SITE": "https://x"}, "DD_SITE: 'https://x' has the wrong form; a host such as datadoghq.eu"),
        ({"AzureWebJobsStorage__accountName": "A"}, "AzureWebJobsStorage__accountName: 'A' has the wrong form"),
        ({"AzureWebJobsStorage": "AccountKey=YQ=="}, "AzureWebJobsStorage: is not the connection string of a storage"),
        ({"AzureWebJobsStorage": "AccountName=a;AccountKey=?"}, "AzureWebJobsStorage: is not the connection string"),
    ],
)
def test_a_wrong_variable_is_reported_by_its_name(environ: dict[str, str], sentence: str, root: Path) -> None:
    (reported,) = problems(root, **environ)
    assert reported.startswith(sentence)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "127.0.0.1", "localhost"])
def test_another_address_than_loopback_is_served_where_that_is_allowed(host: str, root: Path) -> None:
    assert settings(root, SCHEDULER_HOST=host, SCHEDULER_ALLOW_REMOTE="true").host == host


def test_what_is_wrong_in_a_file_is_reported_with_its_line(root: Path) -> None:
    write_layer(root, "base", "port: 1\nprot: 2\nlog:\n  level: loud\n")
    write_layer(root, "dev", "concurrency: 0\nconcurrency: 0\n")
    assert problems(root) == [
        "config/environments/dev.yaml:2: concurrency: is a duplicate: first in line 1; keep one of them",
        "config/environments/dev.yaml:1: concurrency: 0 is too small: at least 1",
        "config/environments/base.yaml:4: log.level: 'loud' is not allowed; allowed: debug, info, warning, error",
        "config/environments/base.yaml:2: prot: unknown key, did you mean port?",
    ]


@pytest.mark.parametrize("text", ["- a\n", "port: [\n"])
def test_a_file_that_is_no_mapping_is_reported(text: str, root: Path) -> None:
    write_layer(root, "dev", text)
    assert problems(root)[0].startswith("config/environments/dev.yaml:1: is not")


def test_a_missing_file_is_reported(root: Path) -> None:
    (root / "config" / "environments" / "base.yaml").unlink()
    assert problems(root) == ["config/environments/base.yaml: cannot be read: no such file or directory"]


def test_settings_and_job_files_are_reported_together(root: Path, tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "a.yaml").write_text("jobs: {a: {}}")
    reported = problems(root, SCHEDULER_PORT="x", SCHEDULER_JOBS=str(tmp_path / "my"))
    assert [row.split(":")[0] for row in reported] == ["SCHEDULER_PORT", "my/a.yaml"]


@pytest.mark.parametrize(
    "name", ["DD_API_KEY", "AzureWebJobsStorage", "SCHEDULER_KEY_VAULT_URL", "SCHEDULER_SECRET_CHECKOUT"]
)
def test_an_unresolved_reference_is_no_value_and_is_remembered(name: str, root: Path) -> None:
    read = settings(root, **{name: REFERENCE})
    assert read.model_copy(update={"unresolved": ()}) == settings(root)
    assert read.unresolved == (
        f"{name}: its Key Vault reference is not resolved; check that the secret exists "
        "and that the app's identity may read it",
    )


def test_an_unresolved_reference_in_a_file_is_remembered(root: Path) -> None:
    write_layer(root, "dev", f'datadog:\n  api_key: "{REFERENCE}"\n')
    assert settings(root).unresolved[0].startswith("datadog.api_key: its Key Vault reference is not resolved")


def test_an_unresolved_storage_account_does_not_refuse_the_start(root: Path) -> None:
    assert settings(root, SCHEDULER_STORE="azure", AzureWebJobsStorage=REFERENCE).uses_azure_storage


def test_origins_are_known(root: Path) -> None:
    write_layer(root, "base", "port: 1\nlog:\n  level: debug\n")
    loaded = load_settings({"SCHEDULER_PORT": "3"}, root=root)
    assert loaded.find_origin("port") == "SCHEDULER_PORT"
    assert loaded.find_origin("log", "level") == "config/environments/base.yaml:3"
    assert loaded.find_origin("store") == "default of store"


def test_paths_start_from_the_root_in_files_and_from_the_working_folder_in_variables(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_layer(root, "base", "jobs: config/jobs\nstore: sqlite:///data/a.db\n")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert settings(root).jobs == root / "config" / "jobs"
    assert settings(root).sqlite_path == root / "data" / "a.db"
    read = settings(root, SCHEDULER_JOBS="mine", SCHEDULER_STORE="sqlite:///mine.db")
    assert (read.jobs, read.sqlite_path) == (elsewhere / "mine", elsewhere / "mine.db")
    assert settings(root, SCHEDULER_STORE="sqlite:////var/a.db").sqlite_path == Path("/var/a.db")
    assert settings(root, SCHEDULER_SECRETS_FOLDER="mounted").secrets_folder == elsewhere / "mounted"
    assert settings(root, SCHEDULER_SECRETS_FOLDER="/mnt/secrets").secrets_folder == Path("/mnt/secrets")


def test_a_store_on_azure_has_no_file(root: Path) -> None:
    assert settings(root, SCHEDULER_STORE="azure", AzureWebJobsStorage__accountName="mystore").sqlite_path is None


def test_settings_read_no_environment_behind_ones_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("SCHEDULER_PORT", "1")
    assert Settings().port == 7071


def test_the_strongest_layer_wins_in_each_setting_of_a_group() -> None:
    strong, weak = (
        {"log": {"level": "info"}, "list": [1]},
        {"log": {"level": "debug", "format": "json"}, "list": [2, 3]},
    )

    assert merge_layers((strong, weak, {"port": 1})) == {
        "log": {"level": "info", "format": "json"},
        "list": [1],
        "port": 1,
    }
    assert merge_layers(({"log": None}, weak))["log"] is None


# --- Jobs

JOB = {"Endpoint": "https://a.example/", "IntervalSeconds": 5}


def sample(root: Path, **jobs: Any) -> None:
    (root / "config" / "jobs" / "samples" / "a.json").write_text(json.dumps(jobs))


def own(root: Path, **jobs: Any) -> str:
    (root / "own").mkdir(exist_ok=True)
    (root / "own" / "a.json").write_text(json.dumps(jobs))
    return str(root / "own")


def test_samples_come_along_while_there_are_no_jobs_of_ones_own(root: Path) -> None:
    write_layer(root, "dev", "samples: true\njobs: config/jobs\n")
    sample(root, shop=JOB | {"Endpoint": "${SAMPLE_TARGET}/healthy"})
    jobs = load_configuration({}, root=root, sample_target="http://127.0.0.1:9").jobs
    assert jobs.jobs["shop"].check.url == "http://127.0.0.1:9/healthy"
    assert jobs.has_samples
    (root / "config" / "jobs" / "own.json").write_text(json.dumps({"mine": JOB}))
    jobs = load_configuration({}, root=root).jobs
    assert (list(jobs.jobs), jobs.has_samples) == (["mine"], False)


def test_samples_stay_away_once_a_folder_is_named(root: Path) -> None:
    write_layer(root, "dev", "samples: true\n")
    sample(root, shop=JOB)
    assert list(load_configuration({"SCHEDULER_JOBS": own(root, mine=JOB)}, root=root).jobs.jobs) == ["mine"]
    assert len(load_configuration({"SCHEDULER_JOBS": own(root)}, root=root).jobs) == 0


def test_samples_come_along_if_they_are_requested_and_ones_own_job_goes_first(root: Path) -> None:
    sample(root, shop=JOB, other=JOB)
    environ = {"SCHEDULER_JOBS": own(root, shop=JOB | {"Description": "mine"}), "SCHEDULER_SAMPLES": "yes"}
    jobs = load_configuration(environ, root=root).jobs
    assert (sorted(jobs.jobs), jobs.samples) == (["other", "shop"], frozenset({"other"}))
    assert jobs.jobs["shop"].description == "mine"
    assert jobs.origins["shop"].startswith("own/a.json:")
    assert [job.name for job in jobs] == list(jobs.jobs)


def test_samples_stay_away_where_the_setting_is_off(root: Path) -> None:
    sample(root, shop=JOB)
    assert len(load_configuration({}, root=root).jobs) == 0


def test_a_host_without_a_sample_target_gets_no_samples(root: Path) -> None:
    sample(root, shop=JOB)
    assert len(load_configuration({"SCHEDULER_SAMPLES": "yes"}, root=root, sample_target=None).jobs) == 0


def test_a_place_of_jobs_that_is_missing_is_reported_where_it_is_named(root: Path) -> None:
    (reported,) = problems(root, SCHEDULER_JOBS=str(root / "nowhere"))
    assert reported == (
        f"SCHEDULER_JOBS: {root / 'nowhere'} does not exist; "
        "it is a folder with .yaml, .yml or .json files, or one such file"
    )
    assert "does not exist" in problems(root, SCHEDULER_JOBS="x" * 300)[0]
    write_layer(root, "base", "port: 1\njobs: nowhere\n")
    assert problems(root)[0].startswith("config/environments/base.yaml:2: jobs: ")


def test_the_same_reader_reads_again_quickly(root: Path) -> None:
    reader = JobFileReader(root)
    environ = {"SCHEDULER_JOBS": own(root, mine=JOB)}
    first = load_configuration(environ, root=root, reader=reader).jobs.jobs["mine"]
    assert load_configuration(environ, root=root, reader=reader).jobs.jobs["mine"] is first


# --- What the project itself brings


@pytest.mark.parametrize("environment", list_environments(PROJECT / "config" / "environments"))
def test_the_projects_own_configuration_is_right(environment: str) -> None:
    configuration = load_configuration({"SCHEDULER_ENVIRONMENT": environment}, root=PROJECT)
    assert configuration.settings.environment == environment
    assert configuration.jobs.has_samples == (environment == "dev")


@pytest.mark.parametrize(("environment", "named"), [("dev", True), ("test", True), ("prod", False)])
def test_private_targets_may_be_requested_at_a_client_and_not_in_production(environment: str, named: bool) -> None:
    networks = load_settings({"SCHEDULER_ENVIRONMENT": environment}, root=PROJECT).settings.targets.networks
    for address in ("127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd12::1"):
        assert any(ip_address(address) in network for network in networks) is named


def test_base_yaml_holds_every_setting_with_the_default_of_the_code() -> None:
    file = PROJECT / "config" / "environments" / "base.yaml"
    value = parse_document(read_file(file, "base.yaml"), "base.yaml").value
    shown = Settings.model_validate({**value, "jobs": None}).model_dump(
        mode="json", exclude={"environment", "unresolved"}
    )
    assert shown == Settings().model_dump(mode="json", exclude={"environment", "unresolved"})
    assert _keys(value) == _keys(Settings().model_dump(exclude={"environment", "unresolved"}))


def _keys(value: Any) -> Any:
    return {key: _keys(child) for key, child in value.items()} if isinstance(value, dict) else None


def test_the_samples_show_what_they_should() -> None:
    jobs = load_configuration({}, root=PROJECT).jobs.jobs
    assert {"databaseHealth", "externalApiHealth", "containerAppHealth"} <= jobs.keys()
    assert (
        len({str(jobs[name].schedule) for name in ("databaseHealth", "externalApiHealth", "containerAppHealth")}) == 3
    )
    reported = {job.tags.get("sample") for job in jobs.values()}
    assert {"succeeded", "retried", "failed", "timed_out", "rejected", "skipped", "expectation"} <= reported


def test_the_example_of_local_settings_is_right() -> None:
    values = json.loads((PROJECT / "local.settings.json.example").read_text())["Values"]
    read = load_settings(values, root=PROJECT).settings
    assert read.uses_azure_storage
    assert read.storage.connection_string is not None
    assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"


# --- The schedule of flat jobs ----------------------------------------------------------------------------------------


def flat_schedule(root: Path, tmp_path: Path, **environ: str) -> str | None:
    jobs = tmp_path / "own"
    jobs.mkdir(exist_ok=True)
    (jobs / "a.json").write_text('{"a": {"Endpoint": "https://a.example/"}}')
    place = load_configuration({"SCHEDULER_JOBS": str(jobs), **environ}, root=root).job_loader
    schedule = place.load().jobs["a"].schedule  # as a reload reads them
    return None if schedule is None else schedule.text


def test_flat_jobs_without_a_schedule_run_each_minute(root: Path, tmp_path: Path) -> None:
    assert flat_schedule(root, tmp_path) == "0 * * * * * (default_schedule)"


@pytest.mark.parametrize(
    ("value", "schedule"),
    [
        ("every 5m", "every 5m (default_schedule)"),
        ("*/10 * * * * *", "*/10 * * * * * (default_schedule)"),
        ("00:05:00", "every 5m (default_schedule)"),
        ("@hourly", "@hourly (default_schedule)"),
        ("none", None),
        (" None ", None),
    ],
)
def test_the_setting_names_another_schedule_or_none(
    value: str, schedule: str | None, root: Path, tmp_path: Path
) -> None:
    assert flat_schedule(root, tmp_path, SCHEDULER_DEFAULT_SCHEDULE=value) == schedule


def test_a_file_may_write_null_or_a_mapping(root: Path, tmp_path: Path) -> None:
    write_layer(root, "base", "default_schedule: null\n")
    assert flat_schedule(root, tmp_path) is None
    write_layer(root, "base", "default_schedule: {every: 1m, offset: 10s}\n")
    assert flat_schedule(root, tmp_path) == "every 1m offset 10s (default_schedule)"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("0 99 * * * *", "SCHEDULER_DEFAULT_SCHEDULE: minute: 99 is out of range 0-59"),
        ("0 0 0 30 2 *", "SCHEDULER_DEFAULT_SCHEDULE: '0 0 0 30 2 *' is never due: write another schedule, or none"),
        ("null", "SCHEDULER_DEFAULT_SCHEDULE: expected 5 or 6 fields, got 1 in 'null': "),
    ],
)
def test_a_default_schedule_that_cannot_be_used_ends_the_start(value: str, problem: str, root: Path) -> None:
    (reported,) = problems(root, SCHEDULER_DEFAULT_SCHEDULE=value)
    assert "none" in reported
    assert reported.startswith(problem)


def test_a_place_without_jobs_is_no_warning_where_the_samples_come_along(root: Path) -> None:
    (root / "config" / "jobs" / "samples" / "a.yaml").write_text("jobs: {a: {check: {url: 'https://a.example/'}}}")
    write_layer(root, "base", "jobs: config/jobs\nsamples: true\n")
    assert load_configuration({}, root=root).jobs.warnings == ()
    assert len(load_configuration({}, root=root, sample_target=None).jobs.warnings) == 1


def test_a_host_name_of_requests_is_a_name_an_address_or_any(root: Path) -> None:
    found = settings(root, SCHEDULER_HTTP__HOSTS="Scheduler, 10.20.0.7, FD00::7, *")
    assert found.http.accepted_hosts() == ("scheduler", "10.20.0.7", "[fd00::7]", "*")
    assert settings(root, SCHEDULER_HTTP__PUBLIC_URL="https://Checks.example.com/x").http.accepted_hosts() == (
        "checks.example.com",
    )
    assert "'a b' is not a host name" in problems(root, SCHEDULER_HTTP__HOSTS="a b")[0]
    assert "'https://a' is not a host name" in problems(root, SCHEDULER_HTTP__HOSTS="https://a")[0]


def test_without_authentication_the_host_names_are_listed(root: Path) -> None:
    environ = {"SCHEDULER_HTTP__AUTHENTICATION": "open", "SCHEDULER_HTTP__HOSTS": "*"}
    assert "hosts must not be * where callers need no credential" in problems(root, **environ)[0]


def test_importing_the_settings_builds_the_validator_of_the_whole_alone() -> None:
    """Each group would build another one for its default, a tenth of the time of a short command."""
    code = """
from pydantic import BaseModel
from config.settings.model import Settings
groups = [each.annotation for each in Settings.model_fields.values()]
models = [each for each in groups if isinstance(each, type) and issubclass(each, BaseModel)]
print(len(models) > 20, [each.__name__ for each in models if each.__pydantic_complete__])
"""

    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "True []\n"
