"""Photos of every kind, damaged in every way: all made here, from small seeds."""

import io
import os
import struct
import zlib
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

HEADER_BYTES = 700  # of which most mutations change something
BORDER_VALUES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1)
ALIEN = {  # what else may be called x.jpg
    "pdf": b"%PDF-1.7\n" + bytes(500),
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "zip": b"PK\x03\x04" + bytes(500),
    "heic": b"\0\0\0\x18ftypheic" + bytes(500),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"/>',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "spaces": b" " * 3000,
    "zeros": bytes(3000),
}
NAMES = (  # of photos; those of NOT_PLAIN no text file can hold
    "x" * 251,
    "ü" * 125,
    "\u202egpj.0001",
    "📷 family 👩‍👩‍👧",
    "עברית",
    "日本語",
    "e\u0301 and \u00e9",
    "a b  c",
    "-rf",
    "--force",
    "$(touch hacked)",
    "<script>alert(1)<!--",
    'quote"comma,semicolon;',
    "=1+2",
    "CON",
    "100%",
    "back\\slash",
    "trailing. ",
)
NOT_PLAIN = (
    b"caf\xe9",
    b"\xff\xfe",
    b"two\nlines",
    b"tab\tbell\x07",
    b"\x1b[31mred",
    "next\u0085line".encode(),
    "line\u2028separator".encode(),
)


def picture(size, seed=0):
    """Smooth noise, RGB uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).uniform(0, 255, (size[1], size[0], 3))
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, 32, 0)


def saved(image, kind, **options):
    """The bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@cache
def seeds():
    """Name → bytes of good photos, one of each kind; the name ends like its format."""
    rgb = Image.fromarray(picture((80, 60)))
    deep = (np.asarray(rgb.convert("L")).astype(np.uint16) << 8) | 7
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Acme", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:06:01 12:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    described = {"exif": exif, "icc_profile": profile}
    dcf = Image.Exif()
    dcf.get_ifd(0x8769)[0xA001] = 65_535
    dcf.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
    rows, second = {"tiffinfo": {278: 8}}, {"save_all": True, "append_images": [rgb]}
    return {
        "baseline.jpg": saved(rgb, "JPEG", quality=90),
        "described.jpg": saved(rgb, "JPEG", xmp=b"<x/>" * 50, **described),
        "adobe.jpg": saved(rgb, "JPEG", exif=dcf),
        "progressive.jpg": saved(rgb, "JPEG", progressive=True),
        "restarts.jpg": saved(rgb, "JPEG", restart_marker_blocks=2),
        "grey.jpg": saved(rgb.convert("L"), "JPEG"),
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG"),
        "mpo.jpg": saved(rgb, "MPO", **second),
        "rgb.png": saved(rgb, "PNG", **described),
        "coded.png": with_chunks(
            saved(rgb, "PNG"),
            chunk(b"cICP", bytes((12, 13, 0, 1))),
            chunk(b"gAMA", struct.pack(">I", 55_556)),
            chunk(b"cHRM", struct.pack(">8I", *range(10_000, 90_000, 10_000))),
        ),
        "deep.png": saved(Image.fromarray(deep), "PNG"),
        "palette.png": saved(rgb.quantize(17), "PNG", transparency=3),
        "alpha.png": saved(rgb.convert("RGBA"), "PNG"),
        "animated.png": saved(rgb, "PNG", **second),
        "bits.png": saved(rgb.convert("1"), "PNG"),
        "raw.tif": saved(rgb, "TIFF", **described, **rows),
        "lzw.tif": saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflate.tif": saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": saved(rgb, "TIFF", compression="jpeg"),
        "deep.tif": saved(Image.fromarray(deep), "TIFF"),
        "lab.tif": saved(Image.new("LAB", (80, 60), (90, 140, 120)), "TIFF"),
        "pages.tif": saved(rgb, "TIFF", **second),
        "big.tif": saved(rgb, "TIFF", big_tiff=True),
        "lossy.webp": saved(rgb, "WEBP", **described),
        "lossless.webp": saved(rgb.convert("RGBA"), "WEBP", lossless=True),
        "plain.avif": saved(rgb, "AVIF", **described),
    }


