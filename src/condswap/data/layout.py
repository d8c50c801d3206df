"""Which files of a folder are faces, and of whom: one folder a person, or what DeepFaceLab leaves behind."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from condswap.data.dfl_pak import NAME, Packed, list_pak
from condswap.errors import ConfigError, DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_OTHER_SUFFIXES = (".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jxl", ".tif", ".tiff")
_MASK = ".mask.png"
_ALIGNED = "aligned"  # where DeepFaceLab puts the faces beside the frames that they were cut from


class Found(NamedTuple):
    """One picture: its file, its class, the file of its mask, and where it lies in a pak."""

    path: Path
    """Of the file; of a face in a pak, the pak's with the name of the face behind."""
    label: int
    mask: Path | None = None
    packed: Packed | None = None


class Layout(NamedTuple):
    """What there is in a folder."""

    classes: tuple[str, ...]
    pictures: list[Found]
    """In the order of their classes, then of their names."""
    refused: list[tuple[Path, str]]
    """What looks like a picture or a class and is not read, each with the reason."""


def lay_out(root: Path, chosen: Sequence[str] | None) -> Layout:
    """Find the classes of a folder, or of a pak, and their pictures; none is opened.

    A class is a folder in `root`: its pictures and those of its `faceset.pak`, or those in its folder `aligned` if it has
    one. If any has one then this is a workspace of DeepFaceLab's, and folders without are no classes unless they are
    chosen. A pak in `root` that says who is who adds its people. Links that lead out of `root` are refused.

    Args:
        root: the folder, or a pak.
        chosen: the classes to take, in their order; None takes all, sorted.

    Raises:
        DataError: there is no class, or one that is chosen is not there.
        ConfigError: the choice is not a list of different names.
    """
    check_choice(chosen)
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder that has one folder of pictures per class")
    refused: list[tuple[Path, str]] = []
    people: dict[str, list[Packed]] = {}
    folders: dict[str, Path] = {}
    pak = root / NAME
    if root.is_dir():
        visible = _visible(root, inside=root, refused=refused)
        folders = {entry.name: entry for entry in visible if entry.is_dir()}
        if pak in visible:
            people = _people(pak)
    elif root.suffix == ".pak":
        visible, pak = [], root
        people = _people(pak)
    else:
        raise DataError(f"{root} is a file; give a folder that has one folder of pictures per class")
    known = sorted({*folders, *people})
    if not known:
        raise DataError(_nothing(root, visible))
    if chosen is None:
        workspace = any((folder / _ALIGNED).is_dir() for folder in folders.values())
        left = [name for name in known if workspace and name not in people and not (folders[name] / _ALIGNED).is_dir()]
        refused += [(folders[name], f"it has no folder {_ALIGNED!r}, as others here do") for name in left]
        chosen = [name for name in known if name not in left]
    check_known(chosen, known, root)
    pictures: list[Found] = []
    for label, name in enumerate(chosen):
        if name in folders:
            pictures += _in_folder(folders[name], label, root, refused)
        pictures += [Found(pak / face.name, label, packed=face) for face in people.get(name, ())]
    return Layout(tuple(chosen), pictures, refused)


def lay_out_each(places: Mapping[str, Path]) -> Layout:
    """Find the pictures of people who each have a folder of their own, somewhere; none is opened.

    Args:
        places: the folder of each class: with its pictures in it, in its folder `aligned`, or in a `faceset.pak`.

    Raises:
        DataError: a folder is not there, or is a whole workspace of DeepFaceLab's.
        ConfigError: there are none.
    """
    if not places:
        raise ConfigError("root={} names nobody; give {'ada': 'one/aligned', 'bo': 'two/aligned'}, or a folder of all")
    pictures: list[Found] = []
    refused: list[tuple[Path, str]] = []
    for label, (name, folder) in enumerate(places.items()):
        if not folder.is_dir():
            raise DataError(f"{folder}, the folder of {name!r}, does not exist")
        for side in ("data_src", "data_dst"):
            if (folder / side).is_dir():
                raise DataError(f"{folder} is a whole workspace; say who of it {name!r} is: {folder / side}")
        pictures += _in_folder(folder, label, folder, refused)
    return Layout(tuple(places), pictures, refused)


