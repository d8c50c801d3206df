"""What the words of a command line have to be."""

import argparse
import math
import re
from pathlib import Path


def target(text: str) -> str | dict[str, float]:
    """Read a class, or a blend of some: anna=0.7,bob=0.3."""
    if "=" not in text:
        return text
    blend = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        if name in blend:
            raise argparse.ArgumentTypeError(f"{text!r} names {name} twice")
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


def device(text: str) -> str:
    """Read the name of a device; whether it is there is for the library to find out."""
    if not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device; give cpu, cuda, cuda:1 or mps")
    return text


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add the option that chooses one."""
    parser.add_argument("--device", type=device, metavar="NAME", help="cuda, mps or cpu (default: whichever there is)")


def add_model(parser: argparse._ActionsContainer) -> None:
    """Add the argument that names a model."""
    parser.add_argument("model", metavar="MODEL", help="the folder of a saved model, or user/name on the Hub")


def names(text: str) -> list[str] | None:
    """Read names with commas between them."""
    return text.split(",") if text else None


def number(text: str) -> float:
    """Read a number, below 0 or not."""
    try:
        read = float(text)
    except ValueError:
        read = math.nan
    if not math.isfinite(read):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return read


def share(text: str) -> float:
    """Read a number from 0 up."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return number


def quality(text: str) -> float:
    """Read a quality of x264."""
    read = share(text)
    if read > 51:
        raise argparse.ArgumentTypeError(f"{text!r} is no quality of x264, from 0, the best, to 51")
    return read


def count(text: str) -> int:
    """Read a whole number from 1 up."""
    return _whole(text, "a whole number from 1 up", least=1)


def whole(text: str) -> int:
    """Read a whole number from 0 up, such as a seed."""
    return _whole(text, "a whole number from 0 to 2**63 - 1", most=2**63 - 1)


def port(text: str) -> int:
    """Read the number of a port."""
    return _whole(text, "a port, from 1 to 65535", least=1, most=65535)


def _whole(text: str, what: str, *, least: int = 0, most: float = math.inf) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number
