"""A training that guides look at: the model for it, and the guides that the networks in a folder make.

Those networks' files npm packages have, as `docs/how-to/guides.md` tells.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from condswap.cgan import CGAN
from condswap.faces import FaceApiExpression, FaceApiIdentity, MobileFaceIdentity
from condswap.training import AttributeGuide, Guide, IdentityGuide, LightGuide


def guides_in(folder: str | Path, data: Any) -> dict[str, Guide]:
    """Make guides of the networks in a folder, by name: "dlib" and "mobileface", "expression" and "light".

    Args:
        folder: with the networks of `FaceApiIdentity` and `FaceApiExpression`. Where that of `MobileFaceIdentity` is, too, both
            ask for the person, each half as loudly as one alone: what pleases only one network is seldom the person.
        data: a dataset of items, the pictures that are trained on.

    Raises:
        DataError: a network is not there or another, or the data are no dataset or show fewer than two classes.
    """
    networks: dict[str, nn.Module] = {"dlib": FaceApiIdentity(folder)}
    if MobileFaceIdentity.is_in(folder):
        networks["mobileface"] = MobileFaceIdentity(folder)
    expression = FaceApiExpression(folder)
    weight = 0.1 / len(networks)
    return {
        **{name: IdentityGuide(network, data, weight=weight) for name, network in networks.items()},
        "expression": AttributeGuide(expression, data),
        "light": LightGuide(),
    }


def guided_model(
    image_size: int | Sequence[int], *, classes: Sequence[str], bottleneck: str = "cross_attention"
) -> CGAN:
    """Assemble `CGAN.default` for a training whose guides ask for the person to show.

    They keep the person in the picture out of swaps, so it does with half of the noise on the code, which costs the mouth, and
    without an adversary of it, which costs the reconstruction.

    Args:
        image_size: the side of a square picture, or (height, width), in pixels; the sizes that `CGAN.default` takes.
        classes: the names of the classes.
        bottleneck: "cross_attention" or "mlp".

    Raises:
        ShapeError: the size does not divide; the message says which sizes do.
        ConfigError: the bottleneck is not known.

    Example:
        >>> guided_model(64, classes=["anna", "bob"]).objective.code_adversary
        0.0
    """
    model = CGAN.default(image_size, classes=classes, bottleneck=bottleneck, noise=0.15)
    model.objective = replace(model.objective, code_adversary=0.0)
    return model
