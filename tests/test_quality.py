"""The figures of a patch pair against their definitions."""

import tracemalloc

import cv2
import numpy as np
import pytest

from dped_build.patches.quality import (
    clipped_share,
    color_fit_psnr,
    deviations,
    lumas,
    normalised_cross_correlation,
    quality_columns,
    sharpness_ratio,
)

COUNT, SIZE = 4, 40
pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(scope="module")
def patches(textured):
    """(N, S, S, 3) u8 out of one picture."""
    picture = textured(5, (COUNT * SIZE, SIZE))
    return np.stack(np.split(picture, COUNT, axis=1))


def test_lumas_are_opencvs_to_the_last_bit():
    rng = np.random.default_rng(0)
    random = rng.integers(0, 256, (3, 37, 37, 3), dtype=np.uint8)
    for patch, luma in zip(random, lumas(random), strict=True):
        np.testing.assert_array_equal(luma, cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY))


def test_no_patches_have_no_lumas():
    assert lumas(np.zeros((0, 20, 20, 3), np.uint8)).shape == (0, 20, 20)


def test_ncc_is_the_correlation_coefficient(patches):
    rng = np.random.default_rng(1)
    other = np.clip(patches + rng.normal(0, 30, patches.shape), 0, 255)
    one, other = lumas(patches), lumas(other.astype(np.uint8))
    expected = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(one.astype(float), other.astype(float), strict=True)
    ]
    found = normalised_cross_correlation(one, other)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.max() < 0.95


def test_ncc_knows_neither_gain_nor_offset_but_the_sign(patches):
    one = lumas(patches) // 4
    np.testing.assert_allclose(normalised_cross_correlation(one, 2 * one + 30), 1)
    np.testing.assert_allclose(normalised_cross_correlation(one, 200 - one), -1)


def test_a_flat_patch_has_no_ncc_on_either_side(patches):
    one = lumas(patches)
    flat = np.full_like(one, 250)
    assert np.isnan(normalised_cross_correlation(flat, one)).all()
    assert np.isnan(normalised_cross_correlation(one, flat)).all()


def test_the_ncc_of_a_patch_with_itself_is_exactly_one(patches):
    one = lumas(patches)
    np.testing.assert_array_equal(normalised_cross_correlation(one, one), 1)


def test_one_pixel_one_level_off_flat_still_has_an_ncc():
    one = np.full((1, 1024, 1024), 255, np.uint8)
    one[0, 5, 7] = 254
    np.testing.assert_allclose(normalised_cross_correlation(one, 255 - one), -1)
    np.testing.assert_allclose(deviations(one), np.sqrt(2**20 - 1) / 2**20, rtol=1e-12)


def test_deviations_are_those_of_each_patch():
    luma = np.zeros((2, 10, 10), np.uint8)
    luma[1, :5] = 6
    np.testing.assert_allclose(deviations(luma), [0, 3])


def test_an_exact_colour_cast_is_fitted_away(patches):
    cast = np.array([[0.6, 0.1, 0.05], [0.1, 0.5, 0.1], [0.0, 0.2, 0.4]])
    target = np.rint(patches @ cast.T + (20, 10, 30)).astype(np.uint8)
    raw = 10 * np.log10(255**2 / ((patches - target.astype(float)) ** 2).mean())
    assert raw < 20
    assert (color_fit_psnr(patches, target) > 50).all()


def looks(patches):
    """Pairs of patches (phone, DSLR) on which a fit from moments may go wrong."""
    rng = np.random.default_rng(3)
    noisy = np.clip(patches + rng.normal(0, 9, patches.shape), 0, 255).astype(np.uint8)
    grey = np.repeat(lumas(patches)[..., None], 3, axis=-1)
    one_pixel_off = grey.copy()
    one_pixel_off[:, 3, 4, 0] ^= 1
    return {
        "noisy": (patches, noisy),
        "identical": (patches, patches),
        "clipped": (np.clip(patches, 90, 150), np.where(noisy > 128, 255, noisy)),
        "two-valued": (np.where(patches > 128, 255, 0), noisy),
        "grey": (grey, noisy),
        "almost grey": (one_pixel_off, noisy),
        "channel constant": (patches * (1, 0, 1), noisy),
        "phone constant": (np.full_like(patches, 77), noisy),
        "dslr constant": (noisy, np.full_like(patches, 255)),
    }


def fitted_psnr(phone, dslr):
    """The definition, by least squares on every pixel of one pair."""
    given = np.column_stack([phone.reshape(-1, 3) / 255, np.ones(phone[..., 0].size)])
    wanted = dslr.reshape(-1, 3) / 255
    fit, *_ = np.linalg.lstsq(given, wanted, rcond=None)
    error = ((given @ fit - wanted) ** 2).mean()
    return -10 * np.log10(max(error, 1e-10))


