"""What each part of the default recipe gives, and what it is held against, in one run and the same CPU time.

    python benchmarks/recipe.py toy --classes 2 --cpu-seconds 240 --out results/toy-2
    python benchmarks/recipe.py FACES --classes anna,bob --identity network.onnx --landmarks landmarker.task --out results/64

`toy` measures on moments that were held back, against the exact swap; FACES (a folder of folders, in the order of the
video) on the end of every clip. --tune is to choose with: it measures on a stretch before that, and on other toy people, so
that nothing is chosen on what is reported. Every variant of --variants is trained anew for each of --seeds and each of
--cpu-seconds, with the length of its run set by what the first half took; drawing toy faces does not count. Prints a
table in Markdown as it goes, and writes figures.json, and a report, a grid of pictures and the model of every run.
The pictures are for looking: do not publish people who did not agree.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Subset, default_collate

from condswap import CGAN, Bottleneck, ConvDecoder, Decoder, FaceFolder, ToyFaces, Trainer, TrainerConfig, every
from condswap.data import Augmentation, find_clips
from condswap.data.clips import by_class
from condswap.evaluation import evaluate, load_identity
from condswap.evaluation.references import resized
from condswap.faces import Expression, FaceApiExpression, FaceApiIdentity, MobileFaceIdentity
from condswap.losses import gaussian_blur, masked_mean
from condswap.losses.masked import alone
from condswap.pictures import save_grid
from condswap.roles import Face
from condswap.training import AttributeGuide, IdentityGuide, LightGuide


class SharedBottleneck(Bottleneck):
    """Two linear layers that know no class: what stands between the encoder and one decoder a person."""

    def __init__(self, in_shape, *, num_classes, width=128, out_channels=64):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (out_channels, *in_shape[1:]), num_classes
        numbers = in_shape[0] * in_shape[1] * in_shape[2]
        self.squeeze = nn.Linear(numbers, width)
        self.spread = nn.Linear(width, out_channels * in_shape[1] * in_shape[2])

    def forward(self, features, label, source=None):
        """Pass the code on."""
        flat = self.spread(self.squeeze(rearrange(features, "b c h w -> b (c h w)")))
        return F.leaky_relu(rearrange(flat, "b (c h w) -> b c h w", h=self.in_shape[1], w=self.in_shape[2]), 0.1)


class DecoderPerPerson(Decoder):
    """One whole decoder a person, none of which knows a class: the design of DeepFaceLab."""

    def __init__(self, in_shape, *, num_classes, width=32, stages=4):
        super().__init__()
        self.decoders = nn.ModuleList(
            ConvDecoder(in_shape, num_classes=1, width=width, stages=stages, modulation="none")
            for _ in range(num_classes)
        )
        self.in_shape, self.out_shape = self.decoders[0].in_shape, self.decoders[0].out_shape
        self.num_classes = num_classes

    def forward(self, features, label):
        """Let the decoder of each picture's class show it."""
        shown = features.new_zeros(len(label), 4, *self.out_shape[1:])
        for number, decoder in enumerate(self.decoders):
            rows = (label == number).nonzero().flatten()
            if len(rows):
                face = decoder(features[rows], torch.zeros_like(rows))
                shown = shown.index_copy(0, rows, torch.cat([face.image, face.mask], dim=1).to(shown.dtype))
        return Face(shown[:, :3], shown[:, 3:])


