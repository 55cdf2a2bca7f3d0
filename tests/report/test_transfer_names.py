"""Every method and adaptation that a configuration can name has a name on the page of transfer results."""

from siamese_jax.protocols import config
from siamese_jax.report.paper import transfer


def test_every_method_and_adaptation_has_a_name():
    assert {*transfer.METHOD_NAMES, "siamese"} == set(config.METHODS)  # the network is named by its loss
    assert {"none", *transfer.ADAPTATION_NAMES} == set(config.ADAPTATIONS)
