"""The network: a U-Net that draws lung and lesion, and a head that turns the drawing into evidence.

Input `window`: (batch, 3, 256, 256), the slab below, the slab itself and the slab above, each
(clamp(HU, -1150, 150) + 1150) / 1300, rows anterior to posterior, columns right to left, 1.5 mm pixels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 96, 128)
PIXEL_CM2 = 0.15 * 0.15
RELU_GAIN = 1.7139588594436646
MASKS = ("lung", "lesion")


class ConvUnit(nn.Module):
    """3x3 convolution with standardised weights, then ReLU.

    Standardised weights keep the activations' variance without batch norm: cheaper on a CPU, the same in training
    and inference, and nothing is left of it after `folded_weight`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        # The scale has no effect on the output; it sets how far one step of the optimiser turns the weights.
        self.weight = nn.Parameter(0.08 * torch.randn(outputs, inputs, 3, 3))
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def folded_weight(self) -> torch.Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        fan_in = self.weight[0].numel()
        return (self.weight - mean) * torch.rsqrt(variance * fan_in + 1e-6) * (self.gain * RELU_GAIN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.conv2d(x, self.folded_weight(), self.bias, self.stride, 1))


class SegmentationNet(nn.Module):
    """U-Net with additive skips that works at 3 mm and coarser and draws at 1.5 mm.

    The first convolution halves the resolution; the last gives each 3 mm cell its four pixels of each mask.
    Returns logits (batch, 2, 256, 256): lung, lesion of the centre slab.
    """

    def __init__(self):
        super().__init__()
        self.stem = ConvUnit(3, WIDTHS[0], stride=2)
        pairs = list(zip(WIDTHS[:-1], WIDTHS[1:]))
        self.down = nn.ModuleList(
            nn.ModuleList([ConvUnit(finer, here, stride=2), ConvUnit(here, here)]) for finer, here in pairs
        )
        self.project = nn.ModuleList(nn.Conv2d(here, finer, 1) for finer, here in pairs)
        self.merge = nn.ModuleList(ConvUnit(finer, finer) for finer, _ in pairs)
        self.heads = nn.Conv2d(WIDTHS[0], 4 * len(MASKS), 1)
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.constant_(self.heads.bias, -2.0)

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        x = self.stem(window)
        skips = []
        for step_down, refine in self.down:
            skips.append(x)
            x = refine(step_down(x))
        for level in reversed(range(len(self.down))):
            x = F.interpolate(self.project[level](x), scale_factor=2, mode="nearest")
            x = self.merge[level](x + skips[level])
        return F.pixel_shuffle(self.heads(x), 2)


class EvidenceHead(nn.Module):
    """Attention and logit of one slab from the soft areas of its masks.

    With A the lung area and L the lesion area inside the lung (cm2, probabilities below `FLOOR` count
    nothing, so that faint doubt over a whole lung does not add up to a lesion):

        extent    = log((L + 0.01 A + 0.1) / (A + 10))        grows with the share of lung that is ill
        attention = ATTENTION_AREA * log(A + 0.01)
        logit     = gain * (extent + offset)

    These are for programs that know no `[case.lesions]`: with that table in model.toml Tableside makes both of the masks
    themselves, within the body and against the lung around (fold.py). `gain` and `offset` are the same.
    """

    FLOOR = 0.3
    ATTENTION_AREA = 1.5
    SHARE_FLOOR = 0.01
    AREA_FLOOR_CM2 = 0.1
    LUNG_FLOOR_CM2 = 10.0
    NO_LUNG_CM2 = 0.01

    def __init__(self, gain: float = 2.0, offset: float = 3.5):
        super().__init__()
        self.register_buffer("gain", torch.tensor(float(gain)))
        self.register_buffer("offset", torch.tensor(float(offset)))

    @classmethod
    def areas_cm2(cls, lung: torch.Tensor, lesion: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Soft lung area and soft lesion area inside the lung, each (batch, 1)."""
        scale = PIXEL_CM2 / (1.0 - cls.FLOOR)
        lung_area = F.relu(lung - cls.FLOOR).sum(dim=(2, 3)) * scale
        lesion_area = (F.relu(lesion - cls.FLOOR) * lung).sum(dim=(2, 3)) * scale
        return lung_area, lesion_area

    @classmethod
    def extent(cls, lung_area: torch.Tensor, lesion_area: torch.Tensor) -> torch.Tensor:
        ill = lesion_area + cls.SHARE_FLOOR * lung_area + cls.AREA_FLOOR_CM2
        return torch.log(ill / (lung_area + cls.LUNG_FLOOR_CM2))

    def forward(self, lung: torch.Tensor, lesion: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lung_area, lesion_area = self.areas_cm2(lung, lesion)
        attention = self.ATTENTION_AREA * torch.log(lung_area + self.NO_LUNG_CM2)
        return attention, self.gain * (self.extent(lung_area, lesion_area) + self.offset)


class ReferenceModel(nn.Module):
    """What the model package holds: window in; lung, lesion, attention and logit out."""

    def __init__(self, segmentation: SegmentationNet, head: EvidenceHead):
        super().__init__()
        self.segmentation = segmentation
        self.head = head

    def forward(self, window: torch.Tensor):
        lung, lesion = torch.sigmoid(self.segmentation(window)).split(1, dim=1)
        attention, logit = self.head(lung, lesion)
        return lung, lesion, attention, logit
