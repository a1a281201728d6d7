"""`python -m scheduler`: the command line.

Any Python from 2.7 on can read this file, so that one that cannot run the program can say so.
"""

# ruff: noqa: RUF005, UP031
# Newer forms would be syntax errors there.

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing  # noqa: F401  # in comments

SUPPORTED = ((3, 11), (3, 12), (3, 13))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = ("scheduler", "observability", "config", "jobs")


def wrong_version(version):
    # type: (typing.Sequence[typing.Any]) -> str | None
    """Return what is wrong with a Python of this version, or None."""
    if tuple(version[:2]) in SUPPORTED:
        return None
    text = "this is Python %d.%d (%s), and the scheduler needs 3.11, 3.12 or 3.13"
    return text % (version[0], version[1], sys.executable)


def say_what_is_missing(package, arguments, folder):
    # type: (str, list[str], str) -> str
    """Return two lines: the package that is not installed, and what to type instead. `folder`: the working folder."""
    problem = "the package %s is not installed in this Python (%s)" % (package, sys.executable)
    install = "%s -m pip install -r %s" % (sys.executable, path_from(folder, "requirements.txt"))
    return "%s\n%s, or install the packages: %s" % (problem, instead(arguments, folder), install)


def instead(arguments, folder):
    # type: (list[str], str) -> str
    """Return the command that uses the project's own environment."""
    words = ["run"] + arguments[1:] if arguments[:1] == ["serve"] else ["cli"] + arguments
    command = " ".join([path_from(folder, "dev")] + [quoted(word) for word in words])
    return "type `%s`, which uses the project's own environment" % command


def path_from(folder, name):
    # type: (str, str) -> str
    """Return the path of a file of the project, as short as the working folder allows."""
    if os.path.realpath(folder) != os.path.realpath(ROOT):
        return os.path.join(ROOT, name)
    return "./dev" if name == "dev" else name


def quoted(word):
    # type: (str) -> str
    """Return the word for a shell."""
    if word and all(character.isalnum() or character in "-_./:@%+=," for character in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def main():
    # type: () -> int
    """Run the command of sys.argv; gives the exit code."""
    wrong = wrong_version(sys.version_info)
    if wrong is not None:
        sys.stderr.write("%s\n%s\n" % (wrong, instead(sys.argv[1:], os.getcwd())))
        return 2
    try:
        from scheduler.cli.main import main as run_command

        return run_command()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in OURS or package in sys.stdlib_module_names:
            raise
        sys.stderr.write(say_what_is_missing(package, sys.argv[1:], os.getcwd()) + "\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
