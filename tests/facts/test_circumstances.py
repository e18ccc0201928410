"""Where and how things happened, as codes: the same for logs and for requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from habitue.errors import SnapshotError
from habitue.facts import NO_ROW, NOT_SAID, Circumstances, Context, Owned, Vocabulary

VOCABULARY = Vocabulary(
    surface=("", "home"),
    platform=("", "web", "app"),
    device=("", "mobile"),
    locale=("", "en-gb", "de-de"),
    words=("", "red shoes"),
)


def context(**said: tuple[str | None, ...]) -> Context:
    n = 3
    none = np.full((n, 0), NO_ROW, np.int32)
    return Context(
        surface="home",
        now_ms=np.zeros(n, np.int64),
        shopper_row=np.full(n, NO_ROW, np.int32),
        recent_item=none,
        recent_kind=none.astype(np.uint8),
        recent_age_days=none.astype(np.float32),
        anchor_item=none,
        owned=Owned.nothing(n),
        **said,  # type: ignore[arg-type]
    )


def test_requests_are_read_by_the_words_of_the_log() -> None:
    read = VOCABULARY.read(
        context(
            platform=("app", "Web", None),
            device=("desktop", "mobile", "MOBILE "),
            locale=("de_DE", None, "en-GB"),
            query=("red  SHOES", "blue shoes", ""),
        )
    )
    assert read.surface.tolist() == [1, 1, 1]
    assert read.platform.tolist() == [2, 1, NOT_SAID]
    assert read.device.tolist() == [NOT_SAID, 1, 1]
    assert read.locale.tolist() == [2, NOT_SAID, 1]
    assert read.words.tolist() == [1, NOT_SAID, NOT_SAID]
    assert read.texts("platform") == ("app", "web", None)


def test_a_request_that_says_nothing_has_no_codes() -> None:
    read = VOCABULARY.read(context())
    assert len(read) == 3
    assert not any(read.codes(side).any() for side in ("platform", "device", "locale", "words"))


def test_rows_are_taken_of_every_side() -> None:
    column = np.array([0, 1, 2], np.int16)
    whole = Circumstances(column, column, column, column, column.astype(np.int32), VOCABULARY)
    part = whole.take(np.array([True, False, True]))
    for side in ("surface", "platform", "device", "locale", "words"):
        assert part.codes(side).tolist() == [0, 2]
    assert part.vocabulary is VOCABULARY


def test_it_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    VOCABULARY.codes("device", ["mobile"])  # what is looked up is not written
    VOCABULARY.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == VOCABULARY


@pytest.mark.parametrize("content", [None, b"{", b'{"surface": 3}'])
def test_one_that_cannot_be_read_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "vocabulary.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SnapshotError, match="Train again"):
        Vocabulary.load(path)