def check_choice(chosen: Sequence[str] | None) -> None:
    """Refuse what is no list of different names, or None for all.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(chosen, str) or (chosen is not None and (not chosen or len(set(chosen)) < len(chosen))):
        raise ConfigError(f"classes={chosen!r} is not a list of different names, such as ['ada', 'bo']")


def check_known(chosen: Sequence[str], known: Sequence[str], place: Path) -> None:
    """Refuse classes that are not there.

    Raises:
        DataError: one is not.
    """
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise DataError(f"{place} has no class {', '.join(map(repr, unknown))}; its classes are {', '.join(known)}")


def _in_folder(folder: Path, label: int, root: Path, refused: list[tuple[Path, str]]) -> list[Found]:
    """Find the pictures of one class, and the files that look like pictures but are none of ours."""
    if (folder / _ALIGNED).is_dir():
        folder = folder / _ALIGNED
        _stays_inside(folder, root)
    files = [entry for entry in _visible(folder, inside=root, refused=refused) if not entry.is_dir()]
    masks = {file.name[: -len(_MASK)]: file for file in files if file.name.lower().endswith(_MASK)}
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES and not file.name.lower().endswith(_MASK)]
    refused += [
        (file, f"{file.suffix} is not read here; convert it to JPEG, PNG or WebP")
        for file in files
        if file.suffix.lower() in _OTHER_SUFFIXES
    ]
    stems = {picture.stem for picture in pictures}
    refused += [(file, "a mask without its picture") for stem, file in masks.items() if stem not in stems]
    found = [Found(picture, label, masks.get(picture.stem)) for picture in pictures]
    pak = folder / NAME
    if pak in files:
        packed = _packed(pak)
        people = {face.person for face in packed} - {None}
        if people:
            raise DataError(
                f"{pak} has several people ({', '.join(sorted(map(str, people))[:3])}, ...) and lies in the folder of one; "
                f"give {folder} itself"
            )
        found += [Found(pak / face.name, label, packed=face) for face in packed]
    return found


def _people(pak: Path) -> dict[str, list[Packed]]:
    """Give the faces of a pak by person."""
    people: dict[str, list[Packed]] = {}
    for face in _packed(pak):
        if face.person is None:
            raise DataError(
                f"{pak} does not say whom {face.name} shows; move the pak into a folder named after the person: "
                f"{pak.parent / 'NAME' / pak.name}"
            )
        people.setdefault(face.person, []).append(face)
    return people


def _packed(pak: Path) -> list[Packed]:
    try:
        return list_pak(pak)
    except DataError as error:
        raise DataError(f"cannot use {pak}: {error}") from error


def _nothing(root: Path, visible: Iterable[Path]) -> str:
    loose = sum(entry.suffix.lower() in SUFFIXES for entry in visible)
    if loose:
        return (
            f"{root} has {loose} picture files but no folder per class; move them into a folder named after the "
            f"person: {root / 'NAME'}"
        )
    return f"{root} has no folder of pictures; make one per class: {root / 'NAME' / 'picture.jpg'}"


def _visible(folder: Path, *, inside: Path, refused: list[tuple[Path, str]]) -> list[Path]:
    """List what is not hidden in a folder, by name; links that lead out of another one are refused."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot look into {folder}: {error.strerror}; allow reading it, or choose another") from error
    kept = []
    for entry in entries:
        try:
            _stays_inside(entry, inside)
        except DataError as error:
            refused.append((entry, str(error)))
        else:
            kept.append(entry)
    return kept


def _stays_inside(entry: Path, root: Path) -> None:
    """Refuse a link that leads out of `root`, or nowhere."""
    if entry.is_symlink() and not entry.resolve().is_relative_to(root.resolve()):
        raise DataError(f"a link that leads out of {root}; copy what it leads to, or give that folder itself")
