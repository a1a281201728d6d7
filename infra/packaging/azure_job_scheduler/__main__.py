"""The command `scheduler` of the installed program; `python -m azure_job_scheduler` is the same.

The folder `tree` contains the program's packages. Child processes find it by the PYTHONPATH that they are given.
"""

import os
import sys
from collections.abc import Mapping

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree")


def main() -> int:
    """Run the command of sys.argv and return the exit code."""
    sys.path.insert(0, TREE)
    folder = find_state_folder(os.environ, sys.platform)
    store = "sqlite:///" + os.path.join(folder, "scheduler.db")
    starts = sys.argv[1:2] == ["serve"] and {"-h", "--help"}.isdisjoint(sys.argv)
    if os.environ.setdefault("SCHEDULER_STORE", store) == store and starts:
        print(f"state and history: {folder} (SCHEDULER_STORE names another store)", file=sys.stderr)
    os.environ.setdefault("SCHEDULER_SECRETS_FOLDER", os.path.join(folder, "secrets"))
    from scheduler.__main__ import main as run_command

    return run_command()


def find_state_folder(environ: Mapping[str, str], platform: str) -> str:
    """Return the user's folder for state, by the XDG Base Directory Specification; on Windows the local app data."""
    given = environ.get("LOCALAPPDATA" if platform == "win32" else "XDG_STATE_HOME", "")
    if not os.path.isabs(given):
        usual = ("AppData", "Local") if platform == "win32" else (".local", "state")
        given = os.path.join(os.path.expanduser("~"), *usual)
    return os.path.join(given, "scheduler")


if __name__ == "__main__":
    sys.exit(main())
