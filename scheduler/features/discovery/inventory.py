"""The resources of Azure subscriptions, as Azure Resource Graph lists them.

What it returns is not trusted: pages, rows, texts and names are bounded, and ids are parsed. An incomplete list is an
error, because what is missing in it would be reported as deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

PATH = "/providers/Microsoft.ResourceGraph/resources"
API_VERSION = "2022-10-01"
PAGE_ROWS = 1000
MAX_PAGES = 50
MAX_TAGS = 50
_MAX_TOKEN, _MAX_TEXT, _MAX_TEXTS = 8192, 300, 50
IGNORE_TAG = ("scheduler", "ignore")
"""Name and value of the tag of a resource that needs no check."""

_ID = re.compile(r"/subscriptions/([0-9a-f-]{36})/resourceGroups/([^/]{1,90})/providers/([^/]+(?:/[^/]+/[^/]+)+)", re.I)
_MAX_ID = 2000
SUBSCRIPTION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
RESOURCE_GROUP = re.compile(r"[\w().-]{1,90}")
_SUBSCRIPTION_TYPE = "microsoft.resources/subscriptions"
_GROUP_TYPE = "microsoft.resources/subscriptions/resourcegroups"

Post = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Sends the body of a query; returns the JSON object of the response."""


class DiscoveryFailed(Exception):
    """Nothing can be discovered. The message names the remedy."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource. `type`: in lower case. `texts`: those at the paths that its type needs."""

    id: str
    subscription: str
    group: str
    type: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def group_id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def is_ignored(self) -> bool:
        name, value = IGNORE_TAG
        return any(key.lower() == name and text.lower() == value for key, text in self.tags.items())

    def matches(self, where: Mapping[str, str]) -> bool:
        """Return whether a text at each path matches its pattern."""
        return all(
            any(fnmatchcase(text.lower(), pattern.lower()) for text in self.texts.get(path, ()))
            for path, pattern in where.items()
        )


@dataclass(frozen=True, slots=True)
class Inventory:
    """`containers`: ids of subscriptions and resource groups, in lower case. `unusable`: rows without a valid id.

    `cloud`: the Azure cloud of the resources.
    """

    resources: Sequence[Resource]
    containers: frozenset[str]
    unusable: int = 0
    cloud: str = "public"

    def covers(self, resource_id: str) -> bool:
        """Return whether a resource with this id would be in it."""
        parts = resource_id.lower().split("/")
        return "/".join(parts[: 5 if parts[3:4] == ["resourcegroups"] else 3]) in self.containers or (
            "/".join(parts[:3]) in self.containers
        )


def read_inventory(
    post: Post,
    subscriptions: Sequence[str],
    group: str,
    paths: Mapping[str, frozenset[str]],
    cloud: str = "public",
) -> Inventory:
    """Read all resources. `subscriptions`: empty for all that the identity can read. `group`: empty for all.

    `paths`: of texts of a resource, by its type. Raises DiscoveryFailed.
    """
    where = f" | where resourceGroup =~ '{group}'" if group else ""
    kinds = [_GROUP_TYPE] if group else [_GROUP_TYPE, _SUBSCRIPTION_TYPE]
    containers = frozenset(
        str(row.get("id", "")).lower()
        for row in _read_rows(post, f"resourcecontainers | where type in~ ({_list(kinds)}){where}", subscriptions)
    )
    _check_access(containers, subscriptions, group)
    resources, unusable = [], 0
    properties = f"iff(type in~ ({_list(sorted(paths))}), properties, dynamic(null))"
    for row in _read_rows(post, f"resources{where}", subscriptions, f"tags, properties = {properties}"):
        resource = parse_resource(row, paths)
        if resource is None:
            unusable += 1
        else:
            resources.append(resource)
    return Inventory(resources, containers, unusable, cloud)


def _list(texts: Iterable[str]) -> str:
    """Return KQL. The texts are names of types, which have no quotes."""
    return ", ".join(f"'{text}'" for text in texts)


