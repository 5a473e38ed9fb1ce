"""The discriminator of the texture loss, as in the original code."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dped_build.train.layers import Convolution, InstanceNorm

LEAK = 0.2
LUMA = (0.2989, 0.5870, 0.1140)
PATCH = 100  # px, the side of the patches that the discriminator reads
# channels, kernel, stride
DISCRIMINATOR_LAYERS = (48, 11, 4), (128, 5, 2), (192, 3, 1), (192, 3, 1), (128, 3, 2)


class Discriminator(nn.Module):
    """Tell DSLR patches from enhanced ones by their luma; 7,361,122 parameters."""

    luma: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("luma", torch.tensor(LUMA).view(3, 1, 1), persistent=False)
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        inputs, size = 1, PATCH
        for outputs, kernel, stride in DISCRIMINATOR_LAYERS:
            smaller = -(-size // stride)
            zeros = (smaller - 1) * stride + kernel - size  # TensorFlow's SAME
            padding = zeros // 2, zeros - zeros // 2
            self.convolutions.append(
                Convolution(inputs, outputs, kernel, stride=stride, padding=padding)
            )
            self.norms.append(InstanceNorm(outputs) if inputs > 1 else nn.Identity())
            inputs, size = outputs, smaller
        self.hidden = nn.Linear(inputs * size**2, 1024)
        self.logits = nn.Linear(1024, 2)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits (B, 2) of (B, 3, 100, 100) RGB in [0, 1]; column 0 is "DSLR"."""
        if patches.shape[1:] != (3, PATCH, PATCH):
            raise ValueError(f"patches {tuple(patches.shape)} are not (B, 3, 100, 100)")
        features = (patches * self.luma).sum(dim=1, keepdim=True)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            features = norm(F.leaky_relu(convolution(features), LEAK))
        flat = features.permute(0, 2, 3, 1).flatten(1)  # rows, columns, channels
        return cast("Tensor", self.logits(F.leaky_relu(self.hidden(flat), LEAK)))