# What a variant changes: arguments of a part by its role, and fields of the Objective, of the Augmentation and of the trainer's
# settings; "late": the share of the run after which the discriminator begins.
CRISP = {
    "objective": {"adversarial": 0.03, "adversarial_loss": "hinge"},
    "late": 0.6,
    "trainer": {"discriminator_learning_rate": 1e-3},
}
GUIDED = {"guided": {}, "bottleneck": {"noise": 0.15}, "objective": {"code_adversary": 0.0}}
NETWORKS = {"dlib": FaceApiIdentity, "mobileface": MobileFaceIdentity}  # which share the weight of the person
# Of the guides, which "guided" changes.
WEIGHTS = {"identity": 0.1, "reach": 1.2, "mouth": 0.05, "turn": 0.05, "light": 0.3, "networks": list(NETWORKS)}
VARIANTS = {
    "default": {},
    "code not normalised": {"bottleneck": {"normalisation": "none"}},
    "code normalised by position": {"bottleneck": {"normalisation": "positions"}},
    "no noise on the code": {"bottleneck": {"noise": 0.0}},
    "twice the noise on the code": {"bottleneck": {"noise": 0.6}},
    "no adversary of the code": {"objective": {"code_adversary": 0.0}},
    "no back-translation": {"trainer": {"back_translation": 0.0}},
    "back-translation": {"trainer": {"back_translation": 0.5}},
    "MLP bottleneck": {"bottleneck": {"type": "MLPBottleneck"}},
    "FiLM": {"decoder": {"modulation": "film"}},
    "no modulation": {"decoder": {"modulation": "none"}},
    "warp": {"augmentation": {"warp": 0.06}},
    "L1 alone": {"objective": {"dssim": 0.0, "l1": 1.0}},
    "no L1": {"objective": {"l1": 0.0}},
    "batch 16": {"trainer": {"batch_size": 16}},
    "half the learning rate": {"trainer": {"learning_rate": 1e-3}},
    "twice the learning rate": {"trainer": {"learning_rate": 4e-3}},
    "doubled by 3x3 convolutions": {"decoder": {"upscale_kernel": 3}},
    "two residual blocks a size": {"decoder": {"depth": 2}},
    "two residual blocks a size, doubled by 3x3": {"decoder": {"upscale_kernel": 3, "depth": 2}},
    "a quarter seen whole": {"trainer": {"unmasked": 0.25}},
    "a third of the adversary of the code": {"objective": {"code_adversary": 0.014}},
    "three times the adversary of the code": {"objective": {"code_adversary": 0.12}},
    "discriminator of four times the weight": {"objective": {"adversarial": 0.02}},
    "decoder 24 wide": {"decoder": {"width": 24}},
    "batch 4": {"trainer": {"batch_size": 4}},
    "bfloat16": {"trainer": {"precision": "bfloat16"}},
    "no discriminator": {"objective": {"adversarial": 0.0}},
    "no average": {"trainer": {"average": 0.0}},
    "code of 8 channels": {"encoder": {"code_channels": 8}},
    "code of 32 channels": {"encoder": {"code_channels": 32}},
    "constant rate": {"planned": False},
    "light as before": {"augmentation": {"ramp": 0.15, "gain": 0.075, "colour": 0.03}},
    "crisp": CRISP,
    "crisp, no noise": CRISP | {"bottleneck": {"noise": 0.0}},
    "guided": GUIDED,
    "guided by dlib alone": GUIDED | {"guided": {"networks": ["dlib"]}},
    "guided by MobileFace alone": GUIDED | {"guided": {"networks": ["mobileface"]}},
    "guided, with the adversary of the code": GUIDED | {"objective": {}},
    "guided, light left alone": GUIDED | {"guided": {"light": 0.0}},
    "guided to the person": GUIDED | {"guided": {"mouth": 0.0, "turn": 0.0}},
    "guided by expression and turn": GUIDED | {"guided": {"identity": 0.0}},
    "guided more by the mouth": GUIDED | {"guided": {"mouth": 0.1}},
    "guided more to the person": GUIDED | {"guided": {"identity": 0.2}},
    "guided a tenth further": GUIDED | {"guided": {"reach": 1.3}},
    "guided, noise of 0.3": GUIDED | {"bottleneck": {}},
    "guided, no noise": GUIDED | {"bottleneck": {"noise": 0.0}},
    "guided, half of the pictures": GUIDED | {"trainer": {"guided": 0.5}},
    "crisp, guided": GUIDED | CRISP | {"objective": CRISP["objective"] | GUIDED["objective"]},
    "one decoder a person": {"parts": "per person"},
    "one decoder a person, warp": {"parts": "per person", "augmentation": {"warp": 0.06}},
    "paper, MLP": {"paper": "mlp", "rate": 5e-4},
    "paper, attention": {"paper": "attention", "rate": 5e-4},
    "paper, MLP, its own 1e-5": {"paper": "mlp", "rate": 1e-5},
}


