"""What OpenSearch's security plugin is started with: certificates, users, and who the admin is.

The files are those of its `config/opensearch-security/`, of which it makes its index when it first
starts; nothing of its demonstration set-up is used. JSON is YAML too.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.lab.certificates import PASSWORD, Certificates

ADMIN: Final = "admin"
"""The user who may do anything."""

_ROUNDS: Final = 1000
"""Of PBKDF2. Passwords here are random and long: rounds only cost time, at each first login."""
_HASH_BITS: Final = 256
_ALL_ACCESS: Final = "all_access"


def settings(certificates: Certificates) -> dict[str, Any]:
    """The plugin's part of `opensearch.yml`."""
    prefix = "plugins.security"
    ssl = {
        f"{prefix}.ssl.{layer}.{name}": value
        for layer in ("http", "transport")
        for name, value in {
            "pemcert_filepath": certificates.path("server.pem"),
            "pemkey_filepath": certificates.path("server.key"),
            "pemkey_password": PASSWORD,
            "pemtrustedcas_filepath": str(certificates.ca),
        }.items()
    }
    return {
        **ssl,
        f"{prefix}.ssl.http.enabled": True,
        f"{prefix}.allow_default_init_securityindex": True,
        f"{prefix}.restapi.roles_enabled": [_ALL_ACCESS],
        f"{prefix}.audit.type": "noop",
        f"{prefix}.password.hashing.algorithm": "pbkdf2",
        f"{prefix}.password.hashing.pbkdf2.iterations": _ROUNDS,
    }


def write(folder: Path, users: Mapping[str, str]) -> None:
    """The files of users and roles; `folder` is made."""
    folder.mkdir(parents=True, exist_ok=True)
    basic = {
        "http_enabled": True,
        "transport_enabled": True,
        "order": 0,
        "http_authenticator": {"type": "basic", "challenge": True},
        "authentication_backend": {"type": "intern"},
    }
    said: dict[str, tuple[str, dict[str, Any]]] = {
        "config": ("config", {"config": {"dynamic": {"authc": {"basic": basic}}}}),
        "internal_users": (
            "internalusers",
            {name: {"hash": hashed(password)} for name, password in users.items()},
        ),
        "roles": ("roles", {}),
        "roles_mapping": ("rolesmapping", {_ALL_ACCESS: {"users": [ADMIN]}}),
        "action_groups": ("actiongroups", {}),
        "tenants": ("tenants", {}),
    }
    for name, (kind, entries) in said.items():
        document = {"_meta": {"type": kind, "config_version": 2}, **entries}
        (folder / f"{name}.yml").write_text(json.dumps(document))


def hashed(password: str) -> str:
    """A password as the plugin keeps it: PBKDF2 (RFC 8018) in the form of Password4j, where the
    first number is the hash function (SHA-256) and the second its rounds and bits."""
    salt = secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS, _HASH_BITS // 8)
    packed = (_ROUNDS << 32) | _HASH_BITS
    return f"$3${packed}${b64encode(salt).decode()}${b64encode(key).decode()}"
