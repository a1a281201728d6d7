"""Container Apps: Azure Functions (`kind: functionapp`), and the embedded host.

**Functions**: revisions of a container app in the mode `multiple`. A new image is first started as a revision whose
timer and queues are disabled and that gets no requests. If it is ready, a second revision without these variables
replaces the one in service, which is then deactivated: a revision without requests would still plan and take messages.
So the way back is to activate it again.

**The embedded host**: the mode `single`. Azure starts the new image next to the old one, which it replaces as soon as a
replica of the new one is ready. Both use the same store, in which one replica leads. So a revision out of service would
lead and run jobs, and the way back is the old image as a further revision.
"""

from __future__ import annotations

from datetime import timedelta

from delivery.clock import format_duration
from delivery.context import Context
from delivery.errors import DeliveryError, UnusableInput
from delivery.images import Image
from delivery.platforms.port import PREFIX_SETTING, TRIGGER_FUNCTIONS, BeginStep, Deployed, Release
from delivery.platforms.revisions import AppState, Revision, parse_app, parse_revision, serving_revision
from delivery.record import Record, Running

PIN_STEP, CANDIDATE_STEP, REVISION_STEP, TRAFFIC_STEP, DEACTIVATE_STEP = (
    *("pin-traffic", "candidate", "revision", "traffic", "deactivate"),
)
CANDIDATE_MARK = "-i"
"""End of the name of a revision that is not in service."""
DISABLED_VARIABLES = tuple(f"AzureWebJobs_{name}_Disabled" for name in TRIGGER_FUNCTIONS)
"""With underscores, which the host accepts as well: a shell can drop variables whose names have dots."""
START_TIMEOUT = 60.0
"""Seconds for an activated revision to start while the other one still serves."""
PROVISIONING_TIMEOUT = 600.0
"""Seconds until a change of another process ends."""
_IN_SERVICE = "(the image in service)"
"""Stands for the image in a dry run."""


