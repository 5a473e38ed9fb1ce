"""What the original training step started from."""

import cv2
import numpy as np
import torch

from dped_build.train.discriminator import Discriminator
from dped_build.train.tensorflow_checkpoint import discriminator_state

START = 0.01  # sigma of the weights before training, and every bias


def real_patches(folder, camera, indices):
    """Real DPED patches by number, (B, 3, 100, 100) in [0, 1]."""
    files = [folder / "dped" / "patches" / camera / f"{index}.jpg" for index in indices]
    pixels = [cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB) for f in files]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255


def first_discriminator(shared_data, generator_variables):
    """The discriminator that the reference step started from, drawn again."""
    shapes = np.load(shared_data / "oracle" / "discriminator" / "disc_weights.npz")
    random = np.random.RandomState(3)  # as the reference drew

    def kernel(shape):
        values = random.randn(*shape)
        while (beyond := np.abs(values) > 2).any():
            values[beyond] = random.randn(beyond.sum())
        return values * START

    for value in generator_variables.values():
        if value.ndim > 1:
            kernel(value.shape)  # the generator's were drawn first
    variables = {}
    for number, (name, value) in enumerate(shapes.items()):
        in_norm_layer = (number - 2) % 4 if 2 <= number < 18 else 0
        start = {2: 0.0, 3: 1.0}.get(in_norm_layer, START)  # shift, scale, bias
        drawn = value.ndim > 1
        variables[name] = kernel(value.shape) if drawn else np.full(value.shape, start)
    discriminator = Discriminator()
    discriminator.load_state_dict(discriminator_state(variables))
    return discriminator
