"""The mark as XMP: read by an XML parser of its own here, and whatever strangers write is read or refused."""

from importlib.metadata import version
from xml.etree import ElementTree

import pytest
from media import MODEL, SYNTHETIC

from condswap import ConfigError, DataError
from condswap.provenance import DIGITAL_SOURCE_TYPE, Mark
from condswap.provenance.mark import properties_of

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"
MODEL_ID = "{urn:condswap:provenance#}ModelID"

START = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#' "
    "xmlns:i='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' "
    "xmlns:t='http://ns.adobe.com/xap/1.0/' xmlns:c='urn:condswap:provenance#'>"
)
END = "</r:RDF></x:xmpmeta>"


def described(packet: bytes) -> dict[str, str]:
    """The attributes of the one description in a packet."""
    tree = ElementTree.fromstring(packet.decode().lstrip("\ufeff"))
    assert tree.tag == "{adobe:ns:meta/}xmpmeta"
    (rdf,) = tree
    assert rdf.tag == f"{RDF}RDF"
    (description,) = rdf
    assert description.tag == f"{RDF}Description"
    return dict(description.attrib)


def test_the_packet_is_xmp_that_says_all_of_it():
    packet = Mark(model_id=MODEL, software="a <b> & \"c\" 'd' \u00e9\u4f60").packet()
    assert described(packet) == {
        f"{RDF}about": "",
        IPTC: SYNTHETIC,
        TOOL: "a <b> & \"c\" 'd' \u00e9\u4f60",
        MODEL_ID: MODEL,
    }
    # The wrapper by which a packet is found in files of unknown formats.
    assert packet.startswith(b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith(b'<?xpacket end="w"?>')


def test_without_a_model_it_says_only_what_is_known():
    assert described(Mark().packet()) == {f"{RDF}about": "", IPTC: SYNTHETIC, TOOL: f"condswap {version('condswap')}"}
    assert DIGITAL_SOURCE_TYPE == SYNTHETIC


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"model_id": "abc"}, "64 hexadecimal digits"),
        ({"model_id": MODEL.upper()}, "64 hexadecimal digits"),
        ({"model_id": f"{MODEL}\n"}, "64 hexadecimal digits"),
        ({"software": " "}, "software=' '"),
        ({"software": "two\nlines"}, "one line"),
        ({"software": "a" * 1025}, "1024 letters"),
        ({"digital_source_type": ""}, "digital_source_type"),
        ({"software": "\ud800"}, "one line"),
    ],
)
def test_what_cannot_be_written_is_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        Mark(**settings)


def test_it_is_read_back():
    mark = Mark(model_id=MODEL, software="a <b> & \"c\" 'd'")
    assert properties_of(mark.packet()) == {
        "digital_source_type": SYNTHETIC,
        "software": "a <b> & \"c\" 'd'",
        "model_id": MODEL,
    }


@pytest.mark.parametrize(
    "text",
    [
        f"{START}<r:Description r:about='' i:DigitalSourceType='here' t:CreatorTool='x'/>{END}",
        f"{START}<r:Description><i:DigitalSourceType> here </i:DigitalSourceType></r:Description>"
        f"<r:Description><t:CreatorTool>x</t:CreatorTool></r:Description>{END}",
        f"{START}<r:Description t:CreatorTool='x'><i:DigitalSourceType r:resource='here'/></r:Description>{END}",
        f"{START}<r:Description><t:CreatorTool>x</t:CreatorTool><i:DigitalSourceType><r:Alt><r:li>here</r:li></r:Alt>"
        f"</i:DigitalSourceType></r:Description>{END}",
        f"\ufeff{START}<r:Description i:DigitalSourceType='here' t:CreatorTool='x'/>{END}\0\0",
        # Without the outermost element, which is not required.
        f"{START.partition('>')[2]}<r:Description i:DigitalSourceType='here' t:CreatorTool='x'/></r:RDF>",
    ],
    ids=["attributes", "elements", "resource", "list", "padded", "bare"],
)
def test_every_way_to_write_it_is_read(text):
    assert properties_of(text.encode()) == {"digital_source_type": "here", "software": "x"}


def test_what_is_said_about_other_files_is_not_said_about_this_one():
    text = (
        f"{START}<r:Description xmlns:m='urn:m'><m:Pantry><r:Bag><r:li><r:Description i:DigitalSourceType='other'>"
        "<t:CreatorTool>other</t:CreatorTool></r:Description></r:li></r:Bag></m:Pantry></r:Description>"
        f"<i:DigitalSourceType>loose</i:DigitalSourceType>{END}"
    )
    assert properties_of(text.encode()) == {}
    assert properties_of(b"<a i='x'><b/>words</a>") == {}
    # The same name under another namespace is another name.
    assert (
        properties_of(
            START.replace("2008-02-29", "x").encode() + b"<r:Description i:DigitalSourceType='x'/>" + END.encode()
        )
        == {}
    )


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (BOMB.encode(), "DOCTYPE"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "DOCTYPE"),
        (BOMB.encode("utf-16"), "DOCTYPE"),
        (b"<a>&undefined;</a>", "not XML"),
        (b"<a>" * 300, "nested"),
        (b"\xff\xfe", "not XML"),
        (b"<a>\xe9</a>", "not XML"),
        (b"", "not XML"),
        (b"words", "not XML"),
        (f"{START}<r:Description t:CreatorTool='{'a' * 1025}'/>{END}".encode(), "1025 letters"),
        (
            f"{START}<r:Description><t:CreatorTool>{'a' * 1025}</t:CreatorTool></r:Description>{END}".encode(),
            "1025 letters",
        ),
    ],
)
def test_what_is_hostile_or_broken_is_refused(packet, told):
    with pytest.raises(DataError, match=told):
        properties_of(packet)


def test_a_packet_cut_off_anywhere_is_refused():
    packet = Mark(model_id=MODEL).packet()
    whole = packet.index(b"</x:xmpmeta>") + len(b"</x:xmpmeta>")
    for end in range(whole):
        with pytest.raises(DataError):
            properties_of(packet[:end])
    assert properties_of(packet[:whole])["model_id"] == MODEL
