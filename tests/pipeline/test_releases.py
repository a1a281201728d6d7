"""Releases in virtual time, on each platform: good ones are verified, bad ones found and rolled back."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from delivery.app.api import AccessRefused, AppKeys
from delivery.deploy import deploy
from delivery.errors import DeliveryError, UnusableInput
from delivery.record import RecordFile
from delivery.rollback import roll_back_to_image, roll_back_to_record
from delivery.status import print_status
from delivery.verify import verify
from tests.pipeline.azure.commands import Command, parse
from tests.pipeline.azure.model import JOBS
from tests.pipeline.azure.world import KEYS, NEW, OLD, START, Behaviour, Container, World

PLATFORMS = ("functions", "container-apps", "embedded")
MAX_ROLLBACK = 120.0
"""Seconds from the finding until the old version serves."""


@pytest.fixture(params=PLATFORMS)
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "record.json"


def release(world: World, record: Path) -> str:
    """Deploy, verify and, after a finding, roll back, as a pipeline does. Return the finding; empty: none."""
    context = world.context()
    try:
        deploy(context, NEW, "2.0", record)
        verify(context, "2.0", record)
    except DeliveryError as error:
        assert seconds_to_roll_back(world, record) <= MAX_ROLLBACK
        return str(error)
    return ""


def seconds_to_roll_back(world: World, record: Path) -> float:
    """Roll back. Return the seconds until the old version served: then the last tick is read for the first time."""
    found_at, served_at = world.now(), list[datetime]()

    def notice(operation: str) -> None:
        if operation == "GET /api/watchdog":
            served_at.append(world.now())

    world.before = notice
    roll_back_to_record(world.context(), record)
    world.before = lambda operation: None
    return (served_at[0] - found_at).total_seconds()


def images_of_jobs(world: World) -> set[str]:
    return set(world.azure.state["jobs"].values())


def assert_every_instant_ran_once(world: World) -> None:
    """From before the release until it was over, with a margin for what is still in-flight."""
    world.sleep(300)
    runs = list(world.all_runs(START - timedelta(minutes=2), world.now() - timedelta(seconds=60)))
    ids = [run["id"] for run in runs]
    assert len(ids) == len(set(ids))
    assert [run["id"] for run in runs if run["state"] != "finished"] == []


def test_a_good_version_is_verified(world: World, record: Path) -> None:
    assert release(world, record) == ""
    assert world.serving_version() == "2.0"
    assert images_of_jobs(world) == {NEW}
    assert RecordFile(record).read().state == "verified"
    assert_every_instant_ran_once(world)


def test_old_instances_that_answer_for_minutes_do_not_fail_a_good_version(record: Path) -> None:
    world = World("functions", linger=150.0)
    assert release(world, record) == ""
    assert world.serving_version() == "2.0"


def test_a_last_tick_of_the_previous_version_does_not_hide_a_dead_timer(record: Path) -> None:
    world = World("functions", jobs={})  # so that no missing run shows it
    world.images[NEW] = Behaviour("2.0", timer=False)
    deploy(world.context(), NEW, "2.0", record)
    world.sleep(60 - world.now().second)  # the next tick comes in a minute, well after the version serves
    end = world.now() + timedelta(seconds=61)
    world.containers.append(Container("elsewhere", Behaviour("1.0"), False, START, end))
    with pytest.raises(DeliveryError, match="the timer does not plan: one tick in"):
        verify(world.context(tick=100.0), "2.0", record)


@pytest.mark.parametrize("minutes", [-7, 7])
def test_a_wrong_clock_of_the_agent_changes_no_verdict(record: Path, minutes: int) -> None:
    world = World("functions", skew=timedelta(minutes=minutes))
    assert release(world, record) == ""
    world = World("functions", skew=timedelta(minutes=minutes))
    world.images[NEW] = Behaviour("2.0", timer=False)
    assert "the timer does not plan" in release(world, record.with_name("second.json"))


def test_a_swap_back_by_another_person_is_found(record: Path) -> None:
    world = World("functions")
    deploy(world.context(), NEW, "2.0", record)
    world.azure.execute(parse(["functionapp", "deployment", "slot", "swap", "--slot", "staging"]))
    with pytest.raises(DeliveryError, match=r"version 1\.0 answers"):
        verify(world.context(within=120.0), "2.0", record)


def test_a_canary_job_that_fails_before_is_reported(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World("functions", images={OLD: Behaviour("1.0", queue=False), NEW: Behaviour("2.0")})
    assert release(world, record) == ""
    assert "the canary job fails before the deployment, too" in capsys.readouterr().err


def test_a_wrong_key_is_found_before_anything_changes(world: World, record: Path) -> None:
    with pytest.raises(AccessRefused, match="the key is missing or lacks the scope"):
        deploy(world.context(AppKeys(KEYS.header, KEYS.read, "wrong")), NEW, "2.0", record)
    assert not record.exists()


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_rollback_needs_no_valid_key(
    world: World, record: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(world.context(), NEW, "2.0", record)
    roll_back_to_record(world.context(AppKeys(KEYS.header, key, key)), record)
    assert world.serving_version() == "1.0"
    assert "the last tick was not checked" in capsys.readouterr().err


def test_a_key_that_is_refused_ends_the_verification_at_once(world: World, record: Path) -> None:
    deploy(world.context(), NEW, "2.0", record)
    started = world.now()
    with pytest.raises(DeliveryError, match="the key is missing or lacks the scope"):
        verify(world.context(AppKeys(KEYS.header, KEYS.read, "wrong")), "2.0", record)
    assert world.now() - started < timedelta(seconds=90)


BAD_VERSIONS = {
    "does not start": (Behaviour("2.0", starts=False), "did not serve"),
    "is never ready": (Behaviour("2.0", ready=False), "is not ready: store"),
    "is never ready in service": (Behaviour("2.0", ready=False, only_in_service=True), "is not ready: store"),
    "is another commit": (Behaviour("1.9"), "version 1.9 answers"),
    "has a dead timer": (Behaviour("2.0", timer=False), "the timer does not plan"),
    "has a dead queue": (Behaviour("2.0", queue=False), "the queue is not read"),
    "crashes after a minute": (Behaviour("2.0", crashes_after=60, only_in_service=True), "does not answer"),
    "crashes each minute": (
        Behaviour("2.0", crashes_after=60, comes_back=True, only_in_service=True),
        "does not answer",
    ),
    "fails 30 % of the jobs": (Behaviour("2.0", failing=0.3), "6 of 20 jobs fail that did not fail"),
    "executes half of the runs": (Behaviour("2.0", executed=0.5), "scheduled runs in"),
}


@pytest.mark.parametrize("name", BAD_VERSIONS)
def test_a_bad_version_is_found_and_rolled_back(world: World, record: Path, name: str) -> None:
    world.images[NEW], finding = BAD_VERSIONS[name]
    if world.kind == "embedded" and "is never ready" in name:
        finding = "did not serve within"
    assert finding in release(world, record)
    assert world.serving_version() == "1.0"
    assert images_of_jobs(world) == {OLD}
    assert RecordFile(record).read().state == "rolled_back"
    if name != "executes half of the runs":
        assert_every_instant_ran_once(world)


def test_an_unavailable_registry_changes_nothing(world: World, record: Path) -> None:
    world.registry_answers = False
    with pytest.raises(DeliveryError, match="CONNECTIVITY"):
        deploy(world.context(), NEW, "2.0", record)
    assert not record.exists()
    assert set(world.commands) == {"acr repository show"}
    assert world.serving_version() == "1.0"


def test_a_registry_that_becomes_unavailable_leaves_the_old_version(world: World, record: Path) -> None:
    """The platform cannot pull what the deployment requests."""

    def go_away(command: str) -> None:
        if command == "acr repository show":
            world.registry_answers = False

    world.after = go_away
    assert "did not serve" in release(world, record)
    assert world.serving_version() == "1.0"
    assert_every_instant_ran_once(world)


def test_an_image_that_was_not_pushed_changes_nothing(world: World, record: Path) -> None:
    with pytest.raises(DeliveryError, match="does not have this digest"):
        deploy(world.context(), NEW.replace("1" * 64, "2" * 64), "2.0", record)
    assert not record.exists()


class Killed(BaseException):
    """The process ends here."""


def deploy_until(world: World, record: Path, count: int, *, after: bool) -> bool:
    """Deploy, and kill the process before or after its operation with this number. False: it ended before."""
    seen = 0

    def kill(operation: str) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            raise Killed

    world.before, world.after = (lambda operation: None, kill) if after else (kill, lambda operation: None)
    try:
        deploy(world.context(), NEW, "2.0", record)
    except Killed:
        return True
    finally:
        world.before = world.after = lambda operation: None
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", PLATFORMS)
def test_a_killed_deployment_is_rolled_back_from_any_line(kind: str, after: bool, tmp_path: Path) -> None:
    """At each command and each request, before it or after it."""
    records = 0
    for count in range(1, 200):
        world, record = World(kind), tmp_path / f"{count}.json"
        if not deploy_until(world, record, count, after=after):
            break
        if not record.exists():
            assert world.serving_version() == "1.0"
            continue
        records += 1
        roll_back_to_record(world.context(), record)
        assert world.serving_version() == "1.0", f"killed at operation {count}"
        assert images_of_jobs(world) == {OLD}
        assert RecordFile(record).read().state == "rolled_back"
        if count % 5 == 0:
            assert_every_instant_ran_once(world)
    assert count > 6
    assert records >= 3


@pytest.mark.parametrize(("delay", "is_visible"), [(5, True), (5, False), (20, True), (20, False), (200, True)])
def test_a_change_that_azure_completes_after_the_kill_is_rolled_back(
    world: World, record: Path, delay: float, is_visible: bool
) -> None:
    """The process dies while `az` waits; the change comes later, while the rollback runs."""
    change = "functionapp deployment slot swap" if world.kind == "functions" else "containerapp update"
    flag, idle, busy = (
        ("operation", None, "op-1") if world.kind == "functions" else ("provisioning", "Succeeded", "InProgress")
    )
    execute = world.azure.execute

    def die(command: Command) -> Any:
        if command.words != change:
            return execute(command)
        world.azure.state[flag] = busy if is_visible else idle

        def complete() -> None:
            world.azure.state[flag] = idle
            execute(command)

        world.later.append((world.now() + timedelta(seconds=delay), complete))
        raise Killed

    world.azure.execute = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        deploy(world.context(), NEW, "2.0", record)
    world.azure.execute = execute  # type: ignore[method-assign]
    roll_back_to_record(world.context(), record)
    world.sleep(delay)
    assert world.serving_version() == "1.0"


def test_a_rollback_that_was_killed_is_repeated(world: World, record: Path) -> None:
    deploy(world.context(), NEW, "2.0", record)
    for count in range(1, 20):
        seen = 0

        def kill(operation: str, count: int = count) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                raise Killed

        world.after = kill
        try:
            roll_back_to_record(world.context(), record)
            break
        except Killed:
            world.after = lambda operation: None
    world.after = lambda operation: None
    assert world.serving_version() == "1.0"


def test_a_second_deployment_with_an_unfinished_record_is_refused(world: World, record: Path) -> None:
    deploy(world.context(), NEW, "2.0", record)
    before = len(world.commands)
    with pytest.raises(UnusableInput, match=r"unfinished deployment .* of version 2\.0"):
        deploy(world.context(), NEW, "2.0", record)
    assert len(world.commands) == before
    verify(world.context(), "2.0", record)
    deploy(world.context(), OLD, "1.0", record)  # a verified one is replaced
    assert RecordFile(record).read().previous.image == NEW


def test_the_record_has_what_ran_before(world: World, record: Path) -> None:
    deploy(world.context(), NEW, "2.0", record)
    found = RecordFile(record).read()
    assert (found.previous.image, found.previous.version) == (OLD, "1.0")
    assert found.last_tick == "2026-11-28T12:00:00Z"
    assert found.run_count == 1200  # 20 jobs, each 10 s, in ten minutes
    last = {"functions": "swap", "container-apps": "deactivate", "embedded": "revision"}[world.kind]
    assert [step["step"] for step in found.steps][-3:] == [last, "job-image", "job-image"]
    assert found.jobs == dict.fromkeys(JOBS, OLD)


@pytest.mark.parametrize("world", ["functions", "container-apps"], indirect=True)
def test_what_is_not_in_service_plans_nothing(world: World, record: Path) -> None:
    """Until the swap, the new image has no timer and no queue, and its own tables."""
    world.images[NEW] = Behaviour("2.0", ready=False)
    with pytest.raises(DeliveryError):
        deploy(world.context(within=120.0), NEW, "2.0", record)
    candidates = [one for one in world.containers if one.behaviour.version == "2.0"]
    assert candidates
    assert all(one.is_idle for one in candidates)


def test_a_slot_is_made_idle_once(record: Path) -> None:
    world = World("functions")
    deploy(world.context(), NEW, "2.0", record)
    assert "functionapp config appsettings set" in world.commands
    assert set(world.azure.state["sticky"]) == {
        *(f"AzureWebJobs.{name}.Disabled" for name in ("tick", "work", "bury")),
        "SCHEDULER_STORAGE__PREFIX",
    }
    assert "AzureWebJobs.tick.Disabled" not in world.azure.state["slots"]["production"]["settings"]
    verify(world.context(), "2.0", record)
    world.commands.clear()
    deploy(world.context(), OLD, "1.0", record)
    assert "functionapp config appsettings set" not in world.commands


def test_an_app_without_a_slot_is_replaced_in_place(record: Path) -> None:
    world = World("functions", slot="")
    world.images[NEW] = Behaviour("2.0", queue=False)
    assert "the queue is not read" in release(world, record)
    assert world.serving_version() == "1.0"


def test_a_swap_that_fails_on_the_way_back_is_replaced_by_the_image(record: Path) -> None:
    world = World("functions")
    deploy(world.context(), NEW, "2.0", record)
    world.images[OLD] = Behaviour("1.0")
    swap = world.swap
    world.swap = lambda image, variables: False  # type: ignore[method-assign]
    roll_back_to_record(world.context(), record)
    world.swap = swap  # type: ignore[method-assign]
    assert world.serving_version() == "1.0"


def test_the_prefix_of_a_container_app_survives(record: Path) -> None:
    world = World("container-apps")
    revision = world.azure.state["revisions"]["contoso-scheduler--first"]
    revision["variables"] = {"SCHEDULER_STORAGE__PREFIX": "teama"}
    deploy(world.context(), NEW, "2.0", record)
    assert world.azure.state["template"]["variables"] == {"SCHEDULER_STORAGE__PREFIX": "teama"}


def test_a_revision_that_was_left_active_is_deactivated(record: Path) -> None:
    """A change of the app's template starts a revision, and in the mode `multiple` the one before stays active."""
    world = World("container-apps")
    update = ["containerapp", "update", "--image", OLD, "--revision-suffix", "second"]
    world.azure.execute(parse(update))
    deploy(world.context(), NEW, "2.0", record)
    revisions = world.azure.state["revisions"]
    assert [name for name, one in revisions.items() if one["active"]] == [world.azure.state["latest"]]
    roll_back_to_record(world.context(), record)
    assert [name for name, one in revisions.items() if one["active"]] == ["contoso-scheduler--second"]


