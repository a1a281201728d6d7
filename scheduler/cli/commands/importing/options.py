"""The arguments and options of `import`. Used by import_jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="gatus, blackbox, crontab, ...: see docs/importing.md. auto: detect it."),
]
PathsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH...", help="Files of the source, or folders of them; - is stdin.")
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="PATH", help="Job file (*.yaml), or folder with a job file for each PATH; - prints."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit code 1 if something is not carried over; write nothing then.")
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.", dir_okay=False)
]
TargetsOption = Annotated[
    list[Path] | None,
    typer.Option("--targets", metavar="FILE", help="File with targets, for blackbox modules. Repeatable."),
]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Value of a variable, such as ${NAME}. Repeatable."),
]
TimezoneOption = Annotated[
    str | None, typer.Option("--timezone", help="IANA time zone of times without one. (default: UTC)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show each value, also those carried over unchanged.")]