def build(variant, *, size, classes, seed, augment):
    """Give the model and the settings of a variant."""
    torch.manual_seed(seed)
    if "paper" in variant:
        model = CGAN.paper(size, classes=classes, bottleneck=variant["paper"])
        config = TrainerConfig.paper(variant["paper"], learning_rate=variant["rate"], seed=seed)
        own = variant["rate"] == 1e-5  # its own batches, too; otherwise more steps of fewer pictures, which do it good
        return model, config if own else replace(config, batch_size=16)
    config = CGAN.default(size, classes=classes).config()
    for part in ("encoder", "bottleneck", "decoder", "discriminator", "objective"):
        change = variant.get(part, {})
        if "type" in change:
            config[part] = {"in_shape": config[part]["in_shape"], "num_classes": len(classes)}
        config[part] = {**config[part], **change}
    code = config["encoder"]["code_channels"]
    config["bottleneck"]["in_shape"] = [code, *config["bottleneck"]["in_shape"][1:]]
    if variant.get("parts") == "per person":
        shape, decoder = config["bottleneck"]["in_shape"], config["decoder"]
        config["bottleneck"] = {"type": "SharedBottleneck", "in_shape": shape, "num_classes": len(classes)}
        decoder = {name: decoder[name] for name in ("in_shape", "num_classes", "width", "stages")}
        config["decoder"] = {"type": "DecoderPerPerson", **decoder}
        config["objective"] |= {"code_adversary": 0.0}
    model = CGAN.from_config(config)
    augmentation = None
    if "augmentation" in variant:
        augmentation = replace(Augmentation() if augment else Augmentation.none(), **variant["augmentation"])
    settings = {"batch_size": 8, **variant.get("trainer", {})}  # more steps of few pictures: on a CPU the better half
    if variant.get("parts") == "per person":
        settings["back_translation"] = 0.0
    return model, TrainerConfig(**{"seed": seed, "augmentation": augmentation, **settings})


def guides_of(variant, data, folder):
    """Make the guides of a variant, from the networks in a folder."""
    if "guided" not in variant:
        return {}
    weights = WEIGHTS | variant["guided"]
    kept, names = {name: weights[name] for name in ("mouth", "turn")}, weights["networks"]
    guides = {}
    if weights["identity"]:
        each = {"weight": weights["identity"] / len(names), "reach": weights["reach"]}
        guides = {name: IdentityGuide(NETWORKS[name](folder), data, **each) for name in names}
    if any(kept.values()):
        guides["expression"] = AttributeGuide(FaceApiExpression(folder), data, weight=kept)
    if weights["light"]:
        guides["light"] = LightGuide(weight=weights["light"])
    return guides


class Halfway(Exception):
    """Half of the steps that fit into the time have been taken."""


def train(model, config, variant, data, held_back, *, cpu_seconds, before, guides):
    """Train for so much CPU time, and give the trainer with the time it took.

    Up to its middle a run does not depend on its length, so the length is set there, by what the first half took.
    """
    # The discriminator of the last part makes steps dearer by a third, guides, from the middle on, by as much as themselves.
    late, guided = variant.get("late", 1), 0.6 * bool(guides)
    middle = 0.5 * cpu_seconds / (1 + (1 - late) / 3 + guided)
    # until the length is known
    config = replace(
        config, adversarial_from=10**9 if "late" in variant else config.adversarial_from, guided_from=10**9
    )
    trainer = Trainer(model, config, device="cpu", guides=guides)
    start = time.process_time()

    def stop(trainer):
        if time.process_time() - start >= middle:
            raise Halfway

    try:
        trainer.fit(data, 10**9, held_back=held_back, hook=stop)
    except Halfway:
        steps = 2 * trainer.step
    planned = "paper" not in variant and variant.get("planned", True)
    config = replace(config, planned_steps=steps if planned else None, guided_from=trainer.step)
    hook = None
    if "late" in variant:
        config = replace(config, adversarial_from=int(late * steps))
        hook = every(config.adversarial_from, lambda trainer: before())
    trainer.config = config
    trainer.fit(data, steps, held_back=held_back, hook=hook)
    return trainer, time.process_time() - start


def people(given):
    """Give the pictures to train on and those to measure with, at the model's size, and at the size of the measuring."""
    if given.faces == "toy":
        count = int(given.classes)  # to choose with, other people than those that are reported
        data = ToyFaces(count, image_size=given.image_size, seed=int(given.tune), length=500 * count)
        for index in range(len(data)):  # drawn here and kept, which is not training
            data[index]
        return data, data.other_split(96 * count), data, data.other_split(96 * count)
    names = given.classes.split(",")
    size = max(given.image_size, given.measured_at)
    parts = []
    for side in (given.image_size, size):
        train, held = FaceFolder(given.faces, image_size=side, classes=names).split(held_back=0.15)
        if given.tune:
            train, held = tuning(train)
        parts += [train, held]
    return parts


def tuning(train):
    """Split what is trained on once more, leaving out what neighbours the held-back frames on both sides."""
    kept, held = [], []
    for clip in find_clips(train):
        end = len(clip.indices)
        held += clip.indices[round(0.86 * end) : round(0.98 * end)]
        kept += clip.indices[: round(0.84 * end)]
    both = []
    for indices in (kept, held):
        part = Subset(train, indices)
        part.labels, part.classes = [train.labels[index] for index in indices], train.classes
        both.append(part)
    return both


