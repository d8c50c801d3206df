"""A model folder of DeepFaceLab's: which files belong to the model, and what its data.dat says."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from condswap.errors import DataError
from condswap.safe_pickle import Array, loads

_PARTS = "encoder|inter|inter_AB|inter_B|decoder|decoder_src|decoder_dst"
# data.dat has the loss of every step, about four values each, and there were models of more than a million steps.
_MOST_VALUES = 2**24
_BACKUP = "a copy may be in the folder's ..._autobackups"


class ModelFolder(NamedTuple):
    """The files of one model in a folder.

    Attributes:
        path: the folder.
        prefix: what the names of the model's files begin with, such as "new_SAEHD_".
    """

    path: Path
    prefix: str

    def file(self, name: str) -> Path:
        """Give the path of one of the model's files."""
        return self.path / f"{self.prefix}{name}"

    def weights(self, name: str) -> dict[str, Array]:
        """Read the file of one network: its weights by their names.

        Raises:
            DataError: it is not there, or not a file of weights.
        """
        path = self.file(f"{name}.npy")
        found = _read(path, most=2**20)
        if not isinstance(found, dict) or not all(isinstance(value, Array) for value in found.values()):
            raise DataError(f"{path} does not hold weights by their names; is it a file of SAEHD's?")
        return found

    def facts(self) -> Mapping[str, Any]:
        """Read data.dat, in which DeepFaceLab keeps the options and the number of steps; {} where there is none.

        Raises:
            DataError: it is broken, or holds something else.
        """
        path = self.file("data.dat")
        if not path.exists():
            return {}
        try:
            found = _read(path, most=_MOST_VALUES)
        except DataError as error:
            raise DataError(f"{error}; or do without it: give archi and resolution") from error
        if not isinstance(found, dict) or not isinstance(found.get("options"), dict):
            raise DataError(f"{path} has no options; if it is of another model, give archi and resolution")
        return found


def find_model(folder: Path, name: str | None) -> ModelFolder:
    """Find the model in a folder.

    Args:
        folder: with files named encoder.npy or NAME_SAEHD_encoder.npy, and so on.
        name: of the model, where there are several.

    Raises:
        DataError: there is none, or there are several, or none of that name; the message lists what there is.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read: {error.strerror}; give the folder that DeepFaceLab's files are in"
        ) from error
    matches = [re.fullmatch(rf"((?:.*_)?SAEHD_|)(?:{_PARTS})\.npy", one) for one in names]
    prefixes = sorted({found[1] for found in matches if found})
    if name is not None:
        wanted = f"{name}_SAEHD_"
        if wanted not in prefixes:
            raise DataError(f"there is no SAEHD model called {name!r} in {folder}; there is: {_told(prefixes)}")
        return ModelFolder(folder, wanted)
    if len(prefixes) > 1:
        raise DataError(f"there are several models in {folder}: {_told(prefixes)}; say which by its name")
    if not prefixes:
        others = sorted({found[1] for one in names if (found := re.search(r"(?:^|_)(AMP|Quick96|XSeg)_", one))})
        told = f"it holds {' and '.join(others)}, which this does not read" if others else "is it DeepFaceLab's?"
        raise DataError(f"there is no SAEHD model in {folder}, no ..._SAEHD_encoder.npy and the like; {told}")
    return ModelFolder(folder, prefixes[0])


def _read(path: Path, *, most: int) -> Any:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"there is no {path.name} in {path.parent}; the model is not whole: {_BACKUP}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if not data:
        raise DataError(f"{path} is empty, as a power cut leaves it: {_BACKUP}")
    try:
        return loads(data, most=most)
    except DataError as error:
        raise DataError(f"{path}: {error}; if it was cut off, {_BACKUP}") from error


def _told(prefixes: list[str]) -> str:
    return (
        ", ".join(repr(prefix.removesuffix("SAEHD_").removesuffix("_") or "(no name)") for prefix in prefixes) or "none"
    )
