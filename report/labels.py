"""What codes and options mean, in words, and numbers as people read them."""

PAIR_REASONS = {
    "unreadable": "the file cannot be read as a photo",
    "truncated": "the file is cut short",
    "too_large": "more pixels than the limit",
    "no_partner": "no photo of the other camera has the same name",
    "ambiguous_partner": "several photos of one camera share the name",
    "too_few_matches": "too little common detail",
    "too_few_inliers": "the matches do not fit one homography",
    "implausible_homography": "implausible for two cameras side by side",
    "small_overlap": "too little of the scene is in both photos",
    "worker_lost": "its worker process was killed twice",
}
WINDOW_REASONS = {
    "low_ncc": "correlation below the threshold",
    "flat": "too little texture to correlate",
    "uncertain": "the texture does not determine the shift",
    "depth_edge": "parts of the window move differently",
    "low_valid": "too few pixels show the same in both photos",
    "shift_limit": "would have to move beyond the search limit",
    "outside": "partly outside the DSLR photo",
    "soft_target": "the DSLR shows less fine detail than required",
    "color_misfit": "the colours differ by more than allowed",
    "clipped": "more clipped pixels than allowed",
    "surplus": "beyond --max-per-photo",
    "excluded": "excluded by exclude.csv",
}
MEASURES = {
    "ncc": "NCC",
    "shift_length_px": "shift, phone px",
    "rotation_deg": "rotation, degrees",
    "sigma_px": "stated uncertainty, phone px",
    "depth_px": "worst part against the whole window, phone px",
    "sharpness_ratio": "fine detail, DSLR / phone",
    "color_fit_psnr": "PSNR after a colour fit, dB",
    "clipped_phone": "share of clipped pixels, phone",
    "clipped_dslr": "share of clipped pixels, DSLR",
}
OPTIONS = {
    "--max-sigma": "largest uncertainty, px",
    "--max-depth": "largest depth within the window, px",
    "--min-valid": "smallest share of valid pixels",
    "--min-sharpness-ratio": "least fine detail, DSLR / phone",
    "--min-color-fit": "lowest PSNR after a colour fit, dB",
    "--max-clipped": "largest share of clipped pixels",
    "--max-per-photo": "most patches per photo",
}


def reason_text(reason: str) -> str:
    """What a reason code means; the code itself where it is not known."""
    known = PAIR_REASONS | WINDOW_REASONS
    return known.get(reason, reason.replace("_", " "))
