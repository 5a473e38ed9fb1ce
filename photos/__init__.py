"""A photo file → an upright sRGB array (H, W, 3), or a `PhotoError` with a reason.

Read `reading` first: it asks `formats` what a file is, `header_limits` what it may
cost, then one decoder (`jpeg`, `sixteen_bit`, `heif`, `raw` or Pillow), `orientation`
and `icc`. `heif_items`, `raw_bytes`, `written_parts` and `truncation` say whether a
file holds what it claims, `colours` which colour space it states, `capture_time` when
it was taken. `encoding` writes pictures, `written_metadata` is what they say of
themselves.
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.photos.listing import list_photos
    from dped_build.photos.reading import photo_size, read_photo

__all__ = ["list_photos", "photo_size", "read_photo"]

__getattr__ = lazy_exports(
    __name__,
    {"list_photos": "listing", "photo_size": "reading", "read_photo": "reading"},
)
