"""The whole way at once: which networks it trains."""

import pytest

from pipeline import main
from pipeline.compare import CompareOptions
from pipeline.config import PRESETS, preset
from pipeline.errors import ConfigError


def trained(config, given: str) -> list[tuple[str, int]]:
    return [(own.model.backbone, own.train.epochs) for own in main.rivals(config, given)]


def test_the_small_network_is_the_rival_unless_it_was_asked_for():
    demo = preset("demo")
    assert main.rivals(demo, "auto") == [preset("demo-whisper")]
    compared = CompareOptions().configs.split(",")
    assert {"default", "demo", "demo-lcnn"} <= set(compared), "compare shows the default and the demo's networks"
    assert main.rivals(demo.replace(seed=3), "demo-lcnn") == [preset("demo-lcnn").replace(seed=3)]
    assert main.rivals(preset("default"), "auto") == [preset("logspec").replace(backbone="lcnn")]
    assert trained(demo.replace(backbone="lcnn"), "auto") == []
    assert trained(demo, "none") == []


def test_rivals_differ_from_the_configuration_by_their_options():
    config = preset("smoke")
    assert trained(config, "vgg, lcnn+epochs=7") == [("vgg", 2), ("lcnn", 7)]
    (rival,) = main.rivals(config, "vgg+dropout=0.1+clip_s=1")
    assert rival == config.replace(backbone="vgg", dropout=0.1, clip_s=1.0)


def test_a_preset_as_rival_is_that_preset_on_the_same_corpus():
    config = preset("demo").replace(corpus="folder", seed=2, epochs=3)
    names = [name for name in PRESETS if name != "demo"]
    for rival in main.rivals(config, ",".join(names)):
        own = PRESETS[rival.preset]
        shared = {"corpus": "folder", "seed": 2, "epochs": own.get("epochs", 3)}
        assert rival == preset(rival.preset).replace(**shared), rival.preset


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
