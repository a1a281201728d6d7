"""Python imports this at the start of a child process that has this folder on its path: proc puts it there."""

from tests.parts.network_guard import GUARD

GUARD.announce = True
GUARD.install()
