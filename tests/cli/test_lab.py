"""``auditstream lab``, as far as no server is needed: what it says where it cannot run."""

from __future__ import annotations

import pytest

from pipeline.cli import lab
from pipeline.errors import LabError
from pipeline.registry import detectors
from tests.commands import exit_status


def test_without_the_extra_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "_NEEDED", ("a_module_that_nobody_has",))
    assert exit_status("lab") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "auditstream: the lab needs what is not installed here (a_module_that_nobody_has): "
        "pip install 'auditstream[lab]'\n"
    )


def test_detectors_that_stayed_silent_are_named_with_their_part() -> None:
    lab._require([])
    with pytest.raises(LabError, match="1 of the detectors") as raised:
        lab._require(["log_forgery"])
    assert str(raised.value).splitlines()[1] == f"  log_forgery: {detectors()['log_forgery'].title}"
    assert raised.value.exit_status == 1


def test_a_summary_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("lab", "--summary", "xml") == 2
    assert "--summary" in capsys.readouterr().err
