"""The contract suites explain a failed assertion as test files do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.store.fact_store_contract", "tests.store.live_state_contract")
