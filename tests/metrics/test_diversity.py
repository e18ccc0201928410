"""Diversity and overlap of lists, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.metrics import intra_list_diversity, overlap

TEA, CUP, COAT = [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0]
VECTORS = np.array([TEA, CUP, COAT, [0.0, 0.0, 0.0]])


def test_diversity_by_hand():
    # tea and cup: 1 - 1/sqrt 2; tea and coat, cup and coat: 1.
    lists = np.array([[0, 1, 2], [0, 1, -1]], np.int32)
    alike = 1 - 1 / np.sqrt(2)
    assert intra_list_diversity(lists, VECTORS) == pytest.approx([(alike + 2) / 3, alike])


def test_an_item_of_which_nothing_is_known_is_unlike_all():
    assert intra_list_diversity(np.array([[0, 3]], np.int32), VECTORS) == pytest.approx([1.0])


def test_one_item_is_neither_diverse_nor_not():
    assert np.isnan(intra_list_diversity(np.array([[0, -1]], np.int32), VECTORS)).all()


def test_scikit_learn_finds_the_same_distances():
    from sklearn.metrics.pairwise import cosine_distances

    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(30, 8))
    lists = np.array([rng.permutation(30)[:7] for _ in range(20)], np.int32)
    expected = [cosine_distances(vectors[row])[np.triu_indices(7, k=1)].mean() for row in lists]
    assert intra_list_diversity(lists, vectors) == pytest.approx(expected)


def test_overlap_by_hand():
    lists = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]], np.int32)
    others = np.array([[4, 3, 8, 9], [1, -1, -1, -1], [-1, -1, -1, -1]], np.int32)
    assert overlap(lists, others)[:2].tolist() == [0.5, 0.25]
    assert np.isnan(overlap(lists, others)[2])


def test_overlap_is_what_sets_say():
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 15, (40, 6)).astype(np.int32) for _ in range(2))
    expected = [
        len(set(x) & set(y)) / max(len(set(x)), len(set(y)))
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert overlap(a, b) == pytest.approx(expected)
    assert overlap(a, b) == pytest.approx(overlap(b, a))


def test_lists_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="differ in number"):
        overlap(np.zeros((2, 3), np.int32), np.zeros((3, 3), np.int32))
