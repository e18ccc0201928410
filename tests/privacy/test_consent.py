"""What a shopper said last is what counts, for every purpose on its own."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.facts import Purpose
from habitue.privacy.consent import PURPOSES, ConsentGate

DEFAULT: tuple[Purpose, ...] = ("personalisation", "analytics")


def table(rows: list[tuple[int, int, list[str], list[str]]]) -> pa.Table:
    """Consents as the store scans them: shopper row, time, granted, denied."""

    def said(purposes: list[str]) -> str:
        return "[" + ",".join(f'"{p}"' for p in purposes) + "]"

    return pa.table(
        {
            "shopper_row": pa.array([row for row, *_ in rows], pa.int32()),
            "at_ms": pa.array([at for _, at, *_ in rows], pa.int64()),
            "granted": pa.array([said(granted) for *_, granted, _ in rows], pa.string()),
            "denied": pa.array([said(denied) for *_, denied in rows], pa.string()),
        }
    )


def answers(gate: ConsentGate, purpose: Any, rows: list[int]) -> list[bool]:
    batch: list[bool] = gate.allowed(np.array(rows, np.int32), purpose).tolist()
    assert batch == [gate.allows(row, purpose) for row in rows]
    return batch


def test_who_said_nothing_gets_the_shops_default() -> None:
    gate = ConsentGate(DEFAULT)
    assert answers(gate, "personalisation", [0, 7, -1]) == [True] * 3
    assert answers(gate, "messages", [0, 7, -1]) == [False] * 3
    gate.observe(table([(2, 10, [], ["personalisation"])]))
    assert answers(gate, "personalisation", [0, 1, 2, 3, -1]) == [True, True, False, True, True]


def test_the_latest_answer_counts_in_whatever_order_they_arrive() -> None:
    gate = ConsentGate(DEFAULT)
    gate.observe(table([(0, 20, [], ["personalisation"]), (0, 10, ["personalisation"], [])]))
    assert answers(gate, "personalisation", [0]) == [False]
    gate.say(0, 15, ["personalisation"], [])
    assert answers(gate, "personalisation", [0]) == [False]
    gate.say(0, 20, ["personalisation"], [])
    assert answers(gate, "personalisation", [0]) == [True]


def test_purposes_are_asked_one_by_one() -> None:
    gate = ConsentGate(DEFAULT)
    gate.observe(table([(0, 1, ["messages"], ["analytics"])]))
    assert [answers(gate, purpose, [0])[0] for purpose in PURPOSES] == [True, False, True, False]


def test_both_at_once_means_no() -> None:
    gate = ConsentGate(DEFAULT)
    gate.say(0, 1, ["messages"], ["messages"])
    assert answers(gate, "messages", [0]) == [False]


def test_people_known_by_several_ids_share_their_answers() -> None:
    gate = ConsentGate(DEFAULT)
    gate.observe(table([(3, 10, [], ["personalisation"]), (1, 5, ["personalisation"], [])]))
    gate.regroup(np.array([0, 1, 2, 1], np.int32))  # row 3 is the person of row 1
    assert answers(gate, "personalisation", [0, 1, 2, 3]) == [True, False, True, False]
    gate.say(1, 11, ["personalisation"], [])
    assert answers(gate, "personalisation", [1, 3]) == [True, True]
    gate.regroup(np.arange(4, dtype=np.int32))  # the alias was undone
    assert answers(gate, "personalisation", [1, 3]) == [True, False]


def test_an_alias_passes_on_what_only_the_other_id_said() -> None:
    gate = ConsentGate(DEFAULT)
    gate.observe(table([(1, 10, [], ["personalisation"]), (0, 50, ["messages"], [])]))
    gate.regroup(np.array([0, 0], np.int32))
    assert answers(gate, "personalisation", [0, 1]) == [False, False]
    assert answers(gate, "messages", [0, 1]) == [True, True]


SAID = st.tuples(
    st.integers(0, 5),
    st.integers(0, 8),
    st.lists(st.sampled_from(PURPOSES), unique=True, max_size=2),
    st.lists(st.sampled_from(PURPOSES), unique=True, max_size=2),
)


@given(
    st.lists(SAID, max_size=25),
    st.lists(st.integers(0, 5), min_size=6, max_size=6),
    st.integers(0, 25),
)
def test_the_gate_is_a_plain_look_through_the_log(
    log: list[tuple[int, int, list[str], list[str]]], person: list[int], cut: int
) -> None:
    person = [p if person[p] == p else row for row, p in enumerate(person)]
    gate = ConsentGate(DEFAULT)
    gate.observe(table(log[:cut]))
    gate.regroup(np.array(person, np.int32))
    gate.observe(table(log[cut:]))
    for purpose in PURPOSES:
        expected = []
        for row in range(6):
            own: dict[int, tuple[int, bool]] = {}  # what each id of the person said last
            for who, at, granted, denied in log:
                if person[who] != person[row] or purpose not in granted + denied:
                    continue
                if who not in own or at >= own[who][0]:
                    own[who] = (at, purpose not in denied)
            latest = max(((at, who, yes) for who, (at, yes) in own.items()), default=None)
            expected.append(latest[2] if latest else purpose in DEFAULT)
        assert answers(gate, purpose, list(range(6))) == expected


def test_an_unknown_purpose_is_an_error() -> None:
    with pytest.raises(ValueError, match="tuple"):
        ConsentGate(DEFAULT).allows(0, "profit")  # type: ignore[arg-type]