class ContainerAppPlatform:
    """The container app of the environment."""

    mode = "multiple"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._az = context.az
        environment = context.environment
        self._app = ("--resource-group", environment.resource_group, "--name", environment.app)
        self._within = environment.verify.within

    def read_running(self) -> Running:
        """Return the revision that gets the requests."""
        app = self._read_app()
        if app.mode != self.mode:
            raise UnusableInput(
                f"{self._context.environment.app} has the revision mode {app.mode}. The platform "
                f"{self._context.environment.platform} needs activeRevisionsMode {self.mode.title()}: infra/bicep sets "
                f"it, or `az containerapp revision set-mode --mode {self.mode}`."
            )
        revision = serving_revision(app, self._read_revisions())
        return Running(revision.image, revision=revision.name, prefix=revision.prefix)

    def deploy(self, release: Release, old: Running, begin: BeginStep) -> None:
        """Start a candidate, wait until it is ready, then start the revision and move all requests to it."""
        candidate, new = f"{release.suffix}{CANDIDATE_MARK}", release.suffix
        begin(PIN_STEP, old.revision)
        self._set_traffic(old.revision)
        begin(CANDIDATE_STEP, self._full_name(candidate))
        idle = [*(f"{name}=true" for name in DISABLED_VARIABLES), self._prefix(self._context.environment.idle_prefix)]
        self._update(release.image, candidate, "--set-env-vars", *idle)
        self._wait_for_revision(self._full_name(candidate), release.version, self._within, is_idle=True)
        begin(REVISION_STEP, self._full_name(new))
        self._start_in_service(release.image, new, old.prefix)
        self._wait_for_revision(self._full_name(new), release.version, self._within)
        begin(TRAFFIC_STEP, self._full_name(new))
        self._set_traffic(self._full_name(new))
        begin(DEACTIVATE_STEP, old.revision)
        self._deactivate_others(self._full_name(new), self._full_name(candidate), old.revision)

    def restore(self, record: Record) -> None:
        """Activate the recorded revision, give it all requests, and deactivate those of the deployment."""
        self._wait_for_provisioning()
        started = {*record.details_of(CANDIDATE_STEP), *record.details_of(REVISION_STEP)}
        revisions = {one.name: one for one in self._read_revisions(record.previous.revision, *sorted(started))}
        previous = revisions.get(record.previous.revision)
        if previous is None:
            name = self._start_again(record.previous)
        else:
            name = previous.name
            self._activate(previous, record.previous.version)
        self._set_traffic(name)
        self._deactivate_others(name, *sorted(started))

    def restore_image(self, image: Image, version: str) -> None:
        """Activate the newest revision with this image that plans, or start one; deactivate those in service."""
        self._wait_for_provisioning()
        revisions = self._read_revisions()
        serving = serving_revision(self._read_app(), revisions)
        if serving.image == str(image):
            self._context.reporter.report("a revision with this image is in service already")
            return
        usable = [one for one in revisions if one.image == str(image) and one.plans]
        if usable:
            found = max(usable, key=lambda one: one.created)
            self._activate(found, version)
            name = found.name
        else:
            name = self._start_again(Running(str(image), version, prefix=serving.prefix))
        self._set_traffic(name)
        self._deactivate_others(name)

    def serves(self, image: str) -> bool:
        """Return whether the image gets all requests, alone plans, and no change is in progress."""
        if self._context.dry_run:
            return True
        app, revisions = self._read_app(), self._read_revisions()
        is_alone = all(one.image == image for one in revisions if one.is_active and one.plans)
        return is_alone and app.provisioning == "Succeeded" and serving_revision(app, revisions).image == image

    def list_deployed(self) -> list[Deployed]:
        """Return the active revisions, and the one that was in service before."""
        app = self._read_app()
        revisions = self._read_revisions()
        serving = serving_revision(app, revisions)
        weights = {name or serving.name: weight for name, weight in app.traffic}
        newest_first = sorted(revisions, key=lambda one: one.created, reverse=True)
        inactive = [one for one in newest_first if one.plans and not one.is_active][:1]
        return [
            Deployed(one.name, one.image, one.url, weights.get(one.name, 0), one.plans, one.is_active)
            for one in [*(one for one in newest_first if one.is_active), *inactive]
        ]

    def _full_name(self, suffix: str) -> str:
        return f"{self._context.environment.app}--{suffix}"

    def _prefix(self, value: str) -> str:
        return f"{PREFIX_SETTING}={value}"

    def _read_app(self) -> AppState:
        configuration = {"activeRevisionsMode": self.mode}
        example = {"properties": {"configuration": configuration, "latestReadyRevisionName": "OLD"}}
        return parse_app(self._az.read("containerapp", "show", *self._app, assumed=example))

    def _read_revisions(self, *assumed: str) -> list[Revision]:
        """Return all revisions. `assumed`: their names in a dry run."""
        template = {"containers": [{"image": _IN_SERVICE}]}
        example = [{"name": name, "properties": {"active": True, "template": template}} for name in assumed or ("OLD",)]
        found = self._az.read("containerapp", "revision", "list", *self._app, "--all", assumed=example)
        return [parse_revision(values, DISABLED_VARIABLES[0], PREFIX_SETTING) for values in found]

    def _update(self, image: Image | str, suffix: str, *variables: str) -> None:
        self._az.change(
            *("containerapp", "update", *self._app, "--image", str(image), "--revision-suffix", suffix), *variables
        )

    def _start_in_service(self, image: Image | str, suffix: str, prefix: str) -> None:
        """Start a revision that plans. The variables of a candidate are removed from the app's template."""
        removed = ["--remove-env-vars", *DISABLED_VARIABLES]
        if prefix:
            self._update(image, suffix, "--set-env-vars", self._prefix(prefix), *removed)
        else:
            self._update(image, suffix, *removed, PREFIX_SETTING)

    def _start_again(self, previous: Running) -> str:
        suffix = f"back-{self._context.clock.now():%m%d%H%M%S}"
        self._start_in_service(previous.image, suffix, previous.prefix)
        self._wait_for_revision(self._full_name(suffix), previous.version, self._within)
        return self._full_name(suffix)

    def _wait_for_revision(self, name: str, version: str, within: float, *, is_idle: bool = False) -> None:
        """Wait until the revision answers at its own address."""
        if self._context.dry_run:
            return
        url = next((one.url for one in self._read_revisions() if one.name == name and one.url), "")
        if not url:
            raise DeliveryError(f"the revision {name} has no address: Azure did not create it, or ingress is off.")
        self._context.waiting(url).wait_for_version(version, within, is_idle=is_idle)

    def _activate(self, revision: Revision, version: str) -> None:
        """Activate a revision, and give it time to start before it gets the requests."""
        if revision.is_active and not self._context.dry_run:
            return
        self._az.change("containerapp", "revision", "activate", *self._app, "--revision", revision.name)
        try:
            self._wait_for_revision(revision.name, version, START_TIMEOUT)
        except DeliveryError as error:
            self._context.reporter.report(f"{error}; it gets the requests all the same")

    def _deactivate_others(self, name: str, *assumed: str) -> None:
        """Deactivate all other revisions, also those that an earlier change of the app left active: they would plan.

        `assumed`: their names in a dry run.
        """
        for revision in self._read_revisions(*assumed):
            if revision.is_active and revision.name != name:
                self._az.change("containerapp", "revision", "deactivate", *self._app, "--revision", revision.name)

    def _set_traffic(self, name: str) -> None:
        self._az.change("containerapp", "ingress", "traffic", "set", *self._app, "--revision-weight", f"{name}=100")

    def _wait_for_provisioning(self) -> None:
        clock = self._context.clock
        end = clock.now() + timedelta(seconds=PROVISIONING_TIMEOUT)
        while (state := self._read_app().provisioning) not in ("Succeeded", "Failed", "Canceled"):
            if clock.now() > end:
                raise DeliveryError(f"the app stays {state}: see its activity log in Azure.")
            self._context.reporter.report(f"waiting: the app is {state}")
            clock.sleep(self._context.environment.verify.poll)


class EmbeddedPlatform(ContainerAppPlatform):
    """The container app of the environment, with the embedded host."""

    mode = "single"

    def deploy(self, release: Release, old: Running, begin: BeginStep) -> None:
        """Start the image as a revision, and wait until it has replaced the old one."""
        begin(REVISION_STEP, self._full_name(release.suffix))
        self._replace(str(release.image), release.suffix)

    def restore(self, record: Record) -> None:
        """Start the recorded image as a further revision, unless it serves alone."""
        self._restore(record.previous.image)

    def restore_image(self, image: Image, version: str) -> None:
        """Start the image as a further revision, unless it serves alone."""
        self._restore(str(image))

    def _restore(self, image: str) -> None:
        self._wait_for_provisioning()
        if self._context.dry_run or not self.serves(image):
            self._replace(image, f"back-{self._context.clock.now():%m%d%H%M%S}")

    def _replace(self, image: str, suffix: str) -> None:
        self._update(image, suffix)
        clock = self._context.clock
        end = clock.now() + timedelta(seconds=self._within)
        self._context.reporter.report("waiting until a replica is ready, and Azure has stopped the other revisions")
        while not self.serves(image):
            if clock.now() > end:
                raise DeliveryError(
                    f"{self._full_name(suffix)} did not serve within {format_duration(self._within)}: it is not ready, "
                    "and Azure leaves the revision before it in service. Its log has the reason."
                )
            clock.sleep(self._context.environment.verify.poll)
