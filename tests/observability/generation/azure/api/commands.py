"""Applying and finding drift against a loopback ARM server, as the commands do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from observability.generation.applying import (
    AppliedFolder,
    ApplyOptions,
    ApplyOutcome,
    apply_documents,
    find_drift,
)
from observability.generation.azure.target import AzureTool, generate_documents, open_azure
from observability.generation.merge import format_pointer
from observability.generation.portfolio import Portfolio
from tests.parts.arm_server import COMPONENT, GROUP, TOKEN, ArmServer

ON_CALL = f"{GROUP}/providers/microsoft.insights/actionGroups/on-call"
DAYTIME = f"{GROUP}/providers/microsoft.insights/actionGroups/daytime"


def environment(arm: ArmServer, **variables: str) -> dict[str, str]:
    return {
        "AZURE_APPLICATION_INSIGHTS_ID": COMPONENT,
        "AZURE_RESOURCE_MANAGER_URL": arm.url,
        "AZURE_ACTION_GROUP_IDS": ON_CALL,
        **variables,
    }


@contextmanager
def opened(arm: ArmServer, **variables: str) -> Iterator[AzureTool]:
    with open_azure(environment(arm, **variables), lambda: TOKEN) as tool:
        yield tool


def apply(
    arm: ArmServer, folder: Path, portfolio: Portfolio, options: ApplyOptions | None = None, **variables: str
) -> list[ApplyOutcome]:
    with opened(arm, **variables) as tool:
        outcomes = apply_documents(
            generate_documents(portfolio), tool, AppliedFolder(folder), options or ApplyOptions()
        )
        return list(outcomes)


def drift(arm: ArmServer, folder: Path) -> list[str]:
    """Return each difference: the name of the document, and the pointer."""
    with opened(arm) as tool:
        return [
            f"{Path(found.path).stem}{format_pointer(difference.pointer)}"
            for found in find_drift(tool, AppliedFolder(folder))
            for difference in found.differences
        ]


def rule_path(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.Insights/scheduledQueryRules/{name}"


def workbook_path(arm: ArmServer) -> str:
    return next(path for path in arm.resources if "/workbooks/" in path)


def edit_workbook(arm: ArmServer, old: str, new: str) -> None:
    """Edit the content of the workbook as a person does."""
    properties = arm.resources[workbook_path(arm)]["properties"]
    assert old in properties["serializedData"]
    properties["serializedData"] = properties["serializedData"].replace(old, new)
    json.loads(properties["serializedData"])
