"""An authority of one's own, with certificates of a server and of a client, for a day or two.

Keys are encrypted, as PKCS #8 in PEM (RFC 7468, section 11) and as PKCS #12 (RFC 7292).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

PASSWORD = "of-the-test"

_VALID = timedelta(days=2)
# A machine's clock may have been set back a little since.
_BEFORE = timedelta(hours=1)

_AUTHORITY = x509.BasicConstraints(ca=True, path_length=0)
_SIGNS = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
    key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
    decipher_only=False,
)  # fmt: skip
"""What an authority's certificate says, or Python from 3.13 on does not believe it."""

Key = ec.EllipticCurvePrivateKey


class Certificates:
    """In `folder`: `ca.pem`, and for `server` and `client` NAME.p12, NAME.pem and NAME.key.

    All keys are encrypted with `PASSWORD`. The server's certificate is for `hosts`, addresses
    and names.
    """

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Authority of the tests")
        authority = self._signed(self._name, self._key, _AUTHORITY, _SIGNS)
        self.ca.write_bytes(authority.public_bytes(Encoding.PEM))
        names = x509.SubjectAlternativeName(list(_general(hosts)))
        self._pair("server", authority, names)
        self._pair("client", authority)

    def path(self, name: str) -> str:
        """The path of one of the files."""
        return str(self.folder / name)

    def broker(self) -> dict[str, str]:
        """A broker's settings: it serves by `server`, and knows clients of this authority."""
        return {
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": self.path("server.p12"),
            "ssl.keystore.password": PASSWORD,
            "ssl.key.password": PASSWORD,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
        }

    def _pair(
        self, name: str, authority: x509.Certificate, *extensions: x509.ExtensionType
    ) -> None:
        """A key, and its certificate by the authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_named(f"{name}.example.com"), key, *extensions)
        secrecy = BestAvailableEncryption(PASSWORD.encode())
        packed = pkcs12.serialize_key_and_certificates(
            name.encode(), key, certificate, [authority], secrecy
        )
        (self.folder / f"{name}.p12").write_bytes(packed)
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secrecy)
        (self.folder / f"{name}.key").write_bytes(pem)

    def _signed(
        self, name: x509.Name, key: Key, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        public = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=extension in (_AUTHORITY, _SIGNS))
        return builder.sign(self._key, SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(hosts: Sequence[str]) -> Iterator[x509.GeneralName]:
    for host in hosts:
        try:
            yield x509.IPAddress(ip_address(host))
        except ValueError:
            yield x509.DNSName(host)
