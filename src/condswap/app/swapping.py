"""What happens when the button is pressed, without the page: models that are kept, and one picture swapped."""

import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import torch

from condswap.cgan import CGAN
from condswap.data.layout import SUFFIXES
from condswap.errors import ConfigError, DataError
from condswap.faces.find import DETECTOR, FaceFinder
from condswap.generator import AnyLabel
from condswap.pictures import read_picture, save_picture
from condswap.pipeline import Look, Swapping
from condswap.pretrained import scratch
from condswap.training.devices import choose_device

_KEPT = 3  # models in memory


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be done with a picture.

    Args:
        to: the person to show.
        second: with whom to blend, or None.
        share: of the second person, from 0 to 1.
        source: the class of who is in the picture, or None where that is not known.
        only: whose face, in a picture of several people; one of `condswap.pipeline.choose.PLACES`.
        is_cut: the picture is a face that was cut out already, of any size.
        colours_follow: the face takes the colours of the picture; else it has those that the model paints.
    """

    to: str
    second: str | None = None
    share: float = 0.0
    source: str | None = None
    only: str = "largest"
    is_cut: bool = False
    colours_follow: bool = True

    @property
    def label(self) -> AnyLabel:
        """The person or the blend, as a model takes it; a blend with nothing of the second is the first alone."""
        if self.second is None or self.second == self.to or self.share <= 0:
            return self.to
        if self.share >= 1:
            return self.second
        return {self.to: 1 - self.share, self.second: self.share}


class Swapper:
    """Loads models and swaps pictures, for everybody who has the page open: one picture at a time.

    It remembers nothing of who asked: each call says which model it means.

    Args:
        device: of the models; None takes what there is.
        detector: the weights of YuNet: a path, or "user/name/file.onnx" on the Hub.

    Raises:
        ConfigError: there is no such device.
    """

    def __init__(self, *, device: str | None = None, detector: str | None = None) -> None:
        self._device, self._detector = choose_device(device), detector or DETECTOR
        self._models: OrderedDict[str, CGAN] = OrderedDict()
        self._finder: FaceFinder | None = None
        self._lock = Lock()  # a finder serves one thread, and a swap takes the whole device

    def load(self, name: str) -> CGAN:
        """Load a model, also one that was loaded before: its folder may hold a newer one now.

        Args:
            name: a folder, or "user/name" on the Hub.

        Raises:
            CondswapError: as in `CGAN.from_pretrained`.
        """
        if not name.strip():
            raise ConfigError("give a model: the folder of a saved one, or user/name on the Hub")
        model = CGAN.from_pretrained(name.strip(), device=self._device)
        with self._lock:
            self._models[name] = model
            self._models.move_to_end(name)
            while len(self._models) > _KEPT:
                self._models.popitem(last=False)
        return model

    def swap(self, name: str, given: Path, out: Path, wish: Wish) -> Path:
        """Swap the face in a picture, and give the file that was written, which is marked; its kind is that of the picture.

        Args:
            name: of the model, as `load` takes it.
            given: the picture.
            out: the folder for the file.
            wish: what is to be done.

        Raises:
            CondswapError: the model cannot be loaded, the picture cannot be used, or no face was found in it. The message
                names the picture without its folder.
        """
        model = self._models.get(name) or self.load(name)
        if not given.is_file():
            raise DataError("the picture is no longer here, because uploads are not kept for long; give it once more")
        if given.suffix.lower() not in SUFFIXES:
            raise DataError(f"{given.name} is none of {', '.join(SUFFIXES)}; give a picture of one of these kinds")
        with self._lock, scratch() as folder:
            # A copy with nothing beside it: not the mask of a picture that somebody else gave.
            picture = folder / given.name
            shutil.copyfile(given, picture)
            written = out / f"{given.stem}-swapped{given.suffix.lower()}"
            look = Look(colour="mean" if wish.colours_follow else "none")
            try:
                if wish.is_cut:
                    _say_that_it_is_cut(picture)
                with Swapping(
                    model, to=wish.label, finder=self._faces, source=wish.source, only=wish.only, look=look
                ) as swapping:
                    swapping.swap(picture, written)
            except DataError as error:
                raise DataError(str(error).replace(str(picture), picture.name)) from error
        return written

    def _faces(self) -> FaceFinder:
        # Opened once: each opening asks the Hub whether there are newer weights. Without a mesh there is nothing to close.
        if self._finder is None:
            self._finder = FaceFinder(self._detector)
        return self._finder


def _say_that_it_is_cut(picture: Path) -> None:
    """Put a mask of the whole picture beside it, which is how a face says that it was cut out already."""
    _, height, width = read_picture(picture).shape
    if height != width:
        raise DataError(
            f"{picture.name} is {width} x {height}, and a face that is cut out already is square; leave that box empty to "
            "have the face found"
        )
    save_picture(torch.ones(1, height, width), picture.with_name(f"{picture.stem}.mask.png"))
