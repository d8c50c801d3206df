"""The mark: that a face in the picture was made by a trained algorithm, and by which model; as an XMP packet."""

import re
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from condswap.errors import ConfigError, DataError

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""The IPTC's word for a real picture with parts that a trained algorithm made, such as a swapped face."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
# A name of our own has to begin with a namespace, which leads nowhere: it is a name, not an address.
_NAMESPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "condswap": "urn:condswap:provenance#",
}
_PROPERTIES = {
    "digital_source_type": ("Iptc4xmpExt", "DigitalSourceType"),
    "software": ("xmp", "CreatorTool"),
    "model_id": ("condswap", "ModelID"),
}
_KNOWN = {f"{_NAMESPACES[prefix]} {name}": key for key, (prefix, name) in _PROPERTIES.items()}
_TOP = [[f"{_RDF} RDF"], [f"{_META} xmpmeta", f"{_RDF} RDF"]]  # what a description of the whole file lies in
_LONGEST = 1024  # letters of a value
_DEEPEST = 256


def _this_software() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"condswap {version('condswap')}"
    except PackageNotFoundError:  # run from the source without being installed
        return "condswap"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is written into a file about how it was made.

    Args:
        model_id: the checksum of the model's weights, as in its config.json: 64 hexadecimal digits. None where it is not known.
        software: what made the file.
        digital_source_type: a word of the IPTC's, as a URL.

    Raises:
        ConfigError: the id is no checksum, or a text is empty, very long, or has letters that do not print.

    Example:
        >>> Mark(model_id="ab" * 32).digital_source_type.rpartition("/")[2]
        'compositeWithTrainedAlgorithmicMedia'
    """

    model_id: str | None = None
    software: str = field(default_factory=_this_software)
    digital_source_type: str = DIGITAL_SOURCE_TYPE

    def __post_init__(self) -> None:
        """Refuse what cannot be written."""
        if self.model_id is not None and not re.fullmatch("[0-9a-f]{64}", self.model_id):
            raise ConfigError(
                f"model_id={self.model_id!r} is no checksum of 64 hexadecimal digits; take sha256 from the model's config.json"
            )
        for name in ("software", "digital_source_type"):
            text = getattr(self, name)
            if not text.strip() or not text.isprintable() or len(text) > _LONGEST:
                raise ConfigError(f"{name}={text!r} has to be one line of text, of {_LONGEST} letters at most")

    def packet(self) -> bytes:
        """Give the XMP packet, which every reader of XMP understands.

        Example:
            >>> properties_of(Mark(software="mine").packet())["software"]
            'mine'
        """
        given = {key: getattr(self, key) for key in _PROPERTIES if getattr(self, key) is not None}
        said = "".join(
            f"\n    {prefix}:{name}={quoteattr(given[key])}"
            for key, (prefix, name) in _PROPERTIES.items()
            if key in given
        )
        spaces = "".join(f"\n    xmlns:{prefix}={quoteattr(url)}" for prefix, url in _NAMESPACES.items())
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
            f'<x:xmpmeta xmlns:x="{_META}">\n'
            f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
            f'  <rdf:Description rdf:about=""{spaces}{said}/>\n'
            " </rdf:RDF>\n"
            "</x:xmpmeta>\n"
            '<?xpacket end="w"?>'
        ).encode()


def properties_of(packet: bytes) -> dict[str, str]:
    """Read from an XMP packet of anyone's what a `Mark` says, as far as it is there.

    Args:
        packet: XML in UTF-8. It is read piece by piece, and nothing in it is expanded or fetched.

    Returns:
        of "digital_source_type", "software" and "model_id" those that are there, unchecked.

    Raises:
        DataError: it is not XML, or declares entities. The message is the reason alone.

    Example:
        >>> properties_of(b"<a/>")
        {}
    """
    reader = _Reader()
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        # Writers leave room for changes at the end of a packet, some of them with zeros.
        parser.Parse(packet.strip(b"\0"), True)
    except expat.ExpatError as error:
        raise DataError(f"its XMP is not XML: {error}") from error
    return reader.found


class _Reader:
    """Takes the properties from what the parser reports: as attributes, or as elements with text or a resource."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._path: list[str] = []
        self._key: str | None = None
        self._words: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        # Deeper down are descriptions of other files, such as those that this one was made from.
        if name == f"{_RDF} Description" and self._path in _TOP:
            for attribute, value in attributes.items():
                self._keep(_KNOWN.get(attribute), value)
        elif self._path[-1:] == [f"{_RDF} Description"] and self._path[:-1] in _TOP:
            self._key, self._words = _KNOWN.get(name), []
            self._keep(self._key, attributes.get(f"{_RDF} resource", ""))
        if len(self._path) == _DEEPEST:
            raise DataError(f"its XMP is nested more than {_DEEPEST} deep")
        self._path.append(name)

    def end(self, name: str) -> None:
        self._path.pop()
        if self._key is not None and self._path[:-1] in _TOP:
            self._keep(self._key, "".join(self._words))
            self._key = None

    def text(self, words: str) -> None:
        if self._key is not None:
            self._words.append(words)

    def doctype(self, *_: object) -> None:
        raise DataError("its XMP has a DOCTYPE, which no XMP needs and which can hide an attack")

    def _keep(self, key: str | None, value: str) -> None:
        value = value.strip()
        if key is not None and value:
            if len(value) > _LONGEST:
                raise DataError(
                    f"the {key} in its XMP has {len(value)} letters, more than the {_LONGEST} that are read"
                )
            self.found.setdefault(key, value)
