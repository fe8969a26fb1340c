"""Retention on a real OpenSearch, as its own role: a year of events, holds, and kills at every step."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import AuthorizationException, TransportError

from pipeline.errors import StoreError
from pipeline.lab.opensearch import OpenSearch
from pipeline.query import Query
from pipeline.retention.holds import Hold, holds
from pipeline.retention.planning import planned
from pipeline.retention.records import KEEP, REMOVE, Who, added, released, removals
from pipeline.retention.stores import Removed, Withheld
from pipeline.retention.terms import ALWAYS
from pipeline.runtimes.kafka import kinds
from pipeline.sinks.opensearch_dropping import OpenSearchRetention
from pipeline.sinks.opensearch_plan import apply as set_up
from pipeline.sinks.opensearch_query import OpenSearchReader
from pipeline.sinks.opensearch_roles import RETENTION as ROLE
from pipeline.sinks.opensearch_scan import Scan
from schemas import indices
from schemas.indices import DAY_MS
from tests.commands import exit_status, signalled
from tests.retention.dropping import (
    LATER,
    ME,
    apply,
    died,
    due,
    fill,
    plan,
    recorded,
    starts,
    there,
)
from tests.retention.year import NOW, RETENTION, event, year
from tests.roles import fails, given, spared
from tests.stores import section

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    users = {"retention": secrets.token_urlsafe(24)}
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), users=users) as running:
        with closing(running.client()) as admin:
            set_up(admin, running.storage(), RETENTION, lambda _: None)
            given(admin, ROLE, "retention")
        yield running


@pytest.fixture
def admin(node: OpenSearch) -> Iterator[Client]:
    """Who may do anything; of ours nothing is there before the test."""
    with closing(node.client()) as client:
        client.indices.delete(
            index="audit-*,auditstream-removals", params={"ignore_unavailable": "true"}
        )
        yield client


@pytest.fixture
def store(node: OpenSearch, admin: Client) -> Iterator[OpenSearchRetention]:
    with closing(OpenSearchRetention(node.client("retention"))) as opened:
        yield opened


def test_a_kill_at_any_request_is_made_good(
    node: OpenSearch, store: OpenSearchRetention, admin: Client
) -> None:
    expected = {"audit-short-2026.01": 3}
    killed = 0
    for dies_at in count(1):
        several = [event(starts("2026.01") + n, dies_at * 10 + n, "short") for n in range(3)]
        fill(admin, several)
        stopped = died(node, dies_at)
        killed += stopped
        apply(store)
        assert there(admin) == {}
        assert recorded(store) == expected, dies_at
        assert admin.count(index=indices.REMOVALS)["count"] == 0
        expected["audit-short-2026.01"] += 3
        if not stopped:
            break
    # Made: claims, a claim, a block, the record; gone: the index, the claim.
    assert killed >= 5


def test_a_hold_that_comes_after_the_record_wins_and_the_record_is_taken_back(
    node: OpenSearch, store: OpenSearchRetention, admin: Client
) -> None:
    fill(admin, [event(NOW - 300 * DAY_MS, 1)])
    (verdict,) = due(store)
    name = verdict.unit.name
    # Claims, claim, block, record: behind the fourth the index is still there.
    assert died(node, 4)
    assert recorded(store) == {name: 1}
    store.write(added(Hold("", ALWAYS, "", "CASE-2", "legal"), ME, NOW))
    with pytest.raises(Withheld):
        list(store.remove(verdict, ME, LATER.__next__))
    assert recorded(store) == {}
    assert there(admin) == {name: 1}
    assert [row["operation"] for row in store.own() if row["operation"] in (KEEP, REMOVE)] == [
        REMOVE,
        KEEP,
    ]
    # Others may write again.
    fill(admin, [event(NOW - 300 * DAY_MS + 1, 2)])
    (hold,) = holds(store.own())
    store.write(released(hold, ME, NOW + 1, "closed"))
    apply(store)
    assert recorded(store) == {name: 2}
    assert there(admin) == {}


def test_what_was_begun_and_is_not_due_any_more_is_put_in_order(
    node: OpenSearch, store: OpenSearchRetention, admin: Client
) -> None:
    fill(admin, [event(NOW - 100 * DAY_MS - 1_900_000_000, 1)])
    (verdict,) = due(store)
    assert died(node, 4)
    longer = planned(store.units(NOW), [], [], NOW)
    said = store.settle(longer, ME, LATER.__next__)
    assert said == [f"{verdict.unit.name} is not removed after all: it is not due"]
    assert recorded(store) == {}
    fill(admin, [event(NOW - 100 * DAY_MS - 1_900_000_001, 2)])
    assert store.settle(longer, ME, LATER.__next__) == []


def test_two_at_once_write_one_record_of_each(
    node: OpenSearch, store: OpenSearchRetention, admin: Client
) -> None:
    fill(admin, [event(starts(f"2026.0{n}"), n, "short") for n in (1, 2, 3)])
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with closing(OpenSearchRetention(node.client("retention"))) as own:
                apply(own)
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert there(admin) == {}
    assert recorded(store) == {f"audit-short-2026.0{n}": 1 for n in (1, 2, 3)}


def test_an_index_that_is_still_being_made_is_waited_for(
    store: OpenSearchRetention, admin: Client
) -> None:
    nowhere = {"index.routing.allocation.require._name": "nobody"}
    anywhere = {"index.routing.allocation.require._name": None}
    admin.indices.create(
        index=indices.REMOVALS,
        body={"settings": nowhere},
        params={"wait_for_active_shards": "0"},
    )
    with pytest.raises(TransportError, match="search_phase_execution"):
        admin.search(index=indices.REMOVALS)
    placed = Timer(
        1, admin.indices.put_settings, kwargs={"body": anywhere, "index": indices.REMOVALS}
    )
    placed.start()
    try:
        assert store.settle([], ME, LATER.__next__) == []
    finally:
        placed.join()


def test_an_index_that_somebody_else_deletes_is_no_error_and_no_record(
    store: OpenSearchRetention, admin: Client
) -> None:
    fill(admin, [event(NOW - 300 * DAY_MS, 1)])
    (verdict,) = due(store)
    admin.indices.delete(index=verdict.unit.name)
    assert list(store.remove(verdict, ME, LATER.__next__)) == []
    assert recorded(store) == {}


def test_one_that_was_deleted_and_made_anew_meanwhile_is_left_open(
    node: OpenSearch, admin: Client
) -> None:
    class Overtaken(OpenSearchRetention):
        def _claim(self, name: str, *rest: Any) -> dict[str, Any]:
            admin.indices.delete(index=name)
            fill(admin, [event(NOW - 300 * DAY_MS, 2)])
            return super()._claim(name, *rest)

    fill(admin, [event(NOW - 300 * DAY_MS, 1)])
    with closing(Overtaken(node.client("retention"))) as store:
        (verdict,) = due(store)
        assert list(store.remove(verdict, ME, LATER.__next__)) == []
        assert recorded(store) == {}
        fill(admin, [event(NOW - 300 * DAY_MS, 3)])
        assert there(admin) == {verdict.unit.name: 2}


def test_what_is_not_ours_or_cannot_go_is_kept_and_said(
    store: OpenSearchRetention, admin: Client
) -> None:
    old = NOW - 300 * DAY_MS
    month = indices.month(old)
    fill(admin, [event(old, n, name) for n, name in enumerate(("standard", "short", "bygone"))])
    admin.indices.create(index=f"audit-foreign-{month}")
    admin.indices.delete_alias(index=f"audit-foreign-{month}", name="auditstream-events")
    admin.indices.create(index="audit-billing")
    admin.indices.close(index=f"audit-standard-{month}")
    admin.indices.put_settings(index=f"audit-short-{month}", body={"index.blocks.read_only": True})
    fill(admin, [event(old, 9)], carried=old - 30 * DAY_MS)
    found = {verdict.unit.name: (verdict.state, verdict.why) for verdict in plan(store)}
    assert found == {
        f"audit-foreign-{month}": ("kept", "it has no alias auditstream-events, as indices of ours have"),
        f"audit-standard-{month}": ("kept", "it is closed: open it, or delete it yourself"),
        f"audit-short-{month}": ("kept", "it is blocked (index.blocks.read_only): lift that, or delete it yourself"),
        f"audit-bygone-{month}": ("due", "the class is configured no more: the longest of all classes counts"),
        "audit-standard-undated": ("kept", "undated: nobody knows when its days are over; opensearch.undated_days gives it a rule"),
    }  # fmt: skip
    admin.indices.put_settings(index=f"audit-short-{month}", body={"index.blocks.read_only": None})
    made = int(time.time() * 1000)
    states = {v.unit.name: v.state for v in plan(store, made + 9 * DAY_MS, undated_days=10)}
    assert states["audit-standard-undated"] == "later"
    (undated,) = (
        v for v in plan(store, made + 11 * DAY_MS, undated_days=10)
        if v.unit.month == indices.UNDATED
    )  # fmt: skip
    assert undated.state == "due"
    list(store.remove(undated, ME, LATER.__next__))
    assert recorded(store) == {"audit-standard-undated": 1}


def test_without_templates_no_hold_is_taken(
    store: OpenSearchRetention, admin: Client, node: OpenSearch
) -> None:
    body = admin.indices.get_index_template(name="auditstream-events")["index_templates"][0][
        "index_template"
    ]
    admin.indices.delete_index_template(name="auditstream-events")
    try:
        with pytest.raises(StoreError, match="auditstream opensearch apply"):
            store.write(added(Hold("", ALWAYS, "", "CASE-3", "legal"), ME, NOW))
    finally:
        admin.indices.put_index_template(name="auditstream-events", body=body)
    assert store.own() == []


def test_commands_read_records_and_reconcile_leaves_them_out(
    node: OpenSearch, store: OpenSearchRetention, admin: Client
) -> None:
    fill(admin, [event(NOW - 300 * DAY_MS, 1), event(NOW, 2)])
    apply(store)
    store.write(added(Hold("", ALWAYS, "", "CASE-4", "legal"), ME, NOW))
    with closing(OpenSearchReader(node.client())) as reader:
        rows = list(reader.events(Query(source="auditstream.retention")))
        assert [row["resource"] for row in rows] == [
            f"audit-standard-{indices.month(NOW - 300 * DAY_MS)}"
        ]
        assert len(list(reader.events(Query(source="auditstream.hold", text="CASE-4")))) == 1
        assert len(list(reader.events(Query()))) == 3
    kind = kinds.events(400)
    with Scan(node.client()) as scan:
        wanted = {"bool": {"must_not": [kind.besides]}}
        pages = scan.each(kind.pattern, kind.fields, kind.dates, only=wanted)
        assert [hit.home for hits, _ in pages for hit in hits] == [
            f"audit-standard-{indices.month(NOW)}"
        ]
        pages = scan.each(kinds.OWN_INDICES, ("entity.name",), only=kinds.REMOVALS)
        names = [name for hits, _ in pages for hit in hits for name in hit.fields["entity.name"]]
        assert names == [row["resource"] for row in rows]


@pytest.fixture
def config(node: OpenSearch, tmp_path: Path) -> Path:
    path = tmp_path / "auditstream.toml"
    classes = "".join(f'[[retention]]\nname = "{r.name}"\ndays = {r.days}\n' for r in RETENTION)
    path.write_text(f'store = "{node.url}"\n{classes}' + section(node, user="retention"))
    return path


def test_plan_hold_apply_killed_and_apply_again_upon_a_year(
    store: OpenSearchRetention, admin: Client, config: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    now = int(time.time() * 1000)
    # One class for the whole year, the others for the first of it: an index is slow to make.
    events = [e for e in year(6, now) if e.retention == "standard" or e.time < now - 360 * DAY_MS]
    fill(admin, events, now)
    before = there(admin)
    since = str(now - 200 * DAY_MS)
    held = f"audit-standard-{indices.month(now - 200 * DAY_MS)}"
    period = ("--since", since, "--until", str(int(since) + 1))
    why = ("--reason", "CASE-1", "--owner", "legal")
    assert exit_status("hold", "add", "--config", config, *period, *why) == 0
    hold = capsys.readouterr().out.split()[1].rstrip(":")
    assert exit_status("retention", "plan", "--config", config, "--json") == 0
    said = {one["name"]: one for one in json.loads(capsys.readouterr().out)["months"]}
    assert (said[held]["state"], said[held]["holds"]) == ("held", [hold])
    assert {
        name: one["events"] for name, one in said.items() if one["class"] != indices.OWN
    } == before
    assert exit_status("retention", "plan", "--config", config) == 0
    assert "Index Management knows no holds" in capsys.readouterr().out
    goes = {name: one["events"] for name, one in said.items() if one["state"] == "due"}
    assert len(goes) > 8
    assert held not in goes
    # With three indices deleted, and a fourth recorded.
    apply = ("retention", "apply", "--config", config)
    killed = signalled(signal.SIGKILL, OpenSearchRetention, "_delete", 4, *apply, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    gone = set(before) - set(there(admin))
    assert len(gone & set(goes)) == len(gone) == 3
    assert exit_status("retention", "apply", "--config", config) == 0
    assert "events removed" in capsys.readouterr().out
    assert there(admin) == {name: n for name, n in before.items() if name not in goes}
    assert recorded(store) == goes
    assert exit_status("hold", "release", "--config", config, hold, "--reason", "closed") == 0
    assert exit_status("retention", "apply", "--config", config) == 0
    assert recorded(store) == goes | {held: before[held]}
    assert {row["actor"] for row in store.own()} == {"OpenSearch:retention"}


def test_its_role_can_remove_no_record_and_no_hold(
    node: OpenSearch, store: OpenSearchRetention
) -> None:
    store.write(added(Hold("", ALWAYS, "", "CASE-5", "legal"), ME, NOW))
    (row,) = store.own()
    index = f"audit-auditstream-{indices.month(NOW)}"
    name = row["id"].hex()
    with closing(node.client("retention")) as client:
        deeds: list[Callable[[], Any]] = [
            lambda: client.indices.delete(index=index),
            lambda: client.indices.delete(index="audit-*"),
            lambda: client.delete(index=index, id=name),
            lambda: client.indices.close(index=index),
            lambda: client.update(index=index, id=name, body={"doc": {"x": 1}}),
            lambda: client.delete_by_query(index=index, body={"query": {"match_all": {}}}),
        ]
        for deed in deeds:
            with pytest.raises(AuthorizationException):
                deed()
    assert [one["id"] for one in store.own()] == [row["id"]]


def retain(node: OpenSearch) -> None:
    """A hold, and an index that goes: one whose removal was begun before, by nobody we know."""
    gone, me = "audit-gone-2020.01", Who("OpenSearch:retention")
    with closing(node.client()) as admin:
        admin.indices.delete(index=f"audit-{indices.OWN}-*")
        # Most who lack a permission leave it there.
        if not admin.indices.exists(index=gone):
            admin.index(index=gone, id="1", body={}, params={"refresh": "true"})
        uuid = admin.indices.get(index=gone)[gone]["settings"]["index"]["uuid"]
        claim = {"index": gone, "at": 1, "days": 1, "actor": "", "kind": "", "os_user": ""}
        admin.index(index=indices.REMOVALS, id=uuid, body=claim | {"blocked": False})
    with closing(OpenSearchRetention(node.client("retention"))) as store:
        verdicts = planned(store.units(NOW), (), (), NOW)
        assert store.settle(verdicts, me, lambda: NOW) == []
        (due,) = (verdict for verdict in verdicts if verdict.state == "due")
        assert list(store.remove(due, me, lambda: NOW)) == [Removed(gone, 1, 1)]
        store.write(added(Hold("", ALWAYS, "other", "CASE-1", "legal"), me, NOW))
        assert len(removals(store.own())) == len(holds(store.own())) == 1


def test_its_role_suffices_and_nothing_of_it_can_be_spared(node: OpenSearch, admin: Client) -> None:
    assert not fails(retain, node, admin)
    assert spared(ROLE, retain, node, admin) == []
    assert not fails(retain, node, admin)
