"""Keys and certificates to sign with, as an authority would give them out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    # with which C2PA does not sign
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}


class Files(NamedTuple):
    key: Path
    certificate: Path
    authority: Path
    locked: Path


def _name(words: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, words), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests")]
    )


def make(
    folder: Path,
    *,
    kind: str = "P-256",
    days: tuple[int, int] = (-1, 30),
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> Files:
    """Make an authority and a signer; `days` are from now on, the first and the last that the signer's is valid."""
    folder.mkdir(parents=True)
    now = datetime.now(UTC)
    above, key = KINDS["P-256"](), KINDS[kind]()

    def usage(signs: bool) -> x509.KeyUsage:
        return x509.KeyUsage(signs, False, False, False, False, not signs, not signs, False, False)

    def begun(subject: str, public: object) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(_name("Authority"), _name(subject), public, x509.random_serial_number())
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)

    authority = (
        begun("Authority", above.public_key())
        .not_valid_before(now - timedelta(99))
        .not_valid_after(now + timedelta(99))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .sign(above, hashes.SHA256())
    )
    certificate = (
        begun("Signer", key.public_key())
        .not_valid_before(now + timedelta(days[0]))
        .not_valid_after(now + timedelta(days[1]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
        .sign(above, hashes.SHA256())
    )
    files = Files(*(folder / f"{name}.pem" for name in Files._fields))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM))
    files.authority.write_bytes(authority.public_bytes(Encoding.PEM))
    return files
