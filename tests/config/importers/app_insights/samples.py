"""Web tests for tests, as XML and as resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from importers.import_context import ImportOptions
from importers.report import ImportReport
from tests.config.importers.importing import import_text, text_file

DATA = Path(__file__).parents[3] / "data/importers/app-insights"
RULES = "Microsoft.VisualStudio.TestTools.WebTesting.Rules"


def request(url: str = "https://shop.example/", content: str = "", **attributes: str) -> str:
    written = "".join(f' {name}="{value}"' for name, value in {"Method": "GET", "Url": url, **attributes}.items())
    return f"<Request{written}>{content}</Request>"


def rule(kind: str, parameters: dict[str, str], variable: str = "") -> str:
    tag = "ExtractionRule" if variable else "ValidationRule"
    listed = "".join(f'<RuleParameter Name="{name}" Value="{value}" />' for name, value in parameters.items())
    name = f' VariableName="{variable}"' if variable else ""
    return (
        f'<{tag}s><{tag} Classname="{RULES}.{kind}, Microsoft.VisualStudio.QualityTools.WebTestFramework"{name}>'
        f"<RuleParameters>{listed}</RuleParameters></{tag}></{tag}s>"
    )


def web_test(*items: str, extra: str = "", **attributes: str) -> str:
    written = "".join(f' {name}="{value}"' for name, value in {"Name": "shop", **attributes}.items())
    return f"<WebTest{written}><Items>{''.join(items)}</Items>{extra}</WebTest>"


def import_xml(*items: str, extra: str = "", **attributes: str) -> ImportReport:
    return import_text("app-insights", web_test(*items, extra=extra, **attributes), name="shop.webtest")


def xml_job(*items: str, extra: str = "", **attributes: str) -> dict[str, Any]:
    (job,) = import_xml(*items, extra=extra, **attributes).definitions.values()
    return dict(job)


def resource(**properties: Any) -> dict[str, Any]:
    base = {"Frequency": 300, "Timeout": 30, "Kind": "standard", "Request": {"RequestUrl": "https://shop.example/"}}
    return {"type": "Microsoft.Insights/webtests", "name": "shop", "properties": {**base, **properties}}


def template(*resources: dict[str, Any], **keys: Any) -> str:
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    return json.dumps({"$schema": schema, "resources": list(resources), **keys})


def import_template(*resources: dict[str, Any], values: dict[str, str] | None = None, **keys: Any) -> ImportReport:
    text = template(*resources, **keys)
    return import_text("app-insights", text, name="main.json", options=ImportOptions(values or {}))


def resource_job(**properties: Any) -> dict[str, Any]:
    (job,) = import_template(resource(**properties)).definitions.values()
    return dict(job)


def sample(*names: str) -> ImportReport:
    first, *others = (text_file((DATA / name).read_text(), name) for name in names)
    return import_text("app-insights", first.text, *others, name=names[0])
