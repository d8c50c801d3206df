"""C2PA manifests: what is signed is read by the library itself, and nothing but a fitting key and file is signed."""

import json
import random
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from keys import Files, make
from media import MODEL, PICTURES, SYNTHETIC, decoded, packets, pixels, write_video

from condswap import ConfigError, DataError
from condswap.provenance import Mark, mark_file, read_mark, sign, verify

MARK = Mark(model_id=MODEL, software="mine 1.2")
SAID = {"digital_source_type": SYNTHETIC, "software": "mine 1.2", "model_id": MODEL}
KINDS = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "mp4": "video/mp4", "mov": "video/quicktime"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("keys") / "made")


def marked_file(folder: Path, kind: str) -> Path:
    path = folder / f"a.{kind}"
    if kind in PICTURES:
        path.write_bytes(PICTURES[kind])
    else:
        write_video(path)
    mark_file(path, MARK)
    return path


@pytest.fixture
def marked_jpeg(tmp_path: Path) -> Path:
    return marked_file(tmp_path, "jpeg")


def signed(path: Path, files: Files) -> Path:
    sign(path, key=files.key, certificate=files.certificate)
    return path


def by_the_library(path: Path, mime: str, *, trust: Path | None = None) -> dict[str, Any]:
    settings = {"trust": {"trust_anchors": trust.read_text()}} if trust else {}
    with path.open("rb") as file, c2pa.Reader(mime, file, context=c2pa.Context.from_dict(settings)) as reader:
        return json.loads(reader.json())


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_signed_says_what_the_mark_says(kind, files, tmp_path):
    path = marked_file(tmp_path, kind)
    before = path.stat().st_size
    found = by_the_library(signed(path, files), KINDS[kind], trust=files.authority)
    assert found["validation_state"] == "Trusted"
    assert list(found["manifests"]) == [found["active_manifest"]]
    manifest = found["manifests"][found["active_manifest"]]
    # Beside ours there may be the library's own, such as the checksums of a video.
    (actions,) = [one for one in manifest["assertions"] if one["label"].startswith("c2pa.actions")]
    (model,) = [one for one in manifest["assertions"] if not one["label"].startswith("c2pa.")]
    assert actions["data"]["actions"] == [
        {
            "action": "c2pa.created",
            "softwareAgent": {"name": "mine", "version": "1.2"},
            "digitalSourceType": SYNTHETIC,
        }
    ]
    assert (model["label"], model["data"]) == ("condswap.model", {"sha256": MODEL})
    assert manifest["claim_generator_info"][0]["name"] == "mine"
    assert "thumbnail" not in manifest
    assert "time" not in manifest["signature_info"]  # nobody was asked for the time
    assert path.stat().st_size - before < 8000
    assert read_mark(path) == SAID
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", list(KINDS))
def test_signing_changes_nothing_that_is_seen_or_heard(kind, files, tmp_path):
    path = marked_file(tmp_path, kind)
    if kind in PICTURES:
        signed(path, files)
        assert pixels(path.read_bytes()) == pixels(PICTURES[kind])
    else:
        before, frames = packets(path), list(decoded(path))
        signed(path, files)
        assert packets(path) == before
        assert list(decoded(path)) == frames


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("P-256", "Es256"), ("P-384", "Es384"), ("P-521", "Es512"), ("Ed25519", "Ed25519"), ("RSA", "Ps256")],
)
def test_the_key_says_how_it_is_signed(kind, algorithm, marked_jpeg, tmp_path):
    files = make(tmp_path / "keys", kind=kind)
    found = by_the_library(signed(marked_jpeg, files), "image/jpeg", trust=files.authority)
    assert found["validation_state"] == "Trusted"
    assert found["manifests"][found["active_manifest"]]["signature_info"]["alg"] == algorithm


