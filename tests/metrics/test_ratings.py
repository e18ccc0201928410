"""Errors of foretold ratings, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from habitue.metrics import mae, rmse

GIVEN, FORETOLD = np.array([5.0, 3.0, 1.0]), np.array([4.0, 3.0, 3.0])


def test_the_errors_worked_out_by_hand():
    assert rmse(GIVEN, FORETOLD) == pytest.approx(np.sqrt((1 + 0 + 4) / 3))
    assert mae(GIVEN, FORETOLD) == pytest.approx((1 + 0 + 2) / 3)


def test_scikit_learn_gets_the_same_errors():
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    rng = np.random.default_rng(6)
    given, foretold = rng.integers(1, 6, 300).astype(np.float32), rng.normal(3, 1, 300)
    assert rmse(given, foretold) == pytest.approx(root_mean_squared_error(given, foretold))
    assert mae(given, foretold) == pytest.approx(mean_absolute_error(given, foretold))


def test_no_rating_is_no_error():
    assert np.isnan(rmse(np.empty(0), np.empty(0)))
    assert np.isnan(mae(np.empty(0), np.empty(0)))


def test_ratings_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="of 3"):
        rmse(GIVEN, FORETOLD[:2])
