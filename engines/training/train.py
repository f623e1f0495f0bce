"""Trains the segmentation and keeps an average of its weights.

    python train.py                                       all volumes, writes runs/final.pt
    python train.py --leave-out medseg-4 --name fold4     a fold, scored on what was left out
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from data import Batches
from network import SegmentationNet
from volumes import Volume, load_volumes

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parents[2] / "shared/data"
STEPS = 2200
BATCH = 8
FIRST_SEED = 1
PEAK_RATE = 2e-3
WARM_UP_STEPS = 60
AVERAGE_DECAY = 0.995
LESION_POSITIVE_WEIGHT = 2.0
MISSED_SHARE = 0.6  # Tversky: weight of missed against invented lesion


def overlap_loss(probability, truth, known, missed_share: float) -> torch.Tensor:
    """1 - Tversky index over the batch."""
    hit = (probability * truth * known).sum()
    missed = ((1 - probability) * truth * known).sum()
    invented = (probability * (1 - truth) * known).sum()
    return 1 - (hit + 50) / (hit + missed_share * missed + (1 - missed_share) * invented + 50)


def segmentation_loss(logits, masks, known) -> torch.Tensor:
    lung, lesion = masks[:, :1], masks[:, 1:]
    lung_known, lesion_known = known[:, :1], known[:, 1:]
    lung_logit, lesion_logit = logits[:, :1], logits[:, 1:]
    lung_entropy = (F.binary_cross_entropy_with_logits(lung_logit, lung, reduction="none") * lung_known).mean()
    positive_weight = torch.tensor(LESION_POSITIVE_WEIGHT, device=logits.device)
    lesion_entropy = F.binary_cross_entropy_with_logits(
        lesion_logit, lesion, reduction="none", pos_weight=positive_weight
    )
    lesion_entropy = (lesion_entropy * lesion_known).sum() / (lung.sum() + 1000.0 * len(lung))
    return (
        2 * lung_entropy
        + 0.5 * overlap_loss(lung_logit.sigmoid(), lung, lung_known, 0.5)
        + lesion_entropy
        + overlap_loss(lesion_logit.sigmoid(), lesion, lesion_known, MISSED_SHARE)
    )


def learning_rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return PEAK_RATE * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def update_average(average: SegmentationNet, net: SegmentationNet, step: int) -> None:
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    for kept, now in zip(average.parameters(), net.parameters()):
        kept.lerp_(now, 1 - decay)


def train(volumes: list[Volume], steps: int, batch: int, seed: int, save_to: Path) -> SegmentationNet:
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = SegmentationNet().to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(net)
    weights = [p for p in net.parameters() if p.ndim == 4 and p.numel() > p.shape[0]]
    others = [p for p in net.parameters() if not (p.ndim == 4 and p.numel() > p.shape[0])]
    optimiser = torch.optim.AdamW([{"params": weights, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}])
    workers = 1 if torch.get_num_threads() > 1 else 0
    loader = torch.utils.data.DataLoader(Batches(volumes, steps, batch, seed), batch_size=None, num_workers=workers)
    started, recent = time.monotonic(), []
    for step, (window, masks, known) in enumerate(loader):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        window, masks, known = (part.to(device) for part in (window, masks, known))
        loss = segmentation_loss(net(window.to(memory_format=torch.channels_last)), masks, known)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        update_average(average, net, step)
        recent.append(loss.item())
        if (step + 1) % 25 == 0:
            rate = (step + 1) * batch / (time.monotonic() - started)
            print(f"step {step + 1}/{steps}  loss {np.mean(recent):.3f}  {rate:.1f} windows/s", flush=True)
            recent.clear()
    torch.save(average.cpu().state_dict(), save_to)
    return average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--name", default="final")
    parser.add_argument("--leave-out", default="", help="volumes to hold out, separated by commas")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    left_out = tuple(name for name in arguments.leave_out.split(",") if name)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    volumes = load_volumes(arguments.data, left_out)
    checkpoint = arguments.runs / f"{arguments.name}.pt"
    train(volumes, arguments.steps, arguments.batch, arguments.seed, checkpoint)
    print(f"wrote {checkpoint}")


if __name__ == "__main__":
    main()
