"""What `verify` tells, to people, to programs and by its exit code."""

import json
from pathlib import Path

import pytest
from keys import Files, make
from media import MODEL, PICTURES, SYNTHETIC, encoded, noise

from condswap.cli import main
from condswap.provenance import Mark, mark_file, sign, verify

MARK = Mark(model_id=MODEL, software="mine 1.2")
CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("keys") / "made")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "face.jpg"
    path.write_bytes(PICTURES["jpeg"])
    return path


def test_a_marked_picture(picture, capsys):
    mark_file(picture, MARK)
    assert main(["verify", str(picture)]) == 0
    assert capsys.readouterr().out == (
        f"{picture}: marked as synthetic\n"
        "  XMP   anybody can write or remove this\n"
        "        source type  real, with parts that a trained algorithm made (compositeWithTrainedAlgorithmicMedia)\n"
        "        software     mine 1.2\n"
        f"        model        {MODEL}\n"
        "  C2PA  none\n"
    )


def test_a_picture_without_a_mark(picture, capsys):
    assert main(["verify", str(picture)]) == 1
    told = capsys.readouterr()
    assert told.out == f"{picture}: not marked as synthetic\n  XMP   none\n  C2PA  none\n"
    assert told.err == ""


def test_a_signed_picture(picture, files, capsys):
    mark_file(picture, MARK)
    sign(picture, key=files.key, certificate=files.certificate)
    assert main(["verify", str(picture)]) == 0
    assert "valid, not trusted: unchanged since it was signed by somebody unknown" in capsys.readouterr().out
    assert main(["verify", str(picture), "--trust", str(files.authority)]) == 0
    told = capsys.readouterr().out
    assert "  C2PA  valid and trusted: unchanged since it was signed\n        signed by    Signer of Tests\n" in told
    assert told.count(MODEL) == 2


def test_a_picture_that_was_changed_after_it_was_signed(picture, files, capsys):
    mark_file(picture, MARK)
    sign(picture, key=files.key, certificate=files.certificate)
    with picture.open("ab") as file:
        file.write(b"more")
    assert main(["verify", str(picture)]) == 1
    assert ": marked as synthetic, with a C2PA manifest that is INVALID\n" in capsys.readouterr().out


def test_as_json(picture, files, capsys):
    assert main(["verify", str(picture), "--json"]) == 1
    nothing = {"path": str(picture), "synthetic": False, "invalid": False, "xmp": None, "c2pa": None}
    assert json.loads(capsys.readouterr().out) == nothing
    mark_file(picture, MARK)
    sign(picture, key=files.key, certificate=files.certificate)
    assert main(["verify", str(picture), "--json"]) == 0
    said = {"digital_source_type": SYNTHETIC, "software": "mine 1.2", "model_id": MODEL}
    assert json.loads(capsys.readouterr().out) == {
        "path": str(picture),
        "synthetic": True,
        "invalid": False,
        "xmp": said,
        "c2pa": {
            "state": "Valid",
            "reasons": ["signingCredential.untrusted"],
            "signer": "Signer of Tests",
            "said": said,
        },
    }


@pytest.mark.parametrize(
    ("url", "synthetic"),
    [
        (SYNTHETIC, True),
        (SYNTHETIC.replace("http:", "https:"), True),
        (SYNTHETIC.replace("compositeWithTrained", "trained"), True),
        (CAPTURED, False),
        ("trained", False),
    ],
)
def test_only_what_a_trained_algorithm_made_is_synthetic(url, synthetic, picture):
    mark_file(picture, Mark(digital_source_type=url))
    found = verify(picture)
    assert found.synthetic is synthetic
    assert found.xmp["digital_source_type"] == url


def test_another_source_type_is_told_and_is_no_mark(picture, capsys):
    mark_file(picture, Mark(digital_source_type=CAPTURED, software="camera"))
    assert main(["verify", str(picture)]) == 1
    told = capsys.readouterr().out
    assert ": not marked as synthetic\n" in told
    assert f"source type  {CAPTURED}\n" in told


def test_words_of_strangers_do_nothing_to_a_terminal(tmp_path):
    packet = (
        "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description xmlns:t='http://ns.adobe.com/xap/1.0/'>"
        f"<t:CreatorTool>a\u009b31m\u202e&#10;{'b' * 300}</t:CreatorTool></r:Description></r:RDF>"
    )
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(noise(), "JPEG", xmp=packet.encode()))
    assert f"software     a\ufffd31m\ufffd\ufffd{'b' * 193}...\n" in verify(path).to_text()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "No such file or directory; give the name of a file"),
        (b"", "it is empty"),
        (b"words", "it is no JPEG, PNG, WebP, MP4 or MOV"),
        (PICTURES["png"][:100], "it is broken, or it is cut off"),
        (encoded(noise(), "JPEG", xmp=b"<x"), "its XMP is not XML"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(data, told, tmp_path, capsys):
    path = tmp_path / "file"
    if data is not None:
        path.write_bytes(data)
    assert main(["verify", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"condswap: cannot use {path}: {told}")
    assert said.err.count("\n") == 1