def _check_access(containers: frozenset[str], subscriptions: Sequence[str], group: str) -> None:
    """Resource Graph answers with an empty list where the identity has no right to read."""
    place = f"the resource group {group}" if group else "the subscription"
    for subscription in subscriptions:
        if not any(each.startswith(f"/subscriptions/{subscription.lower()}") for each in containers):
            where = f"{place} of /subscriptions/{subscription}" if group else f"/subscriptions/{subscription}"
            raise DiscoveryFailed(
                f"Azure shows nothing of {where}: check the name, and assign the role Reader to who runs this command "
                f"at /subscriptions/{subscription}"
            )
    if not containers:
        raise DiscoveryFailed(
            f"Azure shows nothing of {place if group else 'any subscription'}: assign the role Reader to who runs this "
            "command at the subscription, and name it with --subscription"
        )


def _read_rows(
    post: Post, query: str, subscriptions: Sequence[str], columns: str = "type"
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of all pages. Raises DiscoveryFailed: the list is not complete."""
    # Without an order, pages repeat rows and miss others.
    body: dict[str, Any] = {"query": f"{query} | project id, {columns} | order by id asc"}
    if subscriptions:
        body["subscriptions"] = list(subscriptions)
    token = ""
    for _ in range(MAX_PAGES):
        skip = {"$skipToken": token} if token else {}
        page = post({**body, "options": {"resultFormat": "objectArray", "$top": PAGE_ROWS, **skip}})
        rows = page.get("data")
        if not isinstance(rows, list) or len(rows) > PAGE_ROWS or not all(isinstance(row, dict) for row in rows):
            raise DiscoveryFailed(f"Azure Resource Graph returned something else than at most {PAGE_ROWS} rows")
        yield from rows
        following = page.get("$skipToken")
        if following is None:
            if str(page.get("resultTruncated", "false")).lower() == "true":
                raise DiscoveryFailed("Azure Resource Graph returned a part of the resources; start again")
            return
        if not isinstance(following, str) or len(following) > _MAX_TOKEN or following in ("", token):
            raise DiscoveryFailed("Azure Resource Graph returned an invalid link to its next page; start again")
        token = following
    raise DiscoveryFailed(
        f"there are more than {MAX_PAGES * PAGE_ROWS:,} resources: name --subscription or --resource-group"
    )


def parse_resource(row: Mapping[str, Any], paths: Mapping[str, frozenset[str]]) -> Resource | None:
    """Return the resource of a row; None without a valid id of a resource."""
    identifier = row.get("id")
    if not isinstance(identifier, str) or len(identifier) > _MAX_ID or not identifier.isprintable():
        return None
    if (found := _ID.fullmatch(identifier)) is None:
        return None
    namespace, *pairs = found[3].split("/")
    if len(pairs) % 2:
        return None
    kind = "/".join((namespace, *pairs[::2])).lower()
    texts = {path: find_texts(row, path) for path in paths.get(kind, ())}
    return Resource(identifier, found[1].lower(), found[2], kind, pairs[-1], _read_tags(row.get("tags")), texts)


def _read_tags(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in list(value.items())[:MAX_TAGS] if isinstance(text, str)}


def find_texts(row: Mapping[str, Any], path: str) -> Sequence[str]:
    """Return the texts at a path such as `properties.hostNames`; lists in between count with each entry."""
    values: list[Any] = [row]
    for part in path.split("."):
        parents = [each for value in values for each in (value if isinstance(value, list) else [value])]
        values = [each[part] for each in parents[:_MAX_TEXTS] if isinstance(each, dict) and part in each]
    flat = [each for value in values for each in (value if isinstance(value, list) else [value])]
    texts = (str(each).lower() if isinstance(each, bool) else each for each in flat[:_MAX_TEXTS])
    return [text for text in texts if isinstance(text, str) and len(text) <= _MAX_TEXT and text.isprintable()]
