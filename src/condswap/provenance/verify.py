"""What a file says about how it was made, and whether that can be relied on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from condswap.provenance.containers import look, opened, properties
from condswap.provenance.manifest import Manifest, read_manifest

_SYNTHETIC = {
    "trainedAlgorithmicMedia": "made by a trained algorithm",
    "compositeWithTrainedAlgorithmicMedia": "real, with parts that a trained algorithm made",
}
_NAMES = {"software": "software", "model_id": "model"}
_SHOWN = 200  # letters of a value


@dataclass(frozen=True, kw_only=True)
class Found:
    """What `verify` found in a file.

    Attributes:
        path: of the file.
        xmp: of "digital_source_type", "software" and "model_id" those that its XMP says; None where it has none.
        manifest: its C2PA manifest, or None.
    """

    path: Path
    xmp: Mapping[str, str] | None
    manifest: Manifest | None

    @property
    def synthetic(self) -> bool:
        """Whether it says that a trained algorithm made it or a part of it."""
        told = (self.xmp or {}, self.manifest.said if self.manifest else {})
        return any(_word(said.get("digital_source_type", "")) in _SYNTHETIC for said in told)

    @property
    def invalid(self) -> bool:
        """Whether its manifest is broken: something was changed after it was signed."""
        return self.manifest is not None and self.manifest.state == "Invalid"

    def to_text(self) -> str:
        """Say it in a few lines for people."""
        head = "marked as synthetic" if self.synthetic else "not marked as synthetic"
        if self.invalid:
            head += ", with a C2PA manifest that is INVALID"
        return "\n".join([f"{_clean(str(self.path))}: {head}", *self._about_xmp(), *self._about_manifest()]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as JSON takes it."""
        return {
            "path": str(self.path),
            "synthetic": self.synthetic,
            "invalid": self.invalid,
            "xmp": None if self.xmp is None else dict(self.xmp),
            "c2pa": None if self.manifest is None else asdict(self.manifest),
        }

    def _about_xmp(self) -> list[str]:
        if self.xmp is None:
            return ["  XMP   none"]
        return ["  XMP   anybody can write or remove this", *_lines(self.xmp)]

    def _about_manifest(self) -> list[str]:
        if self.manifest is None:
            return ["  C2PA  none"]
        one, reasons = self.manifest, "; ".join(_clean(reason) for reason in self.manifest.reasons)
        changed = any(reason.endswith("Hash.mismatch") for reason in one.reasons)
        state = {
            "Trusted": "valid and trusted: unchanged since it was signed",
            "Valid": "valid, not trusted: unchanged since it was signed by somebody unknown; --trust says whom to trust",
            "not checked": f"there is a manifest, not checked: {reasons}",
        }.get(one.state, f"INVALID: {'the file was changed after it was signed; ' * changed}{reasons}")
        signed = [f"        signed by    {_clean(one.signer)}"] if one.signer else []
        return [f"  C2PA  {state}", *signed, *_lines(one.said)]


def verify(path: Path | str, *, trust: Path | str | None = None) -> Found:
    """Read back how a file says it was made, from its XMP and from its C2PA manifest.

    That nothing is found says nothing: any file can lose its marks. A manifest is checked with c2pa-python (the extra
    `c2pa`); without it, it is only said that there is one.

    Args:
        path: of a JPEG, PNG, WebP, MP4 or MOV, of anyone's.
        trust: certificates of those who may vouch for a signer, PEM.

    Raises:
        DataError: the file is none of these, or is broken.
        ConfigError: `trust` holds no certificates, or c2pa-python is missing to use it.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from condswap.provenance import Mark, mark_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (4, 4)).save(f"{folder}/face.jpg")
        ...     before = verify(f"{folder}/face.jpg").synthetic
        ...     mark_file(f"{folder}/face.jpg", Mark())
        ...     before, verify(f"{folder}/face.jpg").synthetic
        (False, True)
    """
    path = Path(path)
    with opened(path) as file:
        held = look(file)
        xmp = properties(held)
    manifest = read_manifest(path, trust=None if trust is None else Path(trust)) if held.manifest else None
    return Found(path=path, xmp=xmp, manifest=manifest)


def _word(url: str) -> str:
    """Give the last word of a URL of the IPTC's, which is written with http and with https."""
    return url.rstrip("/").rpartition("/")[2]


def _lines(said: Mapping[str, str]) -> list[str]:
    """Say what a mark says, one line each."""
    lines = []
    if "digital_source_type" in said:
        word = _word(said["digital_source_type"])
        meaning = f"{_SYNTHETIC[word]} ({word})" if word in _SYNTHETIC else _clean(said["digital_source_type"])
        lines.append(f"        source type  {meaning}")
    return lines + [f"        {name:<12} {_clean(said[key])}" for key, name in _NAMES.items() if key in said]


def _clean(text: str) -> str:
    """Give a text of a stranger's as one line that does nothing to a terminal."""
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
