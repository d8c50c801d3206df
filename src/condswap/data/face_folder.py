"""A folder of face pictures, one folder a class, as a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from condswap.data.faces import Face, Faces, read_faces
from condswap.data.layout import SUFFIXES, lay_out, lay_out_each
from condswap.data.reading import decode
from condswap.decoding import require_pillow
from condswap.errors import ConfigError, DataError

_SMALLEST = 16


class FaceFolder(Faces):
    """The face pictures of `root/<class>/*.{jpg,jpeg,png,webp}` with their masks.

    An item is `{"image": float32 (3, s, s) RGB in [0, 1], "mask": float32 (1, s, s) in [0, 1], "label": int}`; items
    are in the order of their classes, then of their names. The mask of `name.jpg` is `name.mask.png` beside it, or else
    the picture's alpha channel, or else what DeepFaceLab wrote into it (the mask, or the hull of the landmarks), or else
    all ones: those pictures are listed in `without_mask`.

    Facesets of DeepFaceLab are read as they are: a workspace with `data_src/aligned` and `data_dst/aligned`, whose classes
    are then `data_dst` and `data_src`, or one folder a person; a folder may hold a `faceset.pak` in place of pictures, and
    `root` may be a pak, or hold one, that says who is who. The pickles inside are read by `condswap.safe_pickle`, which
    runs nothing. Links that lead out of `root` are not followed.

    Every file is read once here, so that a picture that cannot be used is known before training: it is left out and
    listed in `unreadable` as (path, reason). `classes` chooses and orders the folders; None takes all, sorted.
    `image_size` is the side of the squares. `cache` is how many bytes of decoded pictures stay in memory; the others
    are decoded again at each access. Folders in a class's folder are not entered.

    Where people lie in several places, `root` says whose each is: `FaceFolder({"ada": "one/data_src", "bo": "two/data_src"})`.

    Raises `DataError` for a folder in which nothing can be used, a class without a usable picture and an unknown class,
    `ConfigError` for a wrong argument and when Pillow is missing.

    >>> import tempfile, torch
    >>> from condswap.pictures import save_picture
    >>> with tempfile.TemporaryDirectory() as root:
    ...     (Path(root) / "ada").mkdir()
    ...     save_picture(torch.ones(3, 32, 32), Path(root) / "ada" / "one.png")
    ...     data = FaceFolder(root, image_size=16)
    >>> data.classes, len(data), tuple(data[0]["image"].shape)
    (('ada',), 1, (3, 16, 16))
    """

    unreadable: tuple[tuple[Path, str], ...]
    """The files that are left out, each with the reason."""

    def __init__(
        self,
        root: Path | str | Mapping[str, Path | str],
        *,
        image_size: int = 64,
        classes: Sequence[str] | None = None,
        cache: int = 2**30,
    ) -> None:
        """Find the pictures and read each one once."""
        for name, value, least in (("image_size", image_size, _SMALLEST), ("cache", cache, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name}={value!r} is not a whole number from {least} on")
        require_pillow()
        self.image_size = image_size
        if isinstance(root, Mapping):
            if classes is not None:
                raise ConfigError("classes= chooses from one folder; of several places name those that you want")
            places = {name: Path(place) for name, place in root.items()}
            self._where = ", ".join(map(str, places.values()))
            self.classes, pictures, refused = lay_out_each(places)
        else:
            self._where = str(root)
            self.classes, pictures, refused = lay_out(Path(root), classes)
        rows = min(len(pictures), cache // (4 * image_size**2))
        # One tensor for all: a worker process gets it as one piece of shared memory.
        self._pixels = torch.empty(rows, 4, image_size, image_size, dtype=torch.uint8)
        self._whole = []
        for face, pixels in read_faces(pictures, image_size, refused=refused, title=f"reading {self._where}"):
            row = len(self._whole) if len(self._whole) < rows else -1
            if row >= 0:
                self._pixels[row] = pixels
            self._whole.append(face._replace(row=row))
        self._hold(self._whole)
        self.unreadable = tuple(sorted(refused))
        self._refuse_empty_classes()

    def _pixels_of(self, face: Face) -> Tensor:
        if face.row >= 0 or face.found is None:
            return super()._pixels_of(face)
        try:
            return decode(face.found, self.image_size).pixels
        except DataError as error:
            raise DataError(f"cannot use {face.path} any more: {error}; build the FaceFolder again") from error

    def _refuse_empty_classes(self) -> None:
        used = set(self.labels)
        empty = [name for label, name in enumerate(self.classes) if label not in used]
        if not empty:
            return
        told = [(path, reason) for path, reason in self.unreadable if {one.name for one in path.parents} & set(empty)]
        reasons = "".join(f"\n  {path}: {reason}" for path, reason in told[:3])
        more = f"\n  ... and {len(told) - 3} more" if len(told) > 3 else ""
        if len(empty) == len(self.classes):
            raise DataError(
                f"{self._where} has no picture that can be used ({', '.join(SUFFIXES)} in a folder per class: "
                f"{', '.join(empty)}); add pictures{' or mend these' if told else ''}{reasons}{more}"
            )
        raise DataError(
            f"class {', '.join(map(repr, empty))} in {self._where} has no picture that can be used; add pictures "
            f"({', '.join(SUFFIXES)}), remove the folder, or choose others with classes={reasons}{more}"
        )
