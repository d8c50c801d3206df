"""Whether a video of swaps is as steady as the video itself."""

from collections.abc import Sequence
from typing import Any

import torch

from condswap.cgan import CGAN
from condswap.evaluation.intervals import Figure, bootstrap, bootstrap_ratio
from condswap.evaluation.measures import flicker
from condswap.evaluation.references import pasted
from condswap.evaluation.rows import SWAP, UNCHANGED
from condswap.evaluation.sample import Sample, spread
from condswap.evaluation.showing import show
from condswap.types import Image, Mask

_RUNS, _FRAMES = 16, 12  # how many stretches of video, of how many frames
_STEP = 0.1  # mean absolute difference above which two pictures are not neighbours in a video, as in find_clips


def measure_flicker(model: CGAN, held: Sample, present: Sequence[int], *, seed: int) -> dict[str, Figure]:
    """Measure the flicker of swaps and of the pictures themselves, over stretches of neighbouring frames.

    Each stretch becomes one other person. The result has the figures of both and their ratio; it is empty where the
    pictures are not frames of a video.
    """
    device = next(model.parameters()).device
    swaps, own, runs = [], [], []
    for number, (frames, masks, label) in enumerate(_stretches(held)):
        others = [one for one in present if one != label]
        image, mask = frames.to(device), masks.to(device)
        source = torch.full((len(image),), label, device=device)
        to = torch.full_like(source, others[number % len(others)])
        swaps.append(flicker(pasted(image, show(model, image, to, source, mask), mask), mask).cpu())
        own.append(flicker(image, mask).cpu())
        runs.append(torch.full((len(own[-1]),), number))
    if not runs:
        return {}
    of_swaps, of_pictures, run = torch.cat(swaps), torch.cat(own), torch.cat(runs)
    return {
        SWAP: bootstrap(of_swaps, run, seed=seed),
        UNCHANGED: bootstrap(of_pictures, run, seed=seed),
        "ratio": bootstrap_ratio(of_swaps, of_pictures, run, seed=seed),
    }


def _stretches(held: Sample) -> list[tuple[Image, Mask, int]]:
    """Give stretches of neighbouring frames: frames, masks, and the label."""
    data: Any = held.data
    if callable(getattr(data, "sequence", None)):
        return [data.sequence(one.number, _FRAMES) for one in spread(held.pictures, _RUNS)]
    found = []
    for clip in spread([one for one in held.clips if len(one.indices) > 2], _RUNS):
        start = max(0, (len(clip.indices) - _FRAMES) // 2)
        image, mask = held.read(clip.indices[start : start + _FRAMES])
        # Photos of a class are one stretch, too, but no video: nothing can be steady or flicker there.
        if float((image[1:] - image[:-1]).abs().mean((1, 2, 3)).max()) <= _STEP:
            found.append((image, mask, clip.label))
    return found
