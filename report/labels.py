"""What codes and options mean, in words, and numbers as people read them."""

PAIR_REASONS = {
    "unreadable": "the file cannot be read as a photo",
    "truncated": "the file ends too early",
    "too_large": "more pixels than the limit",
    "no_partner": "no photo of the other camera has the same name",
    "ambiguous_partner": "several photos of one camera share the name",
    "too_few_matches": "too little common detail",
    "too_few_inliers": "the common detail does not fit one view",
    "implausible_homography": "the fit is not one of two cameras side by side",
    "small_overlap": "too little of the scene is in both photos",
    "worker_lost": "the process that worked on it was killed, twice",
}
WINDOW_REASONS = {
    "low_ncc": "correlation below the threshold",
    "flat": "too little texture to correlate",
    "uncertain": "the texture does not determine the shift",
    "depth_edge": "parts of the window move differently",
    "shift_limit": "would have to move further than allowed",
    "outside": "partly outside the DSLR photo",
    "soft_target": "the DSLR shows less fine detail than asked for",
    "color_misfit": "the colours differ by more than allowed",
    "clipped": "more clipped pixels than allowed",
    "surplus": "beyond --max-per-photo",
    "excluded": "taken out by exclude.csv",
}
MEASURES = {
    "ncc": "NCC",
    "shift_length_px": "shift, phone px",
    "rotation_deg": "rotation, degrees",
    "sigma_px": "stated uncertainty, phone px",
    "depth_px": "worst part against the whole, phone px",
    "sharpness_ratio": "detail, DSLR over phone",
    "color_fit_psnr": "agreement after a colour fit, dB",
    "clipped_phone": "clipped pixels, phone, share",
    "clipped_dslr": "clipped pixels, DSLR, share",
}
OPTIONS = {
    "--max-sigma": "uncertainty, px, at most",
    "--max-depth": "depth within the window, px, at most",
    "--min-sharpness-ratio": "DSLR detail over the phone's, at least",
    "--min-color-fit": "agreement in colour, dB, at least",
    "--max-clipped": "share of clipped pixels, at most",
    "--max-per-photo": "patches of one photo, at most",
}


def reason_text(reason: str) -> str:
    """What a reason code means; the code itself where it is not known."""
    known = PAIR_REASONS | WINDOW_REASONS
    return known.get(reason, reason.replace("_", " "))
