"""A job of an Azure kind uses a token of the app's identity, which the rules of the settings judge."""

from __future__ import annotations

from config.job_files.definitions import find_external_uses
from jobs.definition import JobDefinition


def test_the_scope_of_an_azure_job_is_an_external_use() -> None:
    check = {"kind": "azure_resource", "resource": "https://graph.microsoft.com/v1.0/applications"}
    (use,) = find_external_uses(JobDefinition.model_validate({"name": "a", "check": check}))
    assert (use.kind, use.name, use.path) == ("scope", "https://graph.microsoft.com/.default", ("check", "kind"))
