"""The OpenSearch of the tests and the lab: up, closed to strangers, and it keeps what it is given."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import AuthenticationException, AuthorizationException, SSLError

from pipeline.lab.certificates import Certificates
from pipeline.lab.opensearch import OpenSearch
from pipeline.lab.server import NotStarted
from pipeline.sinks.opensearch_client import connect
from pipeline.streaming import Tls

pytestmark = pytest.mark.integration

USERS = {"admin": "Kq7Zt3VbX9-admin", "guest": "Kq7Zt3VbX9-guest"}


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), users=USERS) as running:
        yield running


@pytest.fixture
def admin(opensearch: OpenSearch) -> Iterator[Client]:
    with closing(opensearch.client()) as client:
        yield client


def test_it_is_the_release_that_is_locked(admin: Client) -> None:
    assert admin.info()["version"]["number"] == "3.4.0"
    plugins = admin.cat.plugins(format="json")
    assert [plugin["component"] for plugin in plugins] == ["opensearch-security"]


def test_it_does_not_run_as_root(opensearch: OpenSearch) -> None:
    owner = Path(f"/proc/{opensearch.pid}").stat().st_uid
    assert owner == (65534 if os.geteuid() == 0 else os.geteuid())


def test_nobody_enters_without_the_right_password(opensearch: OpenSearch, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-" + USERS["admin"])
    settings = opensearch.storage()
    for other in ({"password_file": str(wrong)}, {"username": "", "password_file": ""}):
        client = connect(settings.model_copy(update=other))
        with closing(client), pytest.raises(AuthenticationException):
            client.info()


def test_a_user_without_a_role_may_do_nothing(opensearch: OpenSearch) -> None:
    client = opensearch.client("guest")
    with closing(client), pytest.raises(AuthorizationException):
        client.cat.indices()


def test_a_stranger_is_not_trusted(opensearch: OpenSearch, tmp_path: Path) -> None:
    other = Certificates(tmp_path, ["127.0.0.1"])
    settings = opensearch.storage(tls=Tls(ca_file=str(other.ca)))
    with closing(connect(settings)) as client, pytest.raises(SSLError):
        client.info()


def test_its_certificate_is_believed_by_the_strictest(opensearch: OpenSearch) -> None:
    context = ssl.create_default_context(cafile=str(opensearch.certificates.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    host, port = opensearch.url.removeprefix("https://").split(":")
    with closing(http.client.HTTPSConnection(host, int(port), context=context)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 401


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_it_is_given_outlives_it(opensearch: OpenSearch, end: str) -> None:
    with closing(opensearch.client()) as client:
        client.index(index="kept", body={"said": end}, id=end)
        client.transport.perform_request(
            "PUT", f"/_plugins/_security/api/roles/of-{end}", body={"cluster_permissions": []}
        )
        getattr(opensearch, end)()
        opensearch.start()
        assert client.get(index="kept", id=end)["_source"] == {"said": end}
        roles = client.transport.perform_request("GET", "/_plugins/_security/api/roles")
        assert f"of-{end}" in roles


def test_without_security_it_asks_nobody(tmp_path: Path) -> None:
    with OpenSearch(tmp_path, security=False) as plain, closing(plain.client()) as client:
        assert plain.url.startswith("http://127.0.0.1:")
        assert client.cat.plugins(format="json") == []


def test_what_it_complains_of_is_told(tmp_path: Path) -> None:
    node = OpenSearch(tmp_path, security=False, properties={"no.such.setting": 1})
    with pytest.raises(NotStarted, match=r"no\.such\.setting"):
        node.start()
