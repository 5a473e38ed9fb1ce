"""The presets of `--preset`: network, loss and schedule of a published result.

A preset is data. A new one is an entry of `PRESETS`; what it does not name is as in
`released`, the settings that the published DPED models come from.
"""

from dataclasses import dataclass

# The original code has no weight for a plain squared error. With this one it counts per
# squared difference as the released colour loss does (0.5 times the sum over a
# 100 x 100 x 3 patch, halved), so texture and TV keep their place beside it.
MSE_PER_COLOR_WEIGHT = 100 * 100 * 3 / 2


@dataclass(frozen=True)
class Preset:
    """The settings that a preset decides unless the user does (the original code)."""

    model: str = "dped"
    loss: str = "color+content+texture"
    content_weight: float = 10.0
    color_weight: float = 0.5
    texture_weight: float = 1.0
    tv_weight: float = 2000.0
    mse_weight: float = 0.5 * MSE_PER_COLOR_WEIGHT
    iterations: int = 20_000
    batch_size: int = 50
    learning_rate: float = 5e-4
    pretrain_discriminator: int = 0
    log_every: int = 1000


PRESETS = {
    "released": Preset(),
    # Ignatov et al., ICCV 2017, equation 8; section 3.1.2 has the discriminator trained
    # beforehand and leaves open for how long.
    "paper": Preset(
        content_weight=1.0,
        color_weight=0.1,
        texture_weight=0.4,
        tv_weight=400.0,
        mse_weight=0.1 * MSE_PER_COLOR_WEIGHT,
        pretrain_discriminator=1000,
    ),
    # the two networks that DPED's Table 2 compares with
    "johnson": Preset(model="johnson", loss="content"),
    "srcnn": Preset(model="srcnn", loss="mse"),
    # de Stoutz et al., ECCV Workshops 2018: the third line of Table 2
    "fast": Preset(model="fast", iterations=40_000),
    # a student reproduction of DPED on one small GPU
    "reproduction": Preset(iterations=1000, batch_size=32, log_every=200),
}
