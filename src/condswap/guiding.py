"""The guides that the networks in a folder make: whose files npm packages have, as `docs/how-to/guides.md` tells."""

from pathlib import Path
from typing import Any

from torch import nn

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
