"""Settings for reading photos, shared by all commands."""

MAX_MEGAPIXELS = 200.0
COLORS = ("srgb", "keep")