def test_a_mark_without_a_model_is_signed_too(files, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PICTURES["png"])
    mark_file(path, Mark(software="mine"))
    assert verify(signed(path, files)).manifest.said == {"digital_source_type": SYNTHETIC, "software": "mine"}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_changed_byte_is_found(kind, files, tmp_path):
    path = signed(marked_file(tmp_path, kind), files)
    data = bytearray(path.read_bytes())
    packet = data.index(MARK.packet())
    data[packet + MARK.packet().index(MODEL.encode())] ^= 1  # the model's id in the XMP
    if kind == "png":  # by somebody who knows of its checksum
        end = packet + len(MARK.packet())
        chunk = data.rindex(b"iTXt", 0, packet)
        data[end : end + 4] = zlib.crc32(data[chunk:end]).to_bytes(4)
    path.write_bytes(data)
    found = verify(path, trust=files.authority)
    assert found.manifest.state == "Invalid"
    assert found.invalid
    assert [reason for reason in found.manifest.reasons if reason.endswith("Hash.mismatch")]
    assert "INVALID: the file was changed after it was signed" in found.to_text()


def test_who_signed_is_trusted_only_by_those_who_trust_the_authority(files, marked_jpeg, tmp_path):
    signed(marked_jpeg, files)
    found = verify(marked_jpeg)
    assert (found.manifest.state, found.manifest.reasons) == ("Valid", ("signingCredential.untrusted",))
    assert found.manifest.signer == "Signer of Tests"
    assert found.manifest.said == SAID
    assert "by somebody unknown" in found.to_text()
    assert verify(marked_jpeg, trust=files.authority).manifest.state == "Trusted"
    another = make(tmp_path / "another")
    assert verify(marked_jpeg, trust=another.authority).manifest.state == "Valid"


def refused(path: Path, error: type[Exception], told: str, **credentials: Path) -> None:
    before = path.read_bytes()
    names = sorted(file.name for file in path.parent.iterdir())
    with pytest.raises(error, match=told):
        sign(path, **credentials)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == names


def test_keys_and_certificates_that_do_not_fit_are_refused(files, marked_jpeg, tmp_path):
    another = make(tmp_path / "another")
    key, certificate = files.key, files.certificate
    words = tmp_path / "words.pem"
    words.write_text("words")
    refused(marked_jpeg, ConfigError, "is not that of the key", key=another.key, certificate=certificate)
    refused(marked_jpeg, ConfigError, "locked with a password.*openssl pkey", key=files.locked, certificate=certificate)
    refused(marked_jpeg, ConfigError, "words.pem is no private key", key=words, certificate=certificate)
    refused(marked_jpeg, ConfigError, "certificate.pem is no private key", key=certificate, certificate=certificate)
    refused(marked_jpeg, ConfigError, "words.pem is no certificate", key=key, certificate=words)
    refused(marked_jpeg, ConfigError, "is not that of the key", key=key, certificate=files.authority)
    refused(marked_jpeg, DataError, "none.pem.*give the name of a file", key=tmp_path / "none.pem", certificate=words)


@pytest.mark.parametrize(
    "settings",
    [{"days": (-9, -1)}, {"days": (1, 9)}, {"purpose": ExtendedKeyUsageOID.SERVER_AUTH}],
    ids=["expired", "not yet", "of a server"],
)
def test_certificates_that_c2pa_does_not_take_are_refused(settings, marked_jpeg, tmp_path):
    files = make(tmp_path / "keys", **settings)
    told = r"certificate.pem cannot be used to sign with: .*C2PA needs a certificate that is valid now"
    refused(marked_jpeg, ConfigError, told, key=files.key, certificate=files.certificate)


def test_a_key_with_which_c2pa_does_not_sign_is_refused(marked_jpeg, tmp_path):
    files = make(tmp_path / "keys", kind="secp256k1")
    refused(marked_jpeg, ConfigError, "P-256", key=files.key, certificate=files.certificate)