def test_colour_fits_are_those_of_least_squares(patches):
    for look, (phone, dslr) in looks(patches).items():
        phone, dslr = phone.astype(np.uint8), dslr.astype(np.uint8)
        expected = [fitted_psnr(a, b) for a, b in zip(phone, dslr, strict=True)]
        found = color_fit_psnr(phone, dslr)
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=look)


def test_colour_fits_of_real_patches_are_those_of_least_squares(shared_data):
    folders = [shared_data / "dped" / "patches" / x for x in ("iphone", "canon")]
    names = sorted(x.name for x in folders[0].glob("*.jpg"))[::8]
    phone, dslr = (
        np.stack([cv2.imread(str(x / name)) for name in names]) for x in folders
    )
    expected = [fitted_psnr(a, b) for a, b in zip(phone, dslr, strict=True)]
    np.testing.assert_allclose(color_fit_psnr(phone, dslr), expected, atol=1e-6)


def test_what_no_colour_fit_explains_is_left(patches):
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 10, patches.shape)
    target = np.clip(np.rint(100 + 0.2 * patches + noise), 0, 255).astype(np.uint8)
    expected = 20 * np.log10(255 / 10)
    np.testing.assert_allclose(color_fit_psnr(patches, target), expected, atol=0.3)


def test_patches_of_one_colour_are_fitted_too():
    red, blue = (np.full((1, SIZE, SIZE, 3), c, np.uint8) for c in ((200, 9, 9), 40))
    assert color_fit_psnr(red, blue)[0] > 50


def test_one_level_at_one_pixel_of_the_largest_patch_is_still_a_colour():
    grey = np.arange(1024, dtype=np.uint32) * np.arange(1024)[:, None] % 251
    phone = np.repeat(grey.astype(np.uint8)[None, ..., None], 3, axis=-1)
    dslr = np.full_like(phone, 100)
    dslr[0, 5, 7] = 255
    assert color_fit_psnr(phone, dslr)[0] < 70
    phone[0, 5, 7, 0] ^= 1
    assert color_fit_psnr(phone, dslr)[0] == 100


def test_a_blurred_copy_is_less_sharp(patches):
    luma = lumas(patches)
    blurred = np.stack([cv2.GaussianBlur(x, (0, 0), 1.5) for x in luma])
    assert (sharpness_ratio(luma, blurred) < 0.7).all()
    assert (sharpness_ratio(blurred, luma) > 1.4).all()
    np.testing.assert_allclose(sharpness_ratio(luma, luma), 1)


