"""How faces are found and cut out: options that several commands share."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from condswap.cli.kinds import share

if TYPE_CHECKING:
    from condswap.faces.find import FaceFinder
    from condswap.templates import Template


def add_finding(parser: argparse.ArgumentParser, template: str) -> None:
    """Add the options; `template` is the help of --template."""
    finding = parser.add_argument_group("how faces are found")
    finding.add_argument(
        "--detector",
        metavar="FILE",
        help="the weights of YuNet: an .onnx file, or user/name/file.onnx on the Hub (default: OpenCV's, from the Hub)",
    )
    finding.add_argument(
        "--landmarks",
        metavar="FILE",
        help="MediaPipe's face_landmarker.task, for exact masks: a file, or user/name/file.task on the Hub (default: five "
        "points, and the outline of a mean face)",
    )
    finding.add_argument(
        "--smallest", type=share, default=32, metavar="PIXELS", help="leave out smaller faces (default: %(default)s)"
    )
    finding.add_argument("--template", metavar="NAME|FILE.json", help=template)


def finder(given: argparse.Namespace, *, expression: bool = False) -> "FaceFinder":
    """Give what finds faces, as it was asked for."""
    from condswap.faces.find import DETECTOR, FaceFinder

    detector = given.detector or DETECTOR
    return FaceFinder(detector, landmarks=given.landmarks, expression=expression, smallest=given.smallest)


def template(given: str) -> "Template":
    """Give the template of that name, or that a JSON file describes."""
    from condswap.errors import DataError
    from condswap.templates import Template

    if not given.endswith(".json"):
        return Template.from_config(given)
    try:
        return Template.from_config(json.loads(Path(given).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot use {given} as a crop template: {error}") from error
