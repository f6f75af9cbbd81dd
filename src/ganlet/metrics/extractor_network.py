"""The `ganlet` feature extractor: a small residual network for pictures of 32 x 32, trained by
`scripts/train_extractor.py` and shipped with the package.
"""

from __future__ import annotations

import torch
from torch import nn

CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
# What the classes are: one softmax over everything that the network was trained to tell apart.
CLASSES = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "fashion-mnist": CLOTHES,
    "mnist": tuple("0123456789"),
    "smileys": ("smile", "neutral", "sad", "surprised", "laughing"),
}
NUM_CLASSES = sum(len(names) for names in CLASSES.values())
SIZE = 32  # height and width of what it sees
NUM_FEATURES = 192


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(x + self.second_norm(self.second(hidden)))


def _down(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class ExtractorNetwork(nn.Module):
    """Images (N, 3, 32, 32) in [-1, 1] -> features (N, 192), the spatial means of the last layer; and logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _down(3, 32, stride=1),
            _down(32, 64),
            _Block(64),
            _down(64, 128),
            _Block(128),
            _Block(128),
            _down(128, NUM_FEATURES),
            _Block(NUM_FEATURES),
        )
        self.head = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, 192) and logits (N, NUM_CLASSES) over the names in `CLASSES`, in order."""
        features = self.body(images).mean((2, 3))
        return features, self.head(features)