def draw(path, model, data):
    """Draw pictures of every class with their reconstructions and swaps."""
    rows = {}
    for label, name in enumerate(data.classes):
        indices = [index for index, one in enumerate(data.labels) if one == label]
        chosen = [indices[int(len(indices) * (place + 0.5) / 6)] for place in range(6)]
        batch = default_collate([data[index] for index in chosen])
        image, mask, own = batch["image"], batch["mask"], batch["label"]
        pad = " " * label  # rows of different people bear different names
        rows |= {name: image, f"as itself{pad}": model.swap(image, own, source=own, mask=mask)}
        for shift in range(1, min(len(data.classes), 4)):
            to = (own + shift) % len(data.classes)
            with torch.no_grad():
                raw = model.generator(image, to, own, mask).image
            shown = data.classes[int(to[0])]
            rows |= {f"to {shown}, raw{pad}": raw, f"to {shown}{pad}": model.swap(image, to, source=own, mask=mask)}
            if hasattr(data, "swap_truths"):
                rows |= {f"exact{pad}{shift}": data.swap_truths(chosen, to)}
    save_grid(path, rows)


def figures_of(report):
    """Give the figures of a report that the table shows."""
    found = {"rec ssim": report.reconstruction["swap"].ssim.value}
    if report.exact:
        found |= {
            "swap ssim": report.exact["swap"].ssim.value,
            "told nothing": report.exact["swap, told nothing"].ssim.value,
        }
        found |= {"unchanged": report.exact["picture unchanged"].ssim.value, "moved": report.exact["swap"].moved.value}
    likeness = report.likeness["swap"]
    ways = [one.likeness.gap.value / one.real for one in report.directions]
    found |= {
        "retrieval": likeness.retrieval.value,
        "worst retrieval": min(one.likeness.retrieval.value for one in report.directions),
        "target": likeness.target.value,
        "picture": likeness.picture.value,
        "gap": likeness.gap.value,
        "of real": likeness.gap.value / report.likeness["real picture pasted"].gap.value,
        "worst of real": min(ways),
        "label": report.label_sensitivity.value,
    }
    found |= {kind: figure.value for kind, figure in report.light.items()}
    for name in ("mouth", "open"):
        if name in report.kept:
            found["mouth slope"] = report.kept[name]["swap"].slope.value
    if "yaw" in report.kept:
        found["yaw error, pasted"] = report.kept["yaw"]["swap"].error.value
    return found


@torch.no_grad()
def sharpness(model, data):
    """Give how much detail (what a blur of 2 pixels takes away) faces have, as a part of that of the real pictures."""

    def detail(image, mask):
        inside = 1 - F.max_pool2d((mask < 0.99).float(), 7, 1, 3)  # away from the edge of the mask
        return float(masked_mean((image - gaussian_blur(image, sigma=2.0)).abs(), inside))

    real, own, swap = [], [], []
    for start in range(0, len(data), 32):
        batch = default_collate([data[index] for index in range(start, min(start + 32, len(data)))])
        image, mask, label = batch["image"], batch["mask"], batch["label"]
        real.append(detail(image, mask))
        own.append(detail(model.generator(image, label, label, mask).image, mask))
        swap.append(detail(model.generator(image, (label + 1) % len(data.classes), label, mask).image, mask))
    return {"detail": sum(own) / sum(real), "detail of swaps": sum(swap) / sum(real)}


