"""A folder of toy pictures in the layout of a folder of faces, for tests that have to read pictures."""

from pathlib import Path

import pytest

CLASSES = ("biden", "trump")


def make_faces(folder: Path, *, each: int = 6) -> None:
    """Write `each` toy pictures of each of two people, `folder`/biden and `folder`/trump, with their masks."""
    from PIL import Image

    from condswap import ToyFaces

    toys = ToyFaces(classes=len(CLASSES), image_size=64, seed=0)
    written = dict.fromkeys(CLASSES, 0)
    for index in range(len(toys)):
        item = toys[index]
        name = CLASSES[int(item["label"])]
        if written[name] < each:
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            pixels = (item["image"] * 255).round().byte().permute(1, 2, 0).numpy()
            mask = (item["mask"][0] * 255).round().byte().numpy()
            Image.fromarray(pixels).save(place / f"{written[name]:03}.png")
            Image.fromarray(mask).save(place / f"{written[name]:03}.mask.png")
            written[name] += 1
        if min(written.values()) == each:
            return
    pytest.fail(f"the toy faces have too few pictures of each class: {written}")
