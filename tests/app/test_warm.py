"""Warming runs the whole way of a request: what it answers comes from a trained snapshot."""

from __future__ import annotations

from habitue.app.warm import warm


def test_what_warming_answers_was_trained_and_is_explained() -> None:
    answers = warm()
    assert [answer.surface for answer in answers] == ["home", "item", "cart"] * 2
    assert all(answer.snapshot and answer.items for answer in answers)
    known = answers[0]
    assert known.fallback == ""
    assert any(slot.reason for slot in known.items)
