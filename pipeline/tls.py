"""TLS as a client: certificates and the names in them are verified, and nothing turns that off."""

from __future__ import annotations

import ssl
from ipaddress import ip_address

from pipeline.errors import ConfigError
from pipeline.streaming import Tls, secret


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Python's side of TLS as a client: verifies certificate and host name.

    Raises:
        ConfigError: a file cannot be read, or is not what it is said to be.
    """
    if bool(tls.certificate_file) != bool(tls.key_file):
        raise ConfigError("tls: certificate_file and key_file go together; set both or neither")
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
    except (OSError, ValueError) as error:
        raise ConfigError(f"tls.ca_file {tls.ca_file} holds no PEM to read: {error}") from None
    if tls.certificate_file:
        where = f"tls.certificate_file {tls.certificate_file} and tls.key_file {tls.key_file}"
        try:
            # Given even where there is none: else OpenSSL would ask for it at the terminal.
            context.load_cert_chain(tls.certificate_file, tls.key_file, key_password(tls))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{where} are no certificate with its key to read, "
                f"or the key's password is another: {error}"
            ) from None
    return context


def key_password(tls: Tls) -> str:
    """The password of the private key, or empty. Raises `ConfigError` where it cannot be read."""
    return secret(tls.key_password_file, tls.key_password_env, "password of the key (tls)")


def loopback(host: str) -> bool:
    """Whether what goes to that host never leaves this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
