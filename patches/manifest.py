"""What the manifest of a patches folder states."""

from collections.abc import Mapping
from typing import Any

IMPORTED = "imported_from"  # of the recorded settings; `patches` has no such key
LISTING = "listing_sha256"


def is_imported(manifest: Mapping[str, Any]) -> bool:
    """Whether a patches folder's manifest is of ready-made patches."""
    settings = manifest.get("settings")
    return isinstance(settings, Mapping) and IMPORTED in settings