@pytest.mark.parametrize(
    ("kind", "mode", "expected"), [("container-apps", "Single", "Multiple"), ("embedded", "Multiple", "Single")]
)
def test_a_container_app_with_a_single_revision_is_refused(kind: str, mode: str, expected: str, record: Path) -> None:
    world = World(kind)
    world.azure.state["mode"] = mode
    with pytest.raises(UnusableInput, match=f"needs activeRevisionsMode {expected}"):
        deploy(world.context(), NEW, "2.0", record)
    assert not record.exists()


def test_an_image_is_restored_without_a_record(world: World, record: Path) -> None:
    deploy(world.context(), NEW, "2.0", record)
    roll_back_to_image(world.context(), OLD, "1.0")
    assert world.serving_version() == "1.0"
    assert images_of_jobs(world) == {OLD}
    roll_back_to_image(world.context(), NEW, "2.0")
    assert world.serving_version() == "2.0"
    roll_back_to_image(world.context(), NEW, "2.0")  # again: nothing to do
    assert world.serving_version() == "2.0"


def test_a_job_that_does_not_exist_ends_the_deployment_before_any_change(world: World, record: Path) -> None:
    del world.azure.state["jobs"][JOBS[1]]
    with pytest.raises(DeliveryError, match=f"The job {JOBS[1]} was not found"):
        deploy(world.context(), NEW, "2.0", record)
    assert (record.exists(), world.serving_version()) == (False, "1.0")


