"""A caller that is limited to tags changes stored jobs of its tags; of others it learns that their names are used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.authentication.port import Authentication
from scheduler.features.stored_jobs.committing import audit_job_change
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.stores.rows import encode_json
from scheduler.stores.stored_jobs.tree import JobWrite, StoredEntry
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

EVERYTHING = Principal(PrincipalKind.API_KEY, "root", Role.ADMIN)
PATCH_TYPE = {"Content-Type": "application/merge-patch+json"}
OURS, THEIRS = {"team": "payments"}, {"team": "shop"}
CHECK = {"kind": "http", "url": "http://127.0.0.1:9/"}


def definition(name: str, tags: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "schedule": "every 30s", "check": CHECK, "tags": OURS if tags is None else tags, **more}


class Team:
    """`as_root`: requests of a caller that sees all jobs; others are of the team payments."""

    def __init__(self) -> None:
        self.fixed = Fixed(PAYMENTS)
        jobs = [entry("own-file", tags=OURS), entry("file-theirs", tags=THEIRS)]
        self.client = ApiClient(jobs=jobs, authentication=Authentication(self.fixed))

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        more = PATCH_TYPE if method == "PATCH" else {}
        return await self.client.request(method, path, json=body, headers=sent | more)

    async def as_root(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        self.fixed.principal = EVERYTHING
        answer = await self.send(method, path, body, **headers)
        self.fixed.principal = PAYMENTS
        assert answer.status_code < 300, answer.text
        return answer


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    team = Team()
    async with team.client:
        await team.as_root("POST", "/api/jobs", definition("theirs", THEIRS, description="a secret project"))
        yield team


async def test_own_jobs_are_created_read_changed_deleted_and_restored(team: Team) -> None:
    created = await team.send("POST", "/api/jobs", definition("ours"))
    assert (created.status_code, created.json()["version"]) == (201, 1)
    assert created.headers["ETag"] == (await team.send("GET", "/api/jobs/ours")).headers["ETag"]

    put = await team.send("PUT", "/api/jobs/ours", definition("ours", schedule="every 5s"), If_Match="*")
    patched = await team.send("PATCH", "/api/jobs/ours", {"description": "of payments"}, If_Match="*")
    copied = await team.send("POST", "/api/jobs/ours/duplicate", {"name": "ours-2"})
    of_file = await team.send("POST", "/api/jobs/own-file/duplicate", {"name": "ours-3"})
    deleted = await team.send("DELETE", "/api/jobs/ours", If_Match="*")
    restored = await team.send("POST", "/api/jobs/ours/versions/1/restore", If_None_Match="*")
    versions = await team.send("GET", "/api/jobs/ours/versions")
    diff = await team.send("GET", "/api/jobs/ours/versions/3/diff?against=1")
    another = await team.send("PUT", "/api/jobs/ours-4", definition("ours-4"), If_None_Match="*")

    assert [answer.status_code for answer in (put, patched, copied, of_file, deleted, restored, another)] == [
        *(200, 200, 201, 201, 204, 200, 201)
    ]
    assert [one["number"] for one in versions.json()["versions"]] == [5, 4, 3, 2, 1]
    assert len(diff.json()["fields"]) == 2
    by_selection = await team.client.post_json("/api/jobs/delete", {"all": True})
    results = {one["job"]: one["result"] for one in by_selection.json()["jobs"]}
    assert results == {"own-file": "refused", "ours": "done", "ours-2": "done", "ours-3": "done", "ours-4": "done"}
    assert "theirs" in team.client.shop.catalog


@pytest.mark.parametrize("name", ["theirs", "file-theirs", "never-existed"])
@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "", None, {}),
        ("PATCH", "", {"description": "x"}, {"If_Match": "*"}),
        ("DELETE", "", None, {"If_Match": "*"}),
        ("PUT", "", "definition", {"If_Match": "*"}),
        ("PUT", "", "definition", {"If_Match": '"v1-0"'}),
        ("GET", "/versions", None, {}),
        ("GET", "/versions/1", None, {}),
        ("GET", "/versions/1/diff?against=1", None, {}),
        ("POST", "/versions/1/restore", None, {"If_Match": "*"}),
        ("POST", "/versions/1/restore", None, {"If_None_Match": "*"}),
        ("POST", "/duplicate", {"name": "copy"}, {}),
    ],
)
async def test_jobs_of_others_are_missing_like_one_that_never_existed(
    team: Team, name: str, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    answer = await team.send(
        method, f"/api/jobs/{name}{path}", definition(name) if body == "definition" else body, **headers
    )

    detail = f"There is no job named {name!r}. GET /api/jobs lists the jobs."
    assert (answer.status_code, answer.json()["detail"]) == (404, detail)


@pytest.mark.parametrize("name", ["theirs", "file-theirs"])
async def test_a_new_job_with_a_used_name_is_a_conflict_that_says_only_that(team: Team, name: str) -> None:
    created = await team.send("POST", "/api/jobs", definition(name))
    put = await team.send("PUT", f"/api/jobs/{name}", definition(name), If_None_Match="*")
    await team.send("POST", "/api/jobs", definition("ours"))
    copied = await team.send("POST", "/api/jobs/ours/duplicate", {"name": name})

    for answer in (created, put, copied):
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            f"The name {name} is used: choose another one.",
        )


async def test_a_job_cannot_leave_the_tags_of_its_caller(team: Team) -> None:
    created = await team.send("POST", "/api/jobs", definition("new", THEIRS))
    await team.send("POST", "/api/jobs", definition("ours"))
    patched = await team.send("PATCH", "/api/jobs/ours", {"tags": {"team": "shop"}}, If_Match="*")

    assert created.status_code == patched.status_code == 422
    assert [error["location"] for error in created.json()["errors"]] == ["body.tags"]


async def test_no_message_about_a_definition_names_a_job_of_others(team: Team) -> None:
    known = await team.send("POST", "/api/jobs", definition("new", depends_on=["theirs"]))
    similar = await team.send("POST", "/api/jobs", definition("new", depends_on=["their"]))

    assert known.json()["errors"] == [{"location": "body.depends_on[0]", "message": "there is no job named 'theirs'"}]
    assert similar.json()["errors"] == [{"location": "body.depends_on[0]", "message": "there is no job named 'their'"}]


async def test_a_job_that_others_depend_on_stays_and_they_are_not_named(team: Team) -> None:
    await team.send("POST", "/api/jobs", definition("ours"))
    await team.as_root("POST", "/api/jobs", definition("on-ours", THEIRS, depends_on=["ours"]))

    answer = await team.send("DELETE", "/api/jobs/ours", If_Match="*")

    assert answer.status_code == 409
    assert "on-ours" not in answer.text


async def test_versions_of_another_team_stay_hidden_when_a_job_changes_hands(team: Team) -> None:
    await team.as_root("PUT", "/api/jobs/theirs", definition("theirs", OURS), If_Match="*")

    versions = (await team.send("GET", "/api/jobs/theirs/versions")).json()["versions"]
    first = await team.send("GET", "/api/jobs/theirs/versions/1")
    restored = await team.send("POST", "/api/jobs/theirs/versions/1/restore", If_Match="*")

    assert [one["number"] for one in versions] == [2]
    assert first.status_code == restored.status_code == 404
    assert "secret project" not in first.text + restored.text


async def test_a_deleted_job_of_others_can_be_neither_read_nor_restored(team: Team) -> None:
    await team.as_root("DELETE", "/api/jobs/theirs", If_Match="*")

    assert (await team.send("GET", "/api/jobs/theirs/versions")).status_code == 404
    restored = await team.send("POST", "/api/jobs/theirs/versions/1/restore", If_None_Match="*")

    assert restored.status_code == 404


async def test_the_list_of_definitions_has_own_jobs_and_no_other_name(team: Team) -> None:
    await team.send("POST", "/api/jobs", definition("ours"))

    pages = [await team.send("GET", "/api/jobs?view=full&limit=1")]
    while (after := pages[-1].json()["continuation"]) is not None:
        pages.append(await team.send("GET", f"/api/jobs?view=full&limit=1&continuation={after}"))

    assert [job["name"] for page in pages for job in page.json()["jobs"]] == ["ours", "own-file"]
    assert "theirs" not in "".join(page.text for page in pages)


async def apply(team: Team, jobs: dict[str, Any], *, as_root: bool = False, **query: str) -> tuple[Any, Any]:
    """Return the plan and the answer of apply."""
    send = team.as_root if as_root else team.send
    words = "&".join(f"{key}={value}" for key, value in query.items())
    plan = await send("POST", f"/api/sets/shared/plan?{words}", {"jobs": jobs})
    if plan.status_code != 200:
        return plan, plan
    applied = await send("POST", f"/api/sets/shared/apply?plan_id={plan.json()['plan_id']}&{words}", {"jobs": jobs})
    return plan, applied


def in_set(tags: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"check": CHECK, "tags": tags, **more}


async def test_a_set_contains_and_deletes_only_jobs_of_its_callers_tags(team: Team) -> None:
    await apply(team, {"a-ours": in_set(OURS), "b-ours": in_set(OURS), "c-theirs": in_set(THEIRS)}, as_root=True)

    plan, applied = await apply(team, {"a-ours": in_set(OURS), "d-ours": in_set(OURS)})
    outside, _ = await apply(team, {"e": in_set(THEIRS)})

    assert [one["name"] for one in plan.json()["added"]] == ["d-ours"]
    assert [one["name"] for one in plan.json()["removed"]] == ["b-ours"]
    assert applied.status_code == 200
    assert "c-theirs" not in plan.text + applied.text
    assert {"a-ours", "c-theirs", "d-ours"} <= set(team.client.shop.catalog.names())
    assert "b-ours" not in team.client.shop.catalog
    assert outside.status_code == 422


@pytest.mark.parametrize("name", ["theirs", "file-theirs"])
@pytest.mark.parametrize("adopt", ["false", "true"])
async def test_a_set_cannot_take_over_a_job_of_others(team: Team, name: str, adopt: str) -> None:
    plan, applied = await apply(team, {name: in_set(OURS)}, adopt=adopt)

    assert plan.json()["conflicts"] == [{"name": name, "reason": f"the name {name} is used: choose another one"}]
    assert applied.status_code == 409
    assert "secret project" not in plan.text + applied.text
    assert team.client.shop.catalog.get_job(name).job.tags == THEIRS


async def test_the_sets_of_others_are_not_listed_and_their_jobs_not_counted(team: Team) -> None:
    await apply(team, {"a": in_set(OURS), "b": in_set(THEIRS)}, as_root=True)
    everything = (await team.as_root("GET", "/api/sets")).json()
    ours = (await team.send("GET", "/api/sets")).json()
    await team.as_root("POST", "/api/jobs/delete", {"names": ["a"]})

    assert [(one["owner"], one["jobs"]) for one in everything["sets"]] == [("shared", 2)]
    assert [(one["owner"], one["jobs"]) for one in ours["sets"]] == [("shared", 1)]
    assert (await team.send("GET", "/api/sets")).json()["sets"] == []


async def test_the_audit_trail_hides_what_a_job_was_before_it_got_the_tag(team: Team) -> None:
    trail = StoredAuditTrail(team.client.shop.audit_log, team.client.shop.clock, team.client.shop.redactor)
    write = JobWrite("own-file", definition("own-file"))
    for before in (definition("own-file", THEIRS, description="a secret project"), definition("own-file")):
        entry_before = StoredEntry("own-file", 1, "v~own-file~1~1-a", text=encode_json(before))
        change = audit_job_change("replaced", entry_before, write)
        await trail.record(Caller(EVERYTHING, ChangeSource.API), change)

    answer = await team.send("GET", "/api/audit")

    visible, hidden = answer.json()["entries"]
    assert visible["before"]["definition"] == definition("own-file")
    assert (hidden["jobs"], hidden["before"], hidden["after"]) == (["own-file"], None, None)
    assert "secret project" not in answer.text


async def store_audit(team: Team) -> None:
    """Store what was recorded in memory in the trail that the routes read."""
    shop = team.client.shop
    trail = StoredAuditTrail(shop.audit_log, shop.clock, shop.redactor)
    for caller, change in shop.audit.changes:
        await trail.record(caller, change)


async def read_audit(team: Team, action: str) -> Any:
    await store_audit(team)
    (found,) = (await team.send("GET", f"/api/audit?action={action}&limit=1")).json()["entries"]
    return found


async def test_the_entry_of_a_set_shows_what_differs_if_all_its_jobs_had_the_tag(team: Team) -> None:
    await apply(team, {"a": in_set(OURS), "b": in_set(OURS)})
    await apply(team, {"a": in_set(OURS, description="of payments"), "b": in_set(OURS)})

    found = await read_audit(team, "set.apply")

    assert found["after"]["differences"]["a"] == [{"path": "description", "before": None, "after": "of payments"}]
    assert (found["object"], found["partial"]) == ("shared", False)


async def test_the_entry_of_a_set_hides_what_a_job_was_before_it_got_the_tag(team: Team) -> None:
    await apply(team, {"a": in_set(THEIRS, description="a secret project")}, as_root=True)
    await apply(team, {"a": in_set(THEIRS, description="a secret plan")}, as_root=True)
    await apply(team, {"a": in_set(OURS)}, as_root=True)

    await store_audit(team)
    answer = await team.send("GET", "/api/audit?action=set.apply")
    export = await team.send("GET", "/api/audit/export")

    assert [(one["jobs"], one["partial"], one["after"]) for one in answer.json()["entries"]] == [
        (["a"], True, None)
    ] * 3
    assert "a secret" not in answer.text + export.text


async def test_the_entry_of_a_set_of_an_earlier_version_does_not_show_what_differs(team: Team) -> None:
    await apply(team, {"a": in_set(OURS)})
    caller = Caller(EVERYTHING, ChangeSource.API)
    state = {
        "written": {"a": 1},
        "removed": {},
        "differences": {"a": [{"path": "x", "before": "a secret", "after": 1}]},
    }
    await team.client.shop.audit.record(caller, AuditedChange("set.apply", "shared", "applied", ("a",), after=state))

    assert (await read_audit(team, "set.apply"))["after"] is None


async def test_the_copy_of_a_job_of_others_does_not_name_it(team: Team) -> None:
    await team.as_root("POST", "/api/jobs/theirs/duplicate", {"name": "copy", "patch": {"tags": OURS}})

    await store_audit(team)
    versions = await team.send("GET", "/api/jobs/copy/versions")
    answers = [versions, await team.send("GET", "/api/jobs/copy/versions/1"), await team.send("GET", "/api/audit")]
    everything = (await team.as_root("GET", "/api/jobs/copy/versions")).json()["versions"]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert (await read_audit(team, "job.create"))["jobs"] == ["copy"]
    assert "theirs" not in "".join(answer.text for answer in answers)
    assert everything[0]["comment"] == "copy of theirs"


async def test_the_copy_of_an_own_job_names_it(team: Team) -> None:
    await team.send("POST", "/api/jobs/own-file/duplicate", {"name": "copy"})

    (version,) = (await team.send("GET", "/api/jobs/copy/versions")).json()["versions"]

    assert version["comment"] == "copy of own-file"
    assert (await read_audit(team, "job.create"))["summary"] == "job copy was created as a copy of own-file"


async def test_a_job_that_was_deleted_from_a_set_is_restored_to_it(team: Team) -> None:
    await apply(team, {"a": in_set(OURS), "b": in_set(OURS)})
    await team.send("DELETE", "/api/jobs/a", If_Match="*")

    restored = await team.send("POST", "/api/jobs/a/versions/1/restore", If_None_Match="*")
    plan, _ = await apply(team, {"a": in_set(OURS), "b": in_set(OURS)})

    assert (restored.status_code, restored.json()["owner"]) == (200, "shared")
    assert (plan.json()["unchanged"], plan.json()["conflicts"]) == (2, [])


async def test_a_job_that_its_set_has_removed_is_restored_as_made_by_hand(team: Team) -> None:
    await apply(team, {"a": in_set(OURS), "b": in_set(OURS)})
    await apply(team, {"b": in_set(OURS)})

    restored = await team.send("POST", "/api/jobs/a/versions/1/restore", If_None_Match="*")
    plan, _ = await apply(team, {"b": in_set(OURS)})

    assert (restored.status_code, restored.json()["owner"]) == (200, "")
    assert plan.json()["removed"] == []