@cache
def seeds_of_extras():
    """Likewise HEIC and RAW photos, which pillow-heif and rawpy read."""
    import pillow_heif
    from raw_files import colour_chart, dng, mosaic

    rgb, found = picture((80, 60)), {}
    for name, mode, pixels, options in (
        ("plain.heic", "RGB", rgb, {"quality": 80}),
        ("lossless.heic", "RGB", rgb, {"quality": -1, "chroma": 444}),
        ("alpha.heic", "RGBA", np.dstack([rgb, rgb[..., 0]]), {"quality": 80}),
        ("grey.heic", "L", rgb[..., 0].copy(), {"quality": 80}),
    ):
        stream = io.BytesIO()
        file = pillow_heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes())
        file.save(stream, **options)
        found[name] = stream.getvalue()
    found["grid.heic"] = grid()
    chart = mosaic(colour_chart(cells=(2, 3)))
    taken = "2025:07:14 18:30:59", "25"
    for order, name in ("<", "little.dng"), (">", "big.dng"):
        found[name] = dng(chart, taken=taken, orientation=6, order=order)
    return found


def grid():
    """A HEIC of four tiles, as phones write them."""
    import pillow_heif

    stream, pixels = io.BytesIO(), picture((128, 128))
    file = pillow_heif.from_bytes("RGB", (128, 128), pixels.tobytes())
    before, pillow_heif.options.GRID_TILE_SIZE = pillow_heif.options.GRID_TILE_SIZE, 64
    try:
        file.save(stream, quality=90)
    finally:
        pillow_heif.options.GRID_TILE_SIZE = before
    return stream.getvalue()


def cuts(data):
    """The beginnings of a file, at every scale."""
    lengths = {*range(17), *(2**n for n in range(5, 24)), len(data) - 1, len(data) - 2}
    lengths |= {len(data) * n // 16 for n in range(16)}
    return [data[:length] for length in sorted(lengths) if length < len(data)]


def mutate(data, rng):
    """A damaged copy: a few flipped bits, lost, zeroed, doubled or random runs."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        reach = min(len(data), HEADER_BYTES) if rng.random() < 0.7 else len(data)
        place = rng.randrange(max(reach, 1))
        run = slice(place, place + rng.choice((1, 2, 8, 64, 1000)))
        kind = rng.randrange(7)
        if kind <= 1 and data:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[run] = bytes(len(data[run]))
        elif kind == 3:
            data[run] = rng.randbytes(len(data[run]))
        elif kind == 4:
            del data[run]
        elif kind == 5:
            data[place:place] = data[run] * rng.choice((1, 3))
        else:
            order = rng.choice((">H", "<H", ">I", "<I"))
            value = rng.choice(BORDER_VALUES) & (2 ** (8 * struct.calcsize(order)) - 1)
            data[place : place + struct.calcsize(order)] = struct.pack(order, value)
    return bytes(data)


def segment(marker, body):
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with(*segments, progressive=False):
    """A good JPEG with more segments at its beginning."""
    data = saved(Image.fromarray(picture((40, 30))), "JPEG", progressive=progressive)
    return data[:2] + b"".join(segments) + data[2:]


def ifd(*entries, following=0):
    """A big-endian TIFF file of one directory; entries: tag, type, count, value."""
    lines = [struct.pack(">HHII", *entry) for entry in entries]
    head = b"MM\0*" + struct.pack(">IH", 8, len(lines) & 0xFFFF)
    return head + b"".join(lines) + struct.pack(">I", following)


def tiff(width, height, *, bits=8, samples=3, **other):
    """An uncompressed TIFF whose pixels stand at its end; `other`: tag_<n>=value."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 2, 273: 400}
    tags |= {277: samples, 278: height, 279: 3000, 284: 1}
    tags |= {int(name.removeprefix("tag_")): value for name, value in other.items()}
    entries = [(tag, 4, 1, value) for tag, value in sorted(tags.items())]
    return ifd(*entries).ljust(400, b"\0") + bytes(range(250)) * 12


def chunk(kind, body):
    """A PNG chunk."""
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
    )


