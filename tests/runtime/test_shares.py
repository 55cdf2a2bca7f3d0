"""Shares of work that need no exchange: asked for, found, or refused."""

import pytest
from hosts_for_tests import slurm_step

from siamese_jax.errors import InputError
from siamese_jax.runtime import shares
from siamese_jax.runtime.shares import Share


def test_a_share_is_found_or_asked_for(monkeypatch):
    assert shares.share(False, None, None) == Share(0, 1)
    assert shares.share(False, 3, 2) == Share(2, 3)
    for name, value in slurm_step(1, 4, 61441).items():
        monkeypatch.setenv(name, value)
    assert shares.share(True, None, None) == Share(1, 4)


@pytest.mark.parametrize("given", [(None, 1), (2, None), (2, 2)])
def test_a_share_that_does_not_fit_is_refused(given):
    with pytest.raises(InputError, match=r"num_processes \w+, process_id \w+: expected their number and this one's"):
        shares.share(False, *given)
