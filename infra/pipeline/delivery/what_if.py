"""`what-if`: compile and lint the templates, and write what a deployment of them would change in an environment."""

from __future__ import annotations

from pathlib import Path

from delivery.context import Context
from delivery.environment import EXAMPLE_SUBSCRIPTION
from delivery.errors import DeliveryError, UnusableInput
from delivery.plan import ROOT
from delivery.platforms import create_platform

BICEP = ROOT / "infra" / "bicep"
MAX_REPORT = 60_000
"""Characters of the result in the report: services limit the size of a summary."""


def write_what_if(context: Context, report: Path) -> None:
    """Write the report as Markdown. It compares the templates with the image that runs, which then does not differ.

    What Azure refuses, for an environment that does not exist yet or an identity without the right, is a warning in the
    report, so that the release continues. Raises DeliveryError if a template or the parameters do not compile.
    """
    environment, az = context.environment, context.az
    if environment.subscription == EXAMPLE_SUBSCRIPTION and not context.dry_run:
        raise UnusableInput(f"infra/environments/{environment.name}.json is an example: enter your own app in it.")
    template, parameters = BICEP / "main.bicep", BICEP / "parameters" / f"{environment.name}.bicepparam"
    warnings = az.read_text("bicep", "lint", "--file", str(template))
    az.read_text("bicep", "build-params", "--file", str(parameters), "--stdout")  # compiles the template as well
    try:
        result = az.read_text(
            *("deployment", "group", "what-if", "--subscription", environment.subscription),
            *("--resource-group", environment.resource_group, "--template-file", str(template)),
            *(
                "--parameters",
                str(parameters),
                "--parameters",
                f"image={create_platform(context).read_running().image}",
            ),
            *("--validation-level", "providerNoRbac", "--exclude-change-types", "NoChange", "Ignore"),
            "--only-show-errors",
        )
        title = "what a deployment would change"
    except DeliveryError as error:
        title, result = "not available", str(error)
        context.reporter.report(f"warning: there is no what-if of {environment.name}: {error}")
    if context.dry_run:
        context.reporter.report(f"write {report}")
        return
    body = context.reporter.redact("\n".join(filter(None, (warnings.strip(), result.strip()))))
    text = body if len(body) <= MAX_REPORT else f"{body[:MAX_REPORT]}\n... and more: the log has all"
    report.write_text(f"### Templates of {environment.name}: {title}\n\n````text\n{text}\n````\n", encoding="utf-8")
    context.reporter.report(f"{environment.name}: templates: {title}; see {report}")