def with_chunks(data, *chunks):
    """A PNG with more chunks behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def png(width, height, *chunks, pixels=None, bits=8, color=2):
    """A PNG of its header, more chunks and compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    rows = zlib.compress(bytes(1000)) if pixels is None else pixels
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def sized_jpeg(width, height):
    """A JPEG that states another size than its pixels have."""
    data = bytearray(jpeg_with())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def scan_bomb(scans):
    """A progressive JPEG that goes over its picture again and again."""
    data = saved(Image.new("RGB", (400, 300), "olive"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


@cache
def bombs():
    """Name → bytes of files made to cost more than they should."""
    rgb = Image.fromarray(picture((40, 30)))
    exif, icc = b"Exif\0\0", b"ICC_PROFILE\0"
    inflated = zlib.compress(bytes(2**27), 9)  # 128 MiB
    loop = ifd(
        (0x0112, 3, 1, 6 << 16), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), following=8
    )
    crowd = ifd(*((tag, 1, 60_000, 8) for tag in range(5000)))[:65_000]
    profile = bytearray(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    profile[128:132] = b"\xff" * 4  # tags in it
    many_tags = ifd(*((tag, 4, 1, 8) for tag in range(60_000)))
    wide_tags = ifd(*((tag, 1, 2**20, 8) for tag in range(3000))) + bytes(2**20)
    return {
        "declared.png": png(32_000, 31_250),
        "declared.jpg": sized_jpeg(31_000, 32_258),
        "declared.tif": tiff(31_623, 31_623),
        "largest.png": png(2**31 - 1, 2**31 - 1),
        "largest.jpg": sized_jpeg(65_535, 65_535),
        "largest.tif": tiff(2**32 - 1, 2**32 - 1),
        "nothing.png": png(0, 0),
        "nothing.jpg": sized_jpeg(0, 0),
        "nothing.tif": tiff(0, 0),
        "wide.png": saved(Image.new("RGB", (65_535, 1)), "PNG"),
        "high.png": saved(Image.new("RGB", (1, 65_535)), "PNG"),
        "wide.jpg": saved(Image.new("RGB", (65_500, 1)), "JPEG"),
        "high.tif": saved(Image.new("RGB", (1, 65_535)), "TIFF"),
        "pixel.png": saved(Image.new("RGB", (1, 1)), "PNG"),
        "pixel.jpg": saved(Image.new("L", (1, 1)), "JPEG"),
        "pixel.tif": saved(Image.new("RGB", (1, 1)), "TIFF"),
        "inflating.png": png(10, 10, pixels=inflated),
        "comment.png": png(10, 10, chunk(b"zTXt", b"a\0\0" + inflated)),
        "text.png": png(10, 10, chunk(b"iTXt", b"a\0\1\0\0\0" + inflated)),
        "profile.png": png(10, 10, chunk(b"iCCP", b"a\0\0" + inflated)),
        "chunks.png": png(10, 10, chunk(b"tEXt", b"a\0b") * 300_000),
        "frames.png": png(10, 10, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        "no_palette.png": png(10, 10, color=3),
        "odd_depth.png": png(10, 10, bits=7),
        "scans.jpg": scan_bomb(2000),
        "loop.jpg": jpeg_with(segment(0xE1, exif + loop)),
        "crowd.jpg": jpeg_with(segment(0xE1, exif + crowd)),
        "exif_parts.jpg": jpeg_with(segment(0xE1, exif + bytes(65_000)) * 150),
        "exif_many.jpg": jpeg_with(segment(0xE1, exif + bytes(65_000)) * 500),
        "xmp.jpg": jpeg_with(
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0".ljust(65_000, b"<")) * 200
        ),
        "icc_noise.jpg": saved(rgb, "JPEG", icc_profile=b"\xa5" * 3000),
        "icc_tags.jpg": saved(rgb, "JPEG", icc_profile=bytes(profile)),
        "icc_grey.png": saved(rgb, "PNG", icc_profile=bytes(profile[:128])),
        "icc_parts.jpg": jpeg_with(
            segment(0xE2, icc + b"\1\xff" + bytes(60_000)) * 255
        ),
        "mpf.jpg": jpeg_with(segment(0xE2, b"MPF\0" + loop)),
        "psd.jpg": jpeg_with(segment(0xED, b"Photoshop 3.0\x008BIM" + b"\xff" * 99)),
        "stray.jpg": b"\xff\xd8\xff" + bytes(2**22),
        "trailing.jpg": jpeg_with() + bytes(2**22),
        "loop.tif": loop,
        "many_tags.tif": many_tags,
        "wide_tags.tif": wide_tags,
        "next_page.tif": tiff(30, 30)[:130] + struct.pack(">I", 8) * 100,
        "no_strips.tif": tiff(30, 30, tag_273=2**32 - 1),
        "no_rows.tif": tiff(30, 30, tag_278=0),
        "samples.tif": tiff(30, 30, samples=65_535),
        "bits.tif": tiff(30, 30, bits=64),
        "squeezed.tif": tiff(30, 30, tag_259=34_887),
        "faxed.tif": tiff(30, 30, tag_259=4, bits=1, samples=1),
        "tiled.tif": tiff(30, 30, tag_322=2**31, tag_323=2**31, tag_324=8, tag_325=9),
        "float.tif": saved(Image.new("F", (30, 30), 1e30), "TIFF"),
        "long.tif": saved(Image.new("I", (30, 30), 2**31 - 1), "TIFF"),
        "bigtiff.tif": b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 2**63) + bytes(99),
    }


def described_text():
    """A PNG with a megabyte of text, as a bomb of many small parts."""
    text = PngImagePlugin.PngInfo()
    for number in range(100):
        text.add_text(f"key {number}", "x" * 10_000, zip=True)
    return saved(Image.fromarray(picture((40, 30))), "PNG", pnginfo=text)


def damaged(rng, *, mutated):
    """(name, bytes) of cut files, wrong names, bombs and `mutated` mutations."""
    good = seeds()
    for name, data in good.items():
        yield from ((f"cut-{len(part)}-{name}", part) for part in cuts(data))
        for suffix in ("jpg", "png", "tif"):
            yield f"as-{name}.{suffix}", data
    yield from ((f"{name}.jpg", data) for name, data in ALIEN.items())
    yield from bombs().items()
    yield "texts.png", described_text()
    names = list(good)
    for number in range(mutated):
        name = rng.choice(names)
        yield f"mutated-{number}-{name}", mutate(good[name], rng)


def plant(folder):
    """Things called like photos that are none; returns their names."""
    there = set(folder.iterdir())
    (folder / "directory.jpg").mkdir()
    os.mkfifo(folder / "fifo.jpg")
    for name, target in (
        ("dangling.jpg", "nowhere.jpg"),
        ("itself.jpg", "itself.jpg"),
        ("round.jpg", "about.jpg"),
        ("about.jpg", "round.jpg"),
        ("device.jpg", "/dev/zero"),
        ("parent.jpg", ".."),
        ("long.jpg", "x" * 300),
    ):
        (folder / name).symlink_to(target)
    endless = folder / "endless.jpg"
    endless.write_bytes(b"\xff\xd8\xff")
    os.truncate(endless, 2**33)  # bytes, none of them on the disk
    return sorted(path.name for path in set(folder.iterdir()) - there)
