"""C2PA manifests: signed statements on how a file was made, written and read by c2pa-python."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from condswap.errors import ConfigError, DataError
from condswap.files import write_atomically
from condswap.provenance.containers import blaming, kind_of, look, opened, properties

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WebP": "image/webp", "MP4": "video/mp4"}
_MODEL = "condswap.model"  # the name of our own assertion
_ACTIONS = "c2pa.actions"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
# Nothing is fetched from anywhere: not a manifest that a file names, not a thumbnail that nobody asked for.
_OFFLINE: dict[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What was found out about the C2PA manifest of a file.

    Attributes:
        state: "Trusted"; "Valid", which says that nothing was changed since it was signed, by somebody who is not trusted;
            "Invalid"; or "not checked", where c2pa-python is not installed.
        reasons: why it is not "Trusted", in C2PA's words.
        signer: who signed it, by the certificate.
        said: of "digital_source_type", "software" and "model_id" those that it says.
    """

    state: str
    reasons: tuple[str, ...] = ()
    signer: str | None = None
    said: Mapping[str, str]


def sign(path: Path | str, *, key: Path | str, certificate: Path | str) -> None:
    """Sign a finished file that bears a mark: a C2PA manifest that says what the mark says, which nobody can change unseen.

    The file is written anew, whole or not at all, 4 kB longer. Nothing is fetched: there is no time stamp of a third
    party in it, so it counts for as long as the certificate does.

    Args:
        path: of a JPEG, PNG, WebP, MP4 or MOV with a mark.
        key: the private key, PEM without a password: EC (P-256, P-384, P-521), Ed25519, or RSA from 2048 bits.
        certificate: of that key, PEM, with those that vouch for it after it.

    Raises:
        ConfigError: c2pa-python is missing, or the key and the certificate cannot be used.
        DataError: the file bears no mark, has a manifest already, is broken, or cannot be written.
    """
    path, key, certificate = Path(path), Path(key), Path(certificate)
    c2pa = _library("signing")
    algorithm, secret, chain = _credentials(key, certificate)
    with opened(path) as file:
        mime, held = _MIME[kind_of(file)], look(file)
        said = properties(held) or {}
        if "digital_source_type" not in said:
            raise DataError("it bears no mark, and a mark is what is signed; mark it first, with mark_file")
        if held.manifest:
            raise DataError("it has a C2PA manifest already; sign the file as it was before")

    def write(temporary: Path) -> None:
        information = c2pa.C2paSignerInfo(algorithm, chain, secret, None)
        with (
            c2pa.Signer.from_info(information) as signer,
            c2pa.Builder(_definition(said), c2pa.Context.from_dict(_OFFLINE)) as builder,
            path.open("rb") as source,
            temporary.open("w+b") as target,
        ):
            builder.sign(signer, mime, source, target)

    try:
        write_atomically(path, write)
    except c2pa.C2paError as error:
        message = _plain(error)
        if message.startswith("Signature"):
            raise ConfigError(f"{certificate} cannot be used to sign with: {message}; C2PA needs {_PROFILE}") from error
        raise DataError(f"cannot sign {path}: {message}; the file is as it was") from error


_PROFILE = (
    "a certificate that is valid now, for digitalSignature alone, with the purpose emailProtection or documentSigning and the "
    "identifiers of its key and of the one above it"
)


def read_manifest(path: Path, *, trust: Path | None = None) -> Manifest:
    """Check the manifest of a file that has one.

    Args:
        path: of the file.
        trust: certificates of those who may vouch for a signer, PEM.

    Raises:
        ConfigError: `trust` is given, and c2pa-python is missing.
        DataError: `trust` cannot be used.
    """
    try:
        c2pa = _library("checking a manifest")
    except ConfigError as missing:
        if trust is not None:
            raise
        return Manifest(state="not checked", reasons=(str(missing),), said={})
    settings = dict(_OFFLINE)
    if trust is not None:
        settings["trust"] = {"trust_anchors": _anchors(trust)}
    with opened(path) as file:
        mime = _MIME[kind_of(file)]
        file.seek(0)
        try:
            with c2pa.Reader(mime, file, context=c2pa.Context.from_dict(settings)) as reader:
                told = json.loads(reader.json())
        except c2pa.C2paError as error:
            return Manifest(state="Invalid", reasons=(_plain(error),), said={})
    return _manifest(told)


