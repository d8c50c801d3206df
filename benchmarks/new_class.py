"""One more person for a trained model, from 100 pictures of them, on toy faces, where the exact swap is known.

    python benchmarks/new_class.py --people 4 --out runs/new_class

Trains a model of so many people, adds the next one in several ways, and prints a table (Markdown): what became of the new
class, and of the others. "with itself before" is the SSIM of outputs for the others with those of before; the exact swaps
say whether a change was for the worse. Then the step sizes of a blend between two people, and a grid of it. The model of
before is kept in the folder and used again.
"""

import argparse
import copy
import time
from pathlib import Path

import torch
from strangers import gather, table, trained
from torch.utils.data import Subset

from condswap import ToyFaces, Trainer, TrainerConfig
from condswap.data import Augmentation
from condswap.losses import l1, masked_mean, ssim
from condswap.parts import ClassEmbedding
from condswap.pictures import save_grid
from condswap.training import learn_class

WAYS = ("guarded", "guarded, real pictures of the others", "not guarded", "nothing but the new class's own weights")


class Judge:
    """The exact answers for some pictures of everybody, and how near a model comes to them."""

    def __init__(self, before, test, new):
        self.before, self.new = before, new
        self.image, self.mask, self.label = gather(test, range(len(test)))
        pairs = [(test.swap_truths(range(len(test)), to), to) for to in range(new + 1)]
        self.truth = [truth for truth, _ in pairs]
        self.both = [
            self.mask * torch.stack([test.swap_mask(index, to) for index in range(len(test))]) for _, to in pairs
        ]
        is_new = self.label == new
        self.stranger = before.stranger(self.image[is_new], self.mask[is_new])

    def show(self, model, chosen, to):
        """Show the chosen pictures, all of the new person or all of the others, as a class."""
        told = self.label[chosen]
        if bool((told == self.new).all()) and self.new >= len(model.classes):
            told = self.stranger
        return model.generator(self.image[chosen], to, told, self.mask[chosen]).image

    @torch.no_grad()
    def __call__(self, model):
        """Give the figures of a model."""
        is_new, found = self.label == self.new, {}

        def note(name, pixels, where):
            found.setdefault(name, []).append(float(masked_mean(pixels, where)))

        for to in range(self.new + 1):
            if to == len(model.classes):  # not learned yet
                continue
            for who, chosen in (("others", ~is_new & (self.label != to)), ("new", is_new)):
                truth, both = self.truth[to][chosen], self.both[to][chosen]
                now = self.show(model, chosen, to)
                if to == self.new:
                    note("reconstruction of new" if who == "new" else "others to new", ssim(now, truth), both)
                    continue
                then = self.show(self.before, chosen, to)
                note(f"{who} to others", ssim(now, truth), both)
                note(f"{who} to others, as before", ssim(now, then), self.mask[chosen])
                note(f"{who} to others, change", l1(now, then), self.mask[chosen])
        return {name: sum(values) / len(values) for name, values in found.items()}


def learned(model, way, data, others, given):
    """Teach a model the new class in one of the ways."""
    config = TrainerConfig(planned_steps=given.steps, augmentation=Augmentation.none(), back_translation=0.5, watch=0)
    if way.startswith("guarded"):
        print(learn_class(model, "new", data, others=others if "," in way else None, steps=given.steps, config=config))
        return
    model.add_class("new")
    trainer = Trainer(model, config, device="cpu")
    new = len(model.classes) - 1
    if way.startswith("nothing"):
        live = trainer._live.generator.requires_grad_(False)  # no user needs this, so there is no door to it
        for module in live.modules():
            if isinstance(module, ClassEmbedding):
                only = torch.zeros(len(module.weight), *[1] * (module.weight.ndim - 1))
                only[new] = 1.0
                module.weight.requires_grad_().register_hook(only.mul)
    image, mask, _ = gather(data, range(len(data)))
    label = torch.full((len(image),), new)
    picks = torch.randint(len(image), (given.steps, 16), generator=torch.Generator().manual_seed(0))
    trainer.fit([{"image": image[pick], "mask": mask[pick], "label": label[pick]} for pick in picks], given.steps)


@torch.no_grad()
def draw(model, judge, path):
    """Draw some pictures of others as the new class beside the exact swap, and of the new person as the first class."""
    others, own = (judge.label != judge.new).nonzero()[:4, 0], (judge.label == judge.new).nonzero()[:4, 0]
    rows = {}
    for name, chosen, to in (("others", others, judge.new), ("new", own, 0)):
        image, mask = judge.image[chosen], judge.mask[chosen]
        for key, one in (
            (name, image),
            (f"{name} before", judge.show(judge.before, chosen, to) if to < judge.new else None),
            (f"{name} swapped", judge.show(model, chosen, to)),
            (f"{name} exact", judge.truth[to][chosen]),
        ):
            if one is not None:
                rows[key] = torch.lerp(image, one, mask)
    save_grid(path, rows)


@torch.no_grad()
def blend(model, test, path):
    """Go from the first class to the second in eight steps: print how far each goes, draw them."""
    image, mask, label = gather(test, [index for index, one in enumerate(test.labels) if one < len(model.classes)][:16])
    shown = torch.stack(
        [
            model.generator(image, {model.classes[0]: 8 - part, model.classes[1]: part}, label, mask).image * mask
            for part in range(9)
        ]
    )
    way = shown[-1] - shown[0]
    moved = ((shown - shown[0]) * way).flatten(1).sum(1) / way.square().sum()
    steps = (shown[1:] - shown[:-1]).abs().flatten(1).sum(1)
    print("\nblend, moved:", " ".join(f"{one:.2f}" for one in moved))
    print(f"largest step of eight: {float(steps.max() / steps.mean()):.2f} times the mean one")
    save_grid(path, {f"{part / 8:.3f}": torch.lerp(image, one, mask)[:6] for part, one in enumerate(shown)})


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--first-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--ways", default=";".join(WAYS), help="divided by semicolons")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    known, everybody, size = given.people, given.people + 1, given.image_size
    first = ToyFaces(known, image_size=size, seed=0, length=250 * known)
    before = trained(
        given.out / f"people-{known}", first, size, steps=given.first_steps, augmentation=Augmentation.none()
    ).eval()
    test = ToyFaces(everybody, image_size=size, seed=0, length=24 * everybody, split="test")
    pictures = ToyFaces(everybody, image_size=size, seed=0, length=given.pictures * everybody)
    data = Subset(pictures, [index for index, label in enumerate(pictures.labels) if label == known])
    others = Subset(pictures, [index for index, label in enumerate(pictures.labels) if label < known])
    blend(before, test, given.out / f"blend-{known}.png")
    judge = Judge(before, test, known)
    rows = [("before", judge(before))]
    for way in given.ways.split(";"):
        torch.manual_seed(0)
        model = copy.deepcopy(before)
        start = time.process_time()
        learned(model, way, data, others, given)
        rows.append((f"{way}, {time.process_time() - start:.0f} CPU s", judge(model)))
        draw(model, judge, given.out / f"{known}-{way.split()[0]}.png")
    table(f"{known} people and one more, {given.pictures} pictures, {given.steps} steps", rows)


if __name__ == "__main__":
    main()
