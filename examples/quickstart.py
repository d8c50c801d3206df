"""From nothing to a swap: toy faces, a model, a short training, a picture, a saved swapper.

Writes `swaps.png` (rows: picture, swap, exact swap) and `swapper/config.json`, `swapper/model.safetensors`.

    python examples/quickstart.py
"""

import argparse

import torch

from condswap import CGAN, ToyFaces, Trainer, TrainerConfig
from condswap.pictures import save_grid

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", action="store_true", help="a few steps only, to see that it runs")
steps = 4 if parser.parse_args().smoke else 600

torch.manual_seed(0)
data = ToyFaces(classes=2, image_size=64, seed=0, length=1000)
model = CGAN.default(64, classes=data.classes)

trainer = Trainer(model, TrainerConfig(seed=0, planned_steps=steps))
trainer.fit(data, steps=steps)

test = ToyFaces(classes=2, image_size=64, seed=0, length=8, split="test")  # moments that training has not seen
image = torch.stack([test[index]["image"] for index in range(len(test))])
mask = torch.stack([test[index]["mask"] for index in range(len(test))])
source = torch.tensor(test.labels)
to = 1 - source
save_grid(
    "swaps.png",
    {
        "picture": image,
        "swap": model.swap(image, to, source=source, mask=mask),
        "exact swap": test.swap_truths(range(len(test)), to),
    },
)

model.save_pretrained("swapper/")
same = CGAN.from_pretrained("swapper/")
assert torch.equal(same.swap(image, to), model.swap(image, to))
print("Look at swaps.png; the swapper is in swapper/")