def _manifest(told: Mapping[str, Any]) -> Manifest:
    """Take from what the library says about a file what is shown."""
    active = told.get("manifests", {}).get(told.get("active_manifest"))
    if not active:
        return Manifest(state="Invalid", reasons=("it has no active manifest",), said={})
    results = told.get("validation_results") or {}
    failures = list(results.get("activeManifest", {}).get("failure", []))
    for delta in results.get("ingredientDeltas") or []:
        failures += delta.get("validationDeltas", {}).get("failure", [])
    signature = active.get("signature_info") or {}
    signer = " of ".join(str(signature[name]) for name in ("common_name", "issuer") if signature.get(name))
    return Manifest(
        state=told.get("validation_state", "Invalid"),
        reasons=tuple(dict.fromkeys(str(failure.get("code")) for failure in failures)),
        signer=signer or None,
        said=_said(active.get("assertions") or []),
    )


def _said(assertions: list[dict[str, Any]]) -> dict[str, str]:
    """Take from the assertions of a manifest, of anyone's, what a mark says."""
    said: dict[str, str] = {}
    for assertion in assertions:
        data = assertion.get("data")
        if not isinstance(data, dict):
            continue
        if assertion.get("label") == _MODEL and isinstance(data.get("sha256"), str):
            said["model_id"] = data["sha256"]
        if str(assertion.get("label")).startswith(_ACTIONS):
            for action in data.get("actions") or []:
                if isinstance(action, dict) and isinstance(action.get("digitalSourceType"), str):
                    said.setdefault("digital_source_type", action["digitalSourceType"])
                    said.setdefault("software", _agent(action.get("softwareAgent")))
    return {name: value for name, value in said.items() if value}


def _agent(agent: Any) -> str:
    """Give the name and version of a software; older manifests have one text for both."""
    if isinstance(agent, dict):
        return " ".join(str(agent[word]) for word in ("name", "version") if agent.get(word))
    return agent if isinstance(agent, str) else ""


def _definition(said: Mapping[str, str]) -> dict[str, Any]:
    """Write down the manifest."""
    name, _, version = said.get("software", "condswap").partition(" ")
    agent = {"name": name} | ({"version": version} if version else {})
    action = {
        "action": "c2pa.created",
        "digitalSourceType": said["digital_source_type"],
        "softwareAgent": agent,
    }
    assertions: list[dict[str, Any]] = [{"label": _ACTIONS, "data": {"actions": [action]}}]
    if "model_id" in said:
        assertions.append({"label": _MODEL, "data": {"sha256": said["model_id"]}})
    return {"claim_generator_info": [agent], "assertions": assertions}


def _credentials(key: Path, certificate: Path) -> tuple[str, bytes, bytes]:
    """Read a key and its certificates: the name of the algorithm, and both as the library takes them."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    secret, chain = _bytes(key), _bytes(certificate)
    try:
        private = serialization.load_pem_private_key(secret, None)
    except TypeError as error:
        raise ConfigError(
            f"{key} is locked with a password; unlock a copy: openssl pkey -in {key} -out unlocked.pem"
        ) from error
    except Exception as error:  # whatever a broken key makes the library raise means the same
        raise ConfigError(f"{key} is no private key in PEM; give one, such as openssl genpkey writes") from error
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        public = certificates[0].public_key()
    except Exception as error:
        raise ConfigError(f"{certificate} is no certificate in PEM; give the one that was issued for {key}") from error
    if public != private.public_key():
        raise ConfigError(
            f"the first certificate in {certificate} is not that of the key {key}; give the two that belong together, the "
            "signer's own certificate first"
        )
    # In the one form that the library reads, whatever form they came in.
    pem = serialization.Encoding.PEM
    secret = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _algorithm(private, key), secret, b"".join(one.public_bytes(pem) for one in certificates)


def _algorithm(private: "PrivateKeyTypes", key: Path) -> str:
    """Say what C2PA calls the way in which such a key signs."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return _CURVES[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= 2048:
        return "ps256"
    raise ConfigError(f"C2PA does not sign with such a key as {key}; make one of the curve P-256")


def _anchors(trust: Path) -> str:
    """Read the certificates that are trusted."""
    from cryptography import x509

    data = _bytes(trust)
    try:
        x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ConfigError(f"{trust} holds no certificate in PEM; give that of who vouches for the signer") from error
    return data.decode("ascii", "ignore")


def _bytes(path: Path) -> bytes:
    with blaming(path):
        return path.read_bytes()


def _library(what: str) -> Any:
    try:
        import c2pa  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(f'{what} needs c2pa-python: pip install "condswap[c2pa]"') from error
    return c2pa


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
