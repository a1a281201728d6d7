"""The table of HTTP functions in docs/deploying.md is the one that function_app registers."""

from __future__ import annotations

import re

import function_app
from tests.project import ROOT


def read_table() -> dict[str, tuple[set[str], str, bool]]:
    """By name: methods, route, and whether the function has a key."""
    text = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    section = text[text.index("## Keys\n") : text.index("## Events of the vault")]
    row = re.compile(r"^\| `(\w+)` \| `([A-Z, ]+) /api/(\S+)` \| .* \| (.*) \|$", re.M)
    return {
        name: (set(methods.split(", ")), route, key != "none") for name, methods, route, key in row.findall(section)
    }


TRIGGERS = {one.get_function_name(): one.get_trigger().get_dict_repr() for one in function_app.app.get_functions()}
"""Of every function: the app lists them once."""


def test_the_table_of_keys_has_every_http_function_with_its_methods_its_route_and_its_key() -> None:
    registered = {
        name: (
            {getattr(method, "value", method) for method in trigger["methods"]},
            trigger["route"],
            getattr(trigger["authLevel"], "value", trigger["authLevel"]) != "anonymous",
        )
        for name, trigger in TRIGGERS.items()
        if trigger["type"] == "httpTrigger"
    }
    assert read_table() == registered


def test_the_page_names_every_function_without_http_requests() -> None:
    text = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    paragraph = text[text.index("Functions without HTTP requests") :].partition("\n\n")[0]
    others = {name for name, trigger in TRIGGERS.items() if trigger["type"] != "httpTrigger"}
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"eventgrid_extension"} == others
