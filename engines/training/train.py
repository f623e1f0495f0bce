"""Trains the segmentation and keeps an average of its weights.

    python train.py                                       all volumes, writes runs/final.pt
    python train.py --leave-out medseg-4 --name fold4     without what belongs to this patient

Two stages: slices as close as they are, then also neighbours as far apart as the appliance allows. A run that was stopped
goes on from `runs/NAME.near.pt`, the first stage's weights, or the stage's last `.state.pt`, to the same weights.
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
from volumes import Donor, Volume, load_donors, load_volumes

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parents[2] / "shared/data"
STEPS = {"near": 4600, "far": 1600}
BATCH = 8
FIRST_SEED = 1
PEAK_RATE = {"near": 2e-3, "far": 6e-4}
WARM_UP_STEPS = 60
AVERAGE_DECAY = 0.995
KEEP_EVERY = 200  # steps
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


def learning_rate(step: int, steps: int, peak: float) -> float:
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def update_average(average: SegmentationNet, net: SegmentationNet, step: int) -> None:
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    for kept, now in zip(average.parameters(), net.parameters()):
        kept.lerp_(now, 1 - decay)


def train(
    net: SegmentationNet, stage: str, volumes: list[Volume], donors: list[Donor], batch: int, seed: int, save_to: Path
) -> SegmentationNet:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net, steps = net.to(device, memory_format=torch.channels_last), STEPS[stage]
    average = copy.deepcopy(net)
    weights = [p for p in net.parameters() if p.ndim == 4 and p.numel() > p.shape[0]]
    others = [p for p in net.parameters() if not (p.ndim == 4 and p.numel() > p.shape[0])]
    optimiser = torch.optim.AdamW([{"params": weights, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}])
    state_file, first = save_to.with_suffix(".state.pt"), 0
    kept = {"net": net, "average": average, "optimiser": optimiser}
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        for name, part in kept.items():
            part.load_state_dict(state[name])
        first = state["steps"]
    workers = 1 if torch.get_num_threads() > 1 else 0
    before = 0 if stage == "near" else STEPS["near"]
    batches = Batches(volumes, donors, before + steps, batch, seed, far_apart=stage == "far")
    batches = torch.utils.data.Subset(batches, range(before + first, before + steps))
    loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=workers)
    started, recent = time.monotonic(), []
    for step, (window, masks, known) in enumerate(loader, first):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, PEAK_RATE[stage])
        window, masks, known = (part.to(device) for part in (window, masks, known))
        loss = segmentation_loss(net(window.to(memory_format=torch.channels_last)), masks, known)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        update_average(average, net, step)
        recent.append(loss.item())
        if (step + 1) % KEEP_EVERY == 0:
            rate = (step + 1 - first) * batch / (time.monotonic() - started)
            print(f"{stage} step {step + 1}/{steps}  loss {np.mean(recent):.3f}  {rate:.1f} windows/s", flush=True)
            recent.clear()
            torch.save({name: part.state_dict() for name, part in kept.items()} | {"steps": step + 1}, state_file)
    torch.save(average.cpu().state_dict(), save_to)
    state_file.unlink(missing_ok=True)
    return average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--name", default="final")
    parser.add_argument("--leave-out", default="", help="volumes to hold out, separated by commas")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    left_out = tuple(name for name in arguments.leave_out.split(",") if name)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    volumes = load_volumes(arguments.data, left_out)
    donors = load_donors(arguments.data, left_out)
    near, checkpoint = (arguments.runs / f"{arguments.name}{suffix}.pt" for suffix in (".near", ""))
    torch.manual_seed(arguments.seed)
    net = SegmentationNet()
    if near.exists():
        net.load_state_dict(torch.load(near, weights_only=True))
    else:
        net = train(net, "near", volumes, donors, arguments.batch, arguments.seed, near)
    train(net, "far", volumes, donors, arguments.batch, arguments.seed, checkpoint)
    print(f"wrote {checkpoint}")


if __name__ == "__main__":
    main()
