"""A store that was filled by another configuration is, after a replay, as if today's had filled it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline.config import Config, Input, PrincipalRule
from pipeline.retention.terms import Period
from pipeline.runtimes.replay.comparing import Asked
from pipeline.storage import Retention
from schemas.vocabulary import ActorKind
from tests.logs import START
from tests.replay.replays import alike, log, replay
from tests.runtimes.runs import balanced, nothing, run

HOUR_MS = 3_600_000
BEGIN = int(START.timestamp() * 1000)

HUMANS = PrincipalRule(pattern="User:app-1*", kind=ActorKind.HUMAN, owner="Payments")
VENDOR = PrincipalRule(pattern="User:guest-*", kind=ActorKind.PROVIDER_HUMAN, provider="Vendor")
KEPT = Retention(name="short", days=30, outcomes=("success",))
LOWER = {"authorization_denial_spike": {"threshold": 3, "resources": 3}}

configs = st.fixed_dictionaries(
    {
        "max_record_bytes": st.sampled_from([1024, 1024 * 1024]),
        "principals": st.sampled_from([(), (HUMANS,), (VENDOR,), (VENDOR, HUMANS)]),
        "retention": st.sampled_from([(), (KEPT,)]),
        "detectors": st.sampled_from([{}, LOWER]),
    }
)
labels = st.fixed_dictionaries(
    {
        "cluster": st.sampled_from(["default", "kafka-prod"]),
        "host": st.sampled_from(["", "broker-1"]),
        "zone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "source": st.sampled_from(["auto", "auto", "kafka_authorizer"]),
    }
)


def inputs(folder: Path, said: dict[str, Any]) -> list[Input]:
    return [Input(path=str(folder / name), **said) for name in ("a.log", "b.log")]


@settings(max_examples=6, phases=(Phase.generate,))
@given(configs, configs, labels, labels, st.data())
def test_whatever_was_configured(
    before: Any, after: Any, then: Any, today: Any, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log(folder / "a.log", 7, 60)
        log(folder / "b.log", 8, 40)
        store, fresh = folder / "store.db", folder / "fresh.db"
        config = Config(**after)
        run(store, *inputs(folder, then), config=Config(**before))
        run(fresh, *inputs(folder, today), config=config)
        if data.draw(st.booleans(), "in parts"):
            cut = BEGIN + data.draw(st.integers(-2, 5)) * HOUR_MS
            for period in (Period(cut, None), Period(None, cut)):
                replay(store, config, inputs(folder, today), Asked(period), apply=True)
        shown = replay(store, config, inputs(folder, today))
        applied = replay(store, config, inputs(folder, today), apply=True)
        assert shown.counts() == applied.counts()
        alike(store, fresh)
        assert not replay(store, config, inputs(folder, today)).changes
        # And runs go on from there.
        again = run(store, *inputs(folder, today), config=config)
        assert balanced(again)
        alike(store, fresh)
        assert nothing(run(store, *inputs(folder, today), config=config))
