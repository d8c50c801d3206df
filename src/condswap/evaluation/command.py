"""The work of `condswap evaluate`: a model and a folder of faces in, a report out."""

from pathlib import Path
from typing import Any, NamedTuple

from condswap.cgan import CGAN
from condswap.data import FaceFolder, ToyFaces
from condswap.data.layout import lay_out
from condswap.errors import ConfigError, DataError
from condswap.evaluation.evaluate import evaluate
from condswap.evaluation.report import Report
from condswap.faces.mesh import Expression
from condswap.files import write_together
from condswap.model_card import is_our_card, with_measured
from condswap.pretrained import CARD, CONFIG, config_text, read_config

TOY = "toy"
_LEAST_SIZE = 128  # pixels: identity networks look at 112; the model is shown the pictures at its own size


class Evaluated(NamedTuple):
    """What came of it: the report, and its Markdown, which may compare it with an earlier one."""

    report: Report
    text: str


def run(
    model: str,
    faces: str,
    *,
    known: str | None = None,
    identity: str | None = None,
    landmarks: str | None = None,
    earlier: str | None = None,
    out: Path | None = None,
    card: bool = False,
    limit: int = 512,
) -> Evaluated:
    """Measure a saved model.

    Args:
        model: a folder, or "user/name" on the Hub.
        faces: a folder with one folder of held-back pictures a class, or "toy" for toy faces. With `known`, some of the
            classes are enough.
        known: such a folder of other pictures of the same people, best those of the training.
        identity: an ONNX network, or "user/name" on the Hub.
        landmarks: MediaPipe's face_landmarker.task, or its name on the Hub: measures what is kept of pose and expression.
        earlier: the same model at an earlier stage of its training, to say what changed.
        out: where the Markdown is written, too.
        card: write the figures into the model's card; it has to be a folder.
        limit: how many pictures are looked at, at most.

    Raises:
        HubError: there is no such model.
        DataError: there are no such pictures, or a file cannot be written; nothing is written then.
        ConfigError: the model is not a folder and its card was to be written.
    """
    folder = _card_folder(model) if card else None
    swapper = CGAN.from_pretrained(model)
    data, others = _pictures(swapper, faces, known, limit=limit)
    told: dict[str, Any] = {"known": others, "identity": identity, "limit": limit}
    told["attributes"] = None if landmarks is None else Expression(landmarks)
    report = evaluate(swapper, data, **told)
    before = None
    if earlier is not None:
        before = evaluate(CGAN.from_pretrained(earlier), data, **told)
    text = report.to_markdown(earlier=before)
    files: dict[Path, bytes] = {}
    if out is not None:
        files[out] = text.encode()
    if folder is not None:
        files |= _with_figures(folder, report)
    if files:
        write_together(files)
    return Evaluated(report, text)


def _pictures(model: CGAN, faces: str, known: str | None, *, limit: int) -> tuple[Any, Any]:
    """Read the pictures to measure on, and those that the people are known by."""
    _, height, width = model.image_shape
    if faces == TOY:
        if known is not None:
            raise ConfigError("toy faces bring other pictures of the same people with them; leave --known out")
        if height != width:
            raise ConfigError(f"toy faces are square and the model takes {height} x {width}; give a folder of faces")
        data = ToyFaces(model.classes, image_size=height, length=max(limit, len(model.classes)), split="test")
        return data, None
    size = max(height, width, _LEAST_SIZE)
    if known is None:  # then the pictures themselves say what everybody looks like
        return FaceFolder(faces, image_size=size, classes=model.classes), None
    there = lay_out(Path(faces), None).classes
    some = [name for name in model.classes if name in there] or model.classes
    others = FaceFolder(known, image_size=size, classes=model.classes)
    return FaceFolder(faces, image_size=size, classes=some).among(model.classes), others


def _card_folder(model: str) -> Path:
    """Give the folder of a model whose card can be written into."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"{model} is not a folder, so its card cannot be written; leave --card out, or download it first"
        )
    if not is_our_card(_card(folder)):
        raise DataError(
            f"{folder / CARD} is not a card of condswap's; leave --card out, or move it away and save again"
        )
    with_measured(_card(folder), {})  # refuses a card without a place for them before the measuring, not after it
    return folder


def _with_figures(folder: Path, report: Report) -> dict[Path, bytes]:
    """Give the card and the config of a model with the figures in them; everything else in them stays as it is."""
    config = dict(read_config(folder / CONFIG))
    history = dict(config.get("training", {}))
    report.remember(history)
    config["training"] = history
    return {
        folder / CARD: with_measured(_card(folder), history).encode(),
        folder / CONFIG: config_text(config).encode(),
    }


def _card(folder: Path) -> str:
    try:
        return (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{folder / CARD} cannot be read ({error}); save the model again, or leave --card out"
        ) from error
