"""Snapshots of texts that people read: one .txt file each, so that a review reads the text and not its quotation.

    def test_the_help_of_every_command(text_snapshot: SnapshotAssertion) -> None:
        assert helps() == text_snapshot     # in __snapshots__/test_module/test_the_help_of_every_command.txt

After a change of the text: `./dev test PATH --snapshot-update`, and read the difference. docs/style.md has the details.
"""

from __future__ import annotations

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode


class TextSnapshot(SingleFileSnapshotExtension):
    """Accepts a `str` alone. `text_snapshot(name="cli")` names a second file of the same test."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"
