"""A swapper to the Hugging Face Hub and back: its card, a push, and a pull that is the same bit for bit.

    hf auth login                # or set HF_TOKEN to a token that may write
    python examples/share_on_hub.py swapper/ user/name --license mit --consent "The faces are drawn and are nobody's."

The repository is made if it is not there, and is private; make it public in its settings on the Hub once you have looked at it.

Writes `swapper/README.md`, which is the model card, and `swap.png` (rows: drawn faces, their swaps).
"""

import argparse
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap import CGAN, ToyFaces
from condswap.pictures import save_grid
from condswap.pretrained import mark_of

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("swapper", type=Path, help="the folder of a saved swapper")
parser.add_argument("repo_id", metavar="user/name", help="the repository on the Hub")
parser.add_argument("--consent", required=True, help="who agreed to be shown, and how")
parser.add_argument("--license", required=True, help="as the Hub abbreviates it, such as mit or cc-by-nc-4.0")
given = parser.parse_args()

model = CGAN.from_pretrained(given.swapper)
model.save_pretrained(given.swapper, consent=given.consent, license=given.license)  # read README.md before you go on
url = model.push_to_hub(given.repo_id, consent=given.consent, license=given.license)
print(f"published: {url}")

# A branch moves on, a commit does not: whoever names it always gets these weights.
commit = url.rsplit("/", 1)[-1]
again = CGAN.from_pretrained(given.repo_id, revision=commit)
assert again.config() == model.config()
assert all(torch.equal(again.state_dict()[name], weight) for name, weight in model.state_dict().items())

faces = ToyFaces(model.classes, image_size=model.image_shape[1], length=8, split="test")
batch = default_collate([faces[index] for index in range(len(faces))])
swaps = again.swap(batch["image"], model.classes[-1], mask=batch["mask"])
save_grid("swap.png", {"picture": batch["image"], f"as {model.classes[-1]}": swaps}, mark=mark_of(again))
print(f"it came back bit for bit: CGAN.from_pretrained({given.repo_id!r}, revision={commit!r}); look at swap.png")