def test_contrast_alone_is_not_sharpness(patches):
    luma = lumas(patches)
    weaker = (64 + luma // 2).astype(np.uint8)
    np.testing.assert_allclose(sharpness_ratio(luma, weaker), 1, atol=0.02)


def test_sharpness_of_a_flat_patch_is_not_stated(patches):
    luma = lumas(patches)
    assert np.isnan(sharpness_ratio(np.full_like(luma, 9), luma)).all()


def test_a_pixel_is_clipped_by_any_channel_at_either_end():
    patch = np.full((2, 10, 10, 3), 128, np.uint8)
    patch[0, 0, :4] = (255, 128, 128)
    patch[0, 1, :3] = (128, 128, 0)
    patch[0, 2, :2] = (250, 250, 5)  # bright and dark, not clipped
    np.testing.assert_allclose(clipped_share(patch), [0.07, 0])


def every_figure(phone, dslr):
    """All figures of the pairs, (6, N)."""
    one, other = lumas(phone), lumas(dslr)
    return np.array(
        [
            deviations(one),
            normalised_cross_correlation(one, other),
            sharpness_ratio(one, other),
            color_fit_psnr(phone, dslr),
            clipped_share(phone),
            clipped_share(dslr),
        ]
    )


def test_no_figure_depends_on_the_other_patches_by_a_bit(patches):
    dslr = patches[::-1]
    chosen = [2, 0]
    together = every_figure(patches, dslr)
    apart = every_figure(patches[chosen], dslr[chosen])
    np.testing.assert_array_equal(together[:, chosen], apart)


def test_figures_take_windows_that_are_views_of_a_photo(patches):
    framed = np.pad(patches, [(0, 0), (3, 4), (5, 2), (0, 0)])
    views = framed[:, 3:-4, 5:-2]
    assert not views.flags.c_contiguous
    np.testing.assert_array_equal(
        every_figure(views, patches[::-1]), every_figure(patches, patches[::-1])
    )


def test_no_patches_have_no_figures():
    nothing = np.zeros((0, SIZE, SIZE, 3), np.uint8)
    assert every_figure(nothing, nothing).shape == (6, 0)


def test_memory_does_not_grow_with_the_number_of_patches(patches):
    many = np.tile(patches, (800, 1, 1, 1))
    one, other = lumas(many), lumas(many)[::-1]
    measures = [
        lambda: deviations(one),
        lambda: normalised_cross_correlation(one, other),
        lambda: sharpness_ratio(one, other),
        lambda: color_fit_psnr(many, many[::-1]),
        lambda: clipped_share(many),
    ]
    for measure in measures:
        tracemalloc.start()
        measure()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < many.size / 2


def figures(phone, dslr, valid):
    """Every measure of patches, (figures, N)."""
    one, other = lumas(phone), lumas(dslr)
    return np.array(
        [
            deviations(one, valid),
            normalised_cross_correlation(one, other, valid),
            sharpness_ratio(one, other, valid),
            color_fit_psnr(phone, dslr, valid),
            clipped_share(phone, valid),
            clipped_share(dslr, valid),
        ]
    )


@pytest.fixture
def masked():
    """Two sides of four noisy patches of 40 px, and masks: bands, holes, a corner."""
    rng = np.random.default_rng(5)
    phone = rng.integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
    dslr = np.clip(0.7 * phone + rng.normal(20, 20, phone.shape), 0, 255)
    valid = np.ones((4, 40, 40), bool)
    valid[0, :, 25:] = valid[1, 5:9, 30] = valid[2, :20, :20] = False
    valid[3, ::7, ::7] = False
    return phone, dslr.astype(np.uint8), valid


def test_masks_of_ones_change_no_bit(masked):
    phone, dslr, valid = masked
    whole = figures(phone, dslr, np.ones_like(valid))
    assert whole.tobytes() == figures(phone, dslr, None).tobytes()


def test_what_is_masked_has_no_say(masked):
    phone, dslr, valid = masked
    before = figures(phone, dslr, valid)
    rng = np.random.default_rng(6)
    for side in (phone, dslr):
        side[~valid] = rng.integers(0, 256, side[~valid].shape)
    assert figures(phone, dslr, valid).tobytes() == before.tobytes()
    assert not np.array_equal(figures(phone, dslr, None), before, equal_nan=True)


def test_figures_are_those_of_the_valid_pixels(masked):
    phone, dslr, valid = masked
    deviation, ncc, _, fit, clipped, _ = figures(phone, dslr, valid)
    for at, mask in enumerate(valid):
        one, other = phone[at][mask].astype(float), dslr[at][mask].astype(float)
        greys = [lumas(side[at : at + 1])[0][mask] for side in (phone, dslr)]
        assert deviation[at] == pytest.approx(greys[0].std(), rel=1e-12)
        assert ncc[at] == pytest.approx(np.corrcoef(*greys)[0, 1], rel=1e-12)
        outside = (one < 2) | (one > 253)
        assert clipped[at] == pytest.approx(outside.any(axis=1).mean(), rel=1e-12)
        known = np.column_stack([one, np.ones(len(one))])
        left = known @ np.linalg.lstsq(known, other)[0] - other
        psnr = -10 * np.log10(np.mean(left**2) / 255**2)
        assert fit[at] == pytest.approx(psnr, abs=1e-6)


def test_detail_of_a_half_is_that_of_the_half(masked):
    """Up to the seam: detail within 6 px of what is masked does not count."""
    phone, dslr, _ = masked
    one, other = lumas(phone), lumas(dslr)
    valid = np.ones(one.shape, bool)
    valid[:, :, 20:] = False
    inner = np.s_[:, :, :14]
    fine = [g - cv2.GaussianBlur(g, (0, 0), 1.5) for g in np.float32([*one, *other])]
    detail = np.reshape(fine, (2, *one.shape))[0:, inner[0], inner[1], inner[2]]
    spread = detail.std(axis=(2, 3))
    contrast = np.std([one[:, :, :20], other[:, :, :20]], axis=(2, 3), dtype=float)
    expected = (spread[1] / contrast[1]) / (spread[0] / contrast[0])
    found = sharpness_ratio(one, other, valid)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_valid_pixel_gives_no_figure_and_thin_ones_no_detail(masked):
    phone, dslr, valid = masked
    assert np.isnan(figures(phone, dslr, np.zeros_like(valid))).all()
    thin = np.zeros_like(valid)
    thin[:, :, 3:15] = True  # 12 px, detail needs 13
    found = figures(phone, dslr, thin)
    assert np.isnan(found[2]).all()
    assert np.isfinite(found[[0, 1, 3, 4, 5]]).all()


@pytest.mark.parametrize("way", ["compiled"], indirect=True)
@pytest.mark.parametrize("side", [20, 100])
def test_both_ways_give_the_same_columns(way, nothing_compiled, side):
    rng = np.random.default_rng(7)
    phone = rng.integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    dslr = np.clip(0.7 * phone + rng.normal(20, 20, phone.shape), 0, 255)
    valid = rng.random((3, side, side)) < [[[1]], [[0.999]], [[0]]]
    found = quality_columns(phone, dslr.astype(np.uint8), valid)
    nothing_compiled()
    expected = quality_columns(phone, dslr.astype(np.uint8), valid)
    sharpness = expected.pop("sharpness_ratio")
    np.testing.assert_allclose(found.pop("sharpness_ratio"), sharpness, rtol=1e-6)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
