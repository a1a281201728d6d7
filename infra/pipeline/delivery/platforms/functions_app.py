"""Azure Functions on a Premium or Dedicated plan: an image in a slot, which is swapped with production.

After a swap, the slot has the image that ran before. So the way back is another swap. Without a slot, the image of the
app is replaced in place.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from delivery.context import Context
from delivery.errors import DeliveryError, UnusableInput
from delivery.images import Image
from delivery.platforms.port import PREFIX_SETTING, TRIGGER_FUNCTIONS, BeginStep, Deployed, Release
from delivery.record import Record, Running

SETTINGS_STEP, SLOT_STEP, SWAP_STEP, IMAGE_STEP = "slot-settings", "slot-image", "swap", "image"
OPERATION_TIMEOUT = 600.0
"""Seconds until an operation of another process on the app ends."""
_DOCKER = "DOCKER|"
_IMAGE_QUERY = "linuxFxVersion"


class FunctionsPlatform:
    """The app and, if the environment names one, its slot."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._az = context.az
        self._slot = context.environment.slot
        self._app = ("--resource-group", context.environment.resource_group, "--name", context.environment.app)

    def read_running(self) -> Running:
        """Return the image of production."""
        image = self._read_image("")
        if not image:
            raise UnusableInput(
                f"{self._context.environment.app} does not run a container: create the app with an image first."
            )
        return Running(image)

    def deploy(self, release: Release, old: Running, begin: BeginStep) -> None:
        """Set the image on the slot, wait until it is ready there, and swap; without a slot, set it on production."""
        if not self._slot:
            begin(IMAGE_STEP, "")
            self._set_image(str(release.image), "")
            return
        self._make_slot_idle(begin)
        begin(SLOT_STEP, self._slot)
        self._set_image(str(release.image), self._slot)
        if not self._context.dry_run:
            waiting = self._context.waiting(self._context.environment.slot_url)
            waiting.wait_for_version(release.version, self._context.environment.verify.within, is_idle=True)
        begin(SWAP_STEP, self._slot)
        self._swap()

    def restore(self, record: Record) -> None:
        """Swap back if the slot has the recorded image, otherwise set it on production."""
        self._restore(record.previous.image)

    def restore_image(self, image: Image, version: str) -> None:
        """Swap if the slot has the image, otherwise set it on production."""
        self._restore(str(image))

    def serves(self, image: str) -> bool:
        """Return whether production has the image and no operation is pending."""
        return not self._read_operation() and self._read_image("", assumed=image) == image

    def list_deployed(self) -> list[Deployed]:
        """Return production and the slot."""
        environment = self._context.environment
        found = [self._describe("", environment.url)]
        return [*found, self._describe(self._slot, environment.slot_url)] if self._slot else found

    def _restore(self, image: str) -> None:
        self._wait_for_operation()
        if self._read_image("", assumed="") == image:
            self._context.reporter.report("production has this image already")
            return
        if self._slot and self._read_image(self._slot, assumed=image) == image:
            try:
                self._swap()
                return
            except DeliveryError as error:
                self._context.reporter.report(f"the swap failed, so the image is set on production: {error}")
                self._wait_for_operation()
        if self._read_image("", assumed="") != image:
            self._set_image(image, "")

    def _make_slot_idle(self, begin: BeginStep) -> None:
        """Disable the slot's timer and queues by settings that a swap does not move."""
        expected = {f"AzureWebJobs.{name}.Disabled": "true" for name in TRIGGER_FUNCTIONS}
        expected[PREFIX_SETTING] = self._context.environment.idle_prefix
        found = self._read_settings(self._slot, [*expected])
        wrong = {name: value for name, value in expected.items() if found.get(name) != (value, True)}
        if not wrong:
            return
        begin(SETTINGS_STEP, self._slot)
        pairs = [f"{name}={value}" for name, value in wrong.items()]
        self._az.change(
            *("functionapp", "config", "appsettings", "set", *self._app),
            *("--slot", self._slot, "--slot-settings", *pairs),
        )

    def _read_settings(self, slot: str, names: list[str]) -> dict[str, tuple[str, bool]]:
        """Return the value of these settings, and whether each stays with its slot. No other value is requested."""
        conditions = " || ".join(f"name=='{name}'" for name in names)
        query = f"[?{conditions}].{{name: name, value: value, sticky: slotSetting}}"
        found = self._az.read(
            *("functionapp", "config", "appsettings", "list", *self._app, *_of_slot(slot), "--query", query),
            assumed=[],
        )
        return {one["name"]: (str(one["value"]), bool(one["sticky"])) for one in found}

    def _read_image(self, slot: str, assumed: str = "(the image in service)") -> str:
        version = self._az.read(
            *("functionapp", "config", "show", *self._app, *_of_slot(slot), "--query", _IMAGE_QUERY),
            assumed=f"{_DOCKER}{assumed}",
        )
        text = str(version or "")
        return text.removeprefix(_DOCKER) if text.startswith(_DOCKER) else ""

    def _set_image(self, image: str, slot: str) -> None:
        self._az.change("functionapp", "config", "container", "set", *self._app, *_of_slot(slot), "--image", image)

    def _swap(self) -> None:
        self._az.change(
            *("functionapp", "deployment", "slot", "swap", *self._app),
            *("--slot", self._slot, "--target-slot", "production"),
        )

    def _read_operation(self) -> str:
        """Return the id of an operation in progress, such as a swap; empty: none."""
        found = self._az.read("functionapp", "show", *self._app, "--query", "inProgressOperationId")
        return str(found or "")

    def _wait_for_operation(self) -> None:
        """A killed deployment can leave a swap that Azure still completes."""
        clock = self._context.clock
        end = clock.now() + timedelta(seconds=OPERATION_TIMEOUT)
        while operation := self._read_operation():
            if clock.now() > end:
                raise DeliveryError(f"the operation {operation} on the app did not end: see its activity log in Azure.")
            self._context.reporter.report(f"waiting for the operation {operation} on the app")
            clock.sleep(self._context.environment.verify.poll)

    def _describe(self, slot: str, url: str) -> Deployed:
        names = [f"AzureWebJobs.{name}.Disabled" for name in TRIGGER_FUNCTIONS]
        disabled: dict[str, Any] = self._read_settings(slot, names)
        plans = str(disabled.get(names[0], ("false", False))[0]).lower() not in ("true", "1")
        return Deployed(slot or "production", self._read_image(slot), url, 0 if slot else 100, plans)


def _of_slot(slot: str) -> tuple[str, ...]:
    return ("--slot", slot) if slot else ()
