"""KQL judged by Microsoft's language service, with the tables of Application Insights: many queries in one process.

    assert find_diagnostics(["customEvents | take 1"]) == [()]
    assert find_diagnostics(["resources | project id"], RESOURCE_GRAPH) == [()]

The npm package is read from .tools/kusto, where `./dev test` installs it, or from SCHEDULER_KUSTO: the folder of
@kusto/language-service-next. Without Node or the package the tests are skipped, see tests.parts.

The columns are those of Microsoft's table reference: queries that are scoped to a component see the older names, and
`success` as a text.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts import missing

ROOT = Path(__file__).resolve().parents[2]

# The environment is read at import: it is cleaned of SCHEDULER_* before each test.
_PACKAGE = Path("node_modules") / "@kusto" / "language-service-next"
_INSTALLED = Path(os.environ.get("SCHEDULER_KUSTO") or ROOT / ".tools" / "kusto" / _PACKAGE)

_COMMON = """
    timestamp:datetime, itemId:string, itemType:string, customDimensions:dynamic,
    operation_Name:string, operation_Id:string, operation_ParentId:string, operation_SyntheticSource:string,
    session_Id:string, user_Id:string, user_AuthenticatedId:string, user_AccountId:string, application_Version:string,
    client_Type:string, client_Model:string, client_OS:string, client_IP:string, client_City:string,
    client_StateOrProvince:string, client_CountryOrRegion:string, client_Browser:string,
    cloud_RoleName:string, cloud_RoleInstance:string, appId:string, appName:string, iKey:string, sdkVersion:string
"""
_COUNTED = "itemCount:int, customMeasurements:dynamic"

TABLES = {
    "customEvents": f"name:string, {_COUNTED}, {_COMMON}",
    "customMetrics": (
        "name:string, value:real, valueCount:int, valueSum:real, valueMin:real, valueMax:real, valueStdDev:real, "
        f"{_COMMON}"
    ),
    "availabilityResults": (
        "id:string, name:string, location:string, success:string, message:string, size:real, duration:real, "
        f"performanceBucket:string, {_COUNTED}, {_COMMON}"
    ),
    "dependencies": (
        "id:string, target:string, type:string, name:string, data:string, success:string, resultCode:string, "
        f"duration:real, performanceBucket:string, {_COUNTED}, {_COMMON}"
    ),
    "requests": (
        "id:string, source:string, name:string, url:string, success:string, resultCode:string, duration:real, "
        f"performanceBucket:string, {_COUNTED}, {_COMMON}"
    ),
    "traces": f"message:string, severityLevel:int, {_COUNTED}, {_COMMON}",
}
RESOURCE_GRAPH = dict.fromkeys(
    ("resources", "resourcecontainers", "servicehealthresources"),
    "id:string, name:string, type:string, tenantId:string, ['kind']:string, location:string, resourceGroup:string, "
    "subscriptionId:string, managedBy:string, sku:dynamic, plan:dynamic, properties:dynamic, tags:dynamic, "
    "identity:dynamic, zones:dynamic, extendedLocation:dynamic",
)
WORKSPACE = {
    "AppExceptions": "TimeGenerated:datetime, SeverityLevel:int, ProblemId:string, OuterMessage:string, ItemCount:int",
}
"""A part of a Log Analytics workspace, whose columns have other names than those of a component."""


@dataclass(frozen=True)
class Diagnostic:
    """`text`: the part of the query that it is about."""

    code: str
    severity: str
    message: str
    text: str


def find_diagnostics(queries: Sequence[str], tables: Mapping[str, str] = TABLES) -> list[tuple[Diagnostic, ...]]:
    """Return what is wrong with each query. `tables`: the columns of each, `name:type` separated by commas."""
    node = shutil.which("node") or missing("there is no node on PATH")
    if not _INSTALLED.exists():
        missing(f"there is no Kusto language service in {_INSTALLED}")
    request = {
        "tables": {name: " ".join(columns.split()) for name, columns in tables.items()},
        "queries": list(queries),
    }
    script = Path(__file__).with_suffix(".mjs")
    done = subprocess.run(
        [node, str(script), str(_INSTALLED)], input=json.dumps(request), capture_output=True, text=True, timeout=100
    )
    if done.returncode != 0:
        raise RuntimeError(f"the Kusto language service failed: {done.stderr[-2000:]}")
    return [tuple(Diagnostic(**each) for each in found) for found in json.loads(done.stdout)]