def test_a_job_with_another_image_fails_the_verification(world: World, record: Path) -> None:
    deploy(world.context(), NEW, "2.0", record)
    world.azure.state["jobs"][JOBS[0]] = OLD
    with pytest.raises(DeliveryError, match=f"the job {JOBS[0]} has the image {OLD}, expected {NEW}"):
        verify(world.context(), "2.0", record)


def test_a_deployment_repairs_an_app_that_does_not_answer(world: World, record: Path) -> None:
    world.images[OLD] = Behaviour("1.0", starts=False)
    for container in world.containers:
        container.behaviour = world.images[OLD]
    assert release(world, record) == ""
    assert world.serving_version() == "2.0"


def test_status_names_what_runs_where(world: World, record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(world.context(), NEW, "2.0", record)
    world.sleep(60)
    print_status(world.context(), as_json=False)
    printed = capsys.readouterr().out
    assert "100 %, version 2.0, ready, plans" in printed
    print_status(world.context(), as_json=True)
    values = json.loads(capsys.readouterr().out)
    assert values["last_tick"].startswith("2026-11-28T12:0")
    assert {one["image"] for one in values["deployed"]} == {OLD, NEW}
    assert [one["version"] for one in values["deployed"] if one["share"] == 100] == ["2.0"]
    assert values["jobs"] == dict.fromkeys(JOBS, NEW)
