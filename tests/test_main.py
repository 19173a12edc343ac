"""The whole way at once: which networks it trains."""

import pytest

from pipeline import main
from pipeline.compare import CompareOptions
from pipeline.config import preset
from pipeline.errors import ConfigError


def trained(config, given: str) -> list[tuple[str, int]]:
    return [(own.model.backbone, own.train.epochs) for own in main.rivals(config, given)]


def test_the_small_network_is_the_rival_unless_it_was_asked_for():
    demo = preset("demo")
    assert main.rivals(demo, "auto") == [preset("demo-lcnn")]
    assert {"demo", "demo-lcnn"} <= set(CompareOptions().configs.split(",")), "compare shows the demo's networks"
    assert main.rivals(demo.replace(seed=3), "demo-lcnn") == [preset("demo-lcnn").replace(seed=3)]
    assert trained(preset("default"), "auto") == [("lcnn", preset("default").train.epochs)]
    assert trained(demo.replace(backbone="lcnn"), "auto") == []
    assert trained(demo, "none") == []


def test_rivals_differ_from_the_configuration_by_their_options():
    config = preset("smoke")
    assert trained(config, "vgg, lcnn+epochs=7") == [("vgg", 2), ("lcnn", 7)]
    (rival,) = main.rivals(config, "vgg+dropout=0.1+clip_s=1")
    assert rival == config.replace(backbone="vgg", dropout=0.1, clip_s=1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("alexnet", "--rivals 'alexnet': choose among efficientnetb0"),
        ("lcnn+speed=2", r"--rivals 'lcnn\+speed=2': unknown option 'speed'"),
        ("efficientnetb0", "--rivals 'efficientnetb0': efficientnetb0 twice"),
        ("vgg,vgg", "--rivals 'vgg,vgg': vgg twice"),
    ],
)
def test_other_rivals_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        main.rivals(preset("smoke"), given)