@torch.no_grad()
def turns(model, data, landmarks):
    """Give the mean error of the turn of the raw swap, beside what other faces get.

    The outline of a swap that was pasted is the picture's own and tells the turn of the head, so here the face is alone, and
    so is the picture's, which it is held against: landmarks of a face alone differ from those of its whole picture, by which
    a perfect swap would err, too. That is what "to the whole" means, and "as it comes" is the swap with what the decoder
    paints outside of the face, which nothing asks for, held against the whole picture. The mask still tells some of the turn:
    so the mean face of the target is put into it. A face looks less turned the softer it is: so the picture's own is measured
    with half of the model's pixels. And landmarks of a face are not those of its mirror image: so the errors are given twice,
    as seen, and as the mean of what is seen in both.
    """

    def seen(faces):
        """The turn as it is seen, and with that of the mirror image."""
        one = landmarks(faces)["yaw"]
        return torch.stack([one, (one - landmarks(faces.flip(3))["yaw"]) / 2])

    size, full = model.image_shape[1:], data[0]["image"].shape[1:]
    half = (size[0] // 2, size[1] // 2)
    places = by_class(data.labels)
    means = {label: torch.stack([data[one]["image"] for one in places[label]]).mean(0) for label in places}
    errors = {}

    def add(name, turn, true):
        errors.setdefault(name, []).append((turn - true).abs())

    for start in range(0, len(data), 32):
        batch = default_collate([data[index] for index in range(start, min(start + 32, len(data)))])
        image, mask, source = batch["image"], batch["mask"], batch["label"]
        small, small_mask = resized(image, size), resized(mask, size)
        whole, true = seen(image), seen(alone(image, mask))
        add("the picture's own to the whole", true, whole)
        add("the picture's own, half the pixels", seen(alone(resized(resized(image, half), full), mask)), true)
        for shift in range(1, len(data.classes)):
            to = (source + shift) % len(data.classes)
            raw = resized(model.generator(small, to, source, small_mask).image, full)
            swap = seen(alone(raw, mask))
            add("raw yaw error", swap, true)
            add("raw yaw error to the whole", swap, whole)
            add("raw yaw error as it comes", seen(raw), whole)
            add("the mean face's", seen(alone(torch.stack([means[label] for label in to.tolist()]), mask)), true)
            others = [places[label] for label in to.tolist()]
            picks = [indices[(start + 37 * place) % len(indices)] for place, indices in enumerate(others)]
            random = torch.stack([data[pick]["image"] for pick in picks])
            add("a random frame's", seen(random), whole)
    found = {}
    for name, parts in errors.items():
        plain, both = torch.cat(parts, dim=1).nanmean(1).tolist()
        found |= {name: plain, f"{name}, both views": both}
    return found


def main() -> None:
    """Train, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", help="a folder of folders of faces, or the word toy")
    parser.add_argument("--classes", default="2", help="how many toy people, or names of folders with commas between")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--measured-at", type=int, default=128, help="the size at which faces of a folder are measured")
    parser.add_argument("--cpu-seconds", default="240", help="one length of training, or more, with commas between")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--variants", default="default")
    parser.add_argument("--tune", action="store_true", help="measure on what is not reported")
    parser.add_argument("--identity", help="an ONNX network that says who is seen; else one is trained here")
    parser.add_argument(
        "--landmarks", help="the model of MediaPipe's Face Landmarker, for mouth and turn of real people"
    )
    parser.add_argument("--guides", help="a folder with the networks of docs/how-to/guides.md, for the guided variants")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    data, held, known, measured = people(given)
    toy = given.faces == "toy"
    print(f"{len(data)} pictures to train on, {len(held)} to measure with, of {', '.join(data.classes)}", flush=True)
    identity = load_identity(given.identity)
    attributes = Expression(given.landmarks) if given.landmarks else None
    rows = []
    for name in given.variants.split(";"):
        for seed in map(int, given.seeds.split(",")):
            for cpu_seconds in map(float, given.cpu_seconds.split(",")):
                variant = VARIANTS[name]
                model, config = build(variant, size=given.image_size, classes=data.classes, seed=seed, augment=not toy)
                guides = guides_of(variant, data, given.guides)
                stem = f"{name.replace(' ', '-').replace(',', '')}-{seed}-{cpu_seconds:.0f}"

                def before(model=model, stem=stem):
                    print(f"before the discriminator: {sharpness(model, held)}", flush=True)
                    draw(given.out / f"{stem}-before.png", model, held)
                    model.save_pretrained(given.out / f"{stem}-before")

                trainer, seconds = train(
                    model, config, variant, data, held, cpu_seconds=cpu_seconds, before=before, guides=guides
                )
                report = evaluate(model, measured, known=known, identity=identity, attributes=attributes)
                weights = sum(weight.numel() for weight in model.generator.parameters())
                row = {"variant": name, "seed": seed, "steps": trainer.step, "CPU s": round(seconds)}
                row |= {"million weights": weights / 1e6, "ms a step": 1000 * seconds / trainer.step}
                row |= figures_of(report) | sharpness(model, held)
                if attributes is not None:
                    row |= turns(model, measured, attributes)
                rows.append(row)
                if len(rows) == 1:
                    print("| " + " | ".join(row) + " |\n|" + "---|" * len(row))
                shown = (f"{one:.3f}" if isinstance(one, float) else str(one) for one in row.values())
                print("| " + " | ".join(shown) + " |", flush=True)
                (given.out / f"{stem}.md").write_text(report.to_markdown(), "utf-8")
                (given.out / "figures.json").write_text(json.dumps(rows, indent=1), "utf-8")
                draw(given.out / f"{stem}.png", model, held)
                model.save_pretrained(given.out / stem)


if __name__ == "__main__":
    main()
