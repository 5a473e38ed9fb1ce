"""How a photo is read: what every command that reads photos lets people choose."""

MAX_MEGAPIXELS = 200.0
COLORS = ("srgb", "keep")