def test_only_a_finished_file_is_signed_and_only_once(files, marked_jpeg, tmp_path):
    credentials = {"key": files.key, "certificate": files.certificate}
    bare = tmp_path / "bare.jpg"
    bare.write_bytes(PICTURES["jpeg"])
    refused(bare, DataError, "bare.jpg: it bears no mark", **credentials)
    bare.write_bytes(PICTURES["jpeg"][:200])
    refused(bare, DataError, "bare.jpg: it is broken", **credentials)
    bare.write_bytes(b"words")
    refused(bare, DataError, "bare.jpg: it is no JPEG", **credentials)
    signed(marked_jpeg, files)
    refused(marked_jpeg, DataError, "has a C2PA manifest already", **credentials)


def test_what_the_library_cannot_sign_is_left_as_it_was(files, tmp_path):
    broken = tmp_path / "a.mp4"
    # A mark and boxes, but no video in them.
    broken.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0")
    mark_file(broken, MARK)
    try:
        signed(broken, files)
    except DataError as error:
        assert "cannot sign" in str(error)
        assert verify(broken).manifest is None
        assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_without_the_library_it_says_that_there_is_a_manifest(files, marked_jpeg, tmp_path, monkeypatch):
    signed(marked_jpeg, files)
    bare = tmp_path / "bare.png"
    bare.write_bytes(PICTURES["png"])
    monkeypatch.setitem(sys.modules, "c2pa", None)
    found = verify(marked_jpeg)
    assert found.manifest.state == "not checked"
    assert found.synthetic
    assert not found.invalid
    assert 'there is a manifest, not checked: checking a manifest needs c2pa-python: pip install "condswap[c2pa]"' in (
        found.to_text()
    )
    assert verify(bare).manifest is None
    for use in (
        lambda: verify(marked_jpeg, trust=files.authority),
        lambda: sign(bare, key=files.key, certificate=files.certificate),
    ):
        with pytest.raises(ConfigError, match=r'pip install "condswap\[c2pa\]"'):
            use()


def test_trust_in_a_file_without_certificates_is_refused(files, marked_jpeg, tmp_path):
    signed(marked_jpeg, files)
    words = tmp_path / "words.pem"
    words.write_bytes(b"words \xff")
    with pytest.raises(ConfigError, match="words.pem holds no certificate"):
        verify(marked_jpeg, trust=words)
    with pytest.raises(DataError, match="none.pem.*give the name of a file"):
        verify(marked_jpeg, trust=tmp_path / "none.pem")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "mp4"])
def test_a_broken_manifest_gives_no_error_but_ours(kind, files, tmp_path):
    path = signed(marked_file(tmp_path, kind), files)
    whole, rng = path.read_bytes(), random.Random(0)
    states = set()
    start = whole.index(b"jumb")
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(start, start + 3000)] = rng.randrange(256)
        path.write_bytes(data)
        try:
            found = verify(path)
        except DataError:
            continue
        states.add(found.manifest.state if found.manifest else None)
    assert "Invalid" in states
    assert states <= {"Invalid", "Valid", None}


@pytest.mark.skipif(not shutil.which("openssl") or not shutil.which("bash"), reason="there is no openssl")
def test_the_certificates_of_the_page_on_marks_are_trusted(marked_jpeg, tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "mark.md").read_text()
    (commands,) = re.findall(r"^```bash\n(openssl .*?)^```$", page, re.MULTILINE | re.DOTALL)
    known = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
    if not known.startswith("OpenSSL 3"):
        pytest.skip(f"the page is for OpenSSL 3, and this is {known}")
    subprocess.run(["bash", "-e", "-c", commands], cwd=tmp_path, capture_output=True, check=True)
    sign(marked_jpeg, key=tmp_path / "key.pem", certificate=tmp_path / "certificate.pem")
    found = verify(marked_jpeg, trust=tmp_path / "ca.pem")
    assert (found.manifest.state, found.manifest.signer) == ("Trusted", "My studio of Me")
