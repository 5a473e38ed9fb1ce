"""Settings for reading and writing photos, shared by all commands."""

MAX_MEGAPIXELS = 200.0
COLORS = ("srgb", "keep")
PICTURE_BITS = (8, 16)  # of a colour, of pictures that are written
