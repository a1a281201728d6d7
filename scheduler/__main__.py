"""`python -m scheduler`: the command line.

Any Python from 2.7 on can parse this file, so that an unsupported version prints an error instead of a traceback.
"""

# ruff: noqa: RUF005, UP031
# Newer forms would be syntax errors there.

import gc
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing  # noqa: F401  # in comments

SUPPORTED_VERSIONS = ((3, 11), (3, 12), (3, 13))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OWN_PACKAGES = ("scheduler", "observability", "importers", "config", "jobs")


def find_version_problem(version):
    # type: (typing.Sequence[typing.Any]) -> str | None
    """Return the problem with a Python of this version, or None."""
    if tuple(version[:2]) in SUPPORTED_VERSIONS:
        return None
    text = "the scheduler needs Python 3.11, 3.12 or 3.13, got %d.%d (%s)"
    return text % (version[0], version[1], sys.executable)


def describe_missing_package(package, arguments, folder):
    # type: (str, list[str], str) -> str
    """Return two lines: the missing package, and the command to use instead. `folder`: the working folder."""
    problem = "the package %s is not installed in this Python (%s)" % (package, sys.executable)
    if not os.path.exists(os.path.join(ROOT, "requirements.txt")):
        return "%s\ninstall the scheduler again, with its dependencies" % problem
    install = "%s -m pip install -r %s" % (sys.executable, project_path(folder, "requirements.txt"))
    return "%s\n%s, or install the packages: %s" % (problem, suggest_dev_command(arguments, folder), install)


def suggest_dev_command(arguments, folder):
    # type: (list[str], str) -> str
    """Return the command that uses the project's own environment."""
    words = ["run"] + arguments[1:] if arguments[:1] == ["serve"] else ["cli"] + arguments
    command = " ".join([project_path(folder, "dev")] + [quote_word(word) for word in words])
    return "run `%s`, which uses the project's own environment" % command


def project_path(folder, name):
    # type: (str, str) -> str
    """Return the path of a file of the project, relative if `folder` is the project's folder."""
    if os.path.realpath(folder) != os.path.realpath(ROOT):
        return os.path.join(ROOT, name)
    return "./dev" if name == "dev" else name


def quote_word(word):
    # type: (str) -> str
    """Quote a word for a shell."""
    if word and all(character.isalnum() or character in "-_./:@%+=," for character in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def main():
    # type: () -> int
    """Run the command of sys.argv and return the exit code."""
    wrong = find_version_problem(sys.version_info)
    if wrong is not None:
        sys.stderr.write("%s\n%s\n" % (wrong, suggest_dev_command(sys.argv[1:], os.getcwd())))
        return 2
    if sys.argv[1:2] == ["serve"] and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the host handles it: see hosts/embedded/signals.py
    # Modules and models stay: a tenth of the CPU of a command would go into looking for garbage among them.
    gc.set_threshold(100000, 20, 100)
    try:
        from scheduler.crash_traces import enable_crash_traces

        enable_crash_traces()
        # Otherwise pydantic looks for plugins in the metadata of all installed packages: the program uses none.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        from scheduler.cli.main import main as run_command

        return run_command()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in OWN_PACKAGES or package in sys.stdlib_module_names:
            raise
        sys.stderr.write(describe_missing_package(package, sys.argv[1:], os.getcwd()) + "\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
