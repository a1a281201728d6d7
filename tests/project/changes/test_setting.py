"""Adding a setting touches the model, its default and its row for operators."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

READ_IT = """
import os
from pathlib import Path
from config.settings.loading import load_settings

print(load_settings(os.environ, root=Path.cwd()).settings.log.colors)
"""


def test_a_setting(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a setting")
    change.insert(
        "config/settings/model.py", after="class LogSettings(FrozenModel):", text="    colors: bool = False\n"
    )
    change.insert("config/environments/base.yaml", after="level: info", text="  colors: false")
    change.insert(
        "docs/settings.md",
        after="| `log.level` |",
        text="| `log.colors` | `false` | `SCHEDULER_LOG__COLORS` | Whether text is colored. |",
    )

    assert change.python(READ_IT, SCHEDULER_LOG__COLORS="true") == "True\n"
    assert change.python(READ_IT) == "False\n"
    change.pytest("tests/docs/test_names.py", "-k", "setting or variable")
    change.assert_touches_documented_files()
