"""Encoders against outputs of the reference implementation (transformers), on tiny random networks of each family."""

import numpy as np
import pytest

from tests.support.encoders import FAMILIES, reference, states_model


@pytest.mark.parametrize("name", FAMILIES)
def test_every_state_is_that_of_the_reference(name):
    waveform, expected = reference(name)
    states = np.array(states_model(name)(waveform))
    assert states.shape == expected.shape
    np.testing.assert_allclose(states, expected, atol=1e-4, rtol=0)
