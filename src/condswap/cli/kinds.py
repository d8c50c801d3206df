"""What the words of a command line have to be."""

import argparse
from pathlib import Path


def target(text: str) -> str | dict[str, float]:
    """Read a class, or a blend of some: anna=0.7,bob=0.3."""
    if "=" not in text:
        return text
    blend = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            blend[name] = float(weight)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=WEIGHT, such as anna=0.7") from error
    return blend


def export_file(text: str) -> Path:
    """Read the name of a file to export to."""
    path = Path(text)
    if path.suffix not in (".onnx", ".dfm"):
        raise argparse.ArgumentTypeError(f"{text!r} ends neither in .onnx nor in .dfm")
    return path


def names(text: str) -> list[str] | None:
    """Read names with commas between them."""
    return text.split(",") if text else None


def count(text: str) -> int:
    """Read a whole number from 1 up."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return number


def whole(text: str) -> int:
    """Read a whole number from 0 up, such as a seed."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return number


def share(text: str) -> float:
    """Read a number from 0 up."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return number
