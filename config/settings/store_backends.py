"""The store backends that the setting `store` accepts.

Checked by config.settings.fields, opened by scheduler.app.adapters.
"""

from __future__ import annotations

from collections.abc import Mapping

STORE_BACKENDS: Mapping[str, str] = {
    "sqlite": "scheduler.stores.sqlite.store",
    "azure": "scheduler.stores.azure.opening",
}
"""The module of each backend, by the text before the colon of the setting. Imported when the store is opened."""
