"""Hostile job files arrive while healthy jobs run: the old jobs continue, and the problem is reported."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench._attacks.harness import Attack, Scene
from bench._parts import get_json
from tests.parts.hostile.files import hostile_file

FILES = 100
HELD = 0.3
"""Seconds for which each file is in the folder; the program checks it every two seconds or less."""
BOMB = '{"jobs": {"bomb": {"check": {"url": "http://127.0.0.1:9/"}, "expect": [{"body_matches": "PATTERN"}]}}}'
PATTERNS = ("(?:a{3000}){3000}", "(?:a{100000}){100000}", "(?:" * 20 + "a+" + "b)+" * 20)


class _JobFiles(Attack):
    """Files that come and go."""

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with the jobs that are left when the files are gone."""
        names = {job["name"] for job in get_json(f"{scene.scheduler.url}/api/jobs")["jobs"]}
        healthy = [name for name in names if name.startswith("late-")]
        if len(healthy) != 20:
            yield f"{len(healthy)} of 20 healthy jobs are left"


class RegexBombReload(_JobFiles):
    """Job files of a hundred bytes, with patterns that would take gigabytes, come into the folder."""

    name = "regex-bomb-reload"

    def strike(self, scene: Scene) -> float | None:
        for number, pattern in enumerate(PATTERNS):
            path = scene.scheduler.jobs / f"bomb{number}.json"
            path.write_text(BOMB.replace("PATTERN", pattern))
            time.sleep(4)
            path.unlink()
            time.sleep(2)
        return None


class HostileReload(_JobFiles):
    """A hundred generated hostile files come into the folder, one after the other."""

    name = "hostile-reload"

    def strike(self, scene: Scene) -> float | None:
        for seed in range(FILES):
            file = hostile_file(seed)
            path = scene.scheduler.jobs / f"hostile-{file.name}"
            path.write_bytes(file.content)
            time.sleep(HELD)
            path.unlink()
        time.sleep(5)
        return None


ATTACKS = (RegexBombReload(), HostileReload())
