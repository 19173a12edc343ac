"""Parent of a training: the model whose weights it starts from (``--init``)."""

import dataclasses

from pipeline.config import Config, FrontEndConfig
from pipeline.errors import ConfigError, ModelFolderError
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder

SAME = (("model", "backbone"), ("model", "stages"), ("model", "rescale_input"), ("encoder", "encoder_layers"))
"""Sections and options that decide about the weights before the head, besides the front end."""


def find(config: Config) -> ModelFolder | None:
    """Model folder that ``--init`` names, ``None`` without the option; imports no TensorFlow.

    Raises ``ConfigError`` for options that contradict each other, ``ModelFolderError`` if the folder is missing or
    damaged or has no Keras model.
    """
    settings = config.train
    if settings.freeze != "none" and not settings.init and config.model.weights == "none":
        raise ConfigError(
            f"--freeze {settings.freeze}: without --init MODEL or --weights, its weights are random numbers that "
            "no training would ever improve; give one of the two"
        )
    if not settings.init:
        return None
    if config.model.backbone == "gmm":
        raise ConfigError(f"--init {settings.init}: gmm is fitted anew by every training; drop the option")
    parent = ModelFolder.load(model_folders.find(settings.init, scores=False))
    if parent.keras is None:
        raise ModelFolderError(f"{parent.folder}: {model_folders.KERAS}, which --init starts from, is missing")
    return parent


def checksum(parent: ModelFolder) -> str:
    """SHA-256 of the weights of a parent."""
    return parent.sha256[model_folders.KERAS]


def build(config: Config, attacks: int = 0, *, quietly: bool = False) -> "keras.Model":  # noqa: F821
    """Build the model of a configuration, with the weights of its parent if ``--init`` names one.

    ``attacks`` is the number of attacks that it tells apart.
    """
    from pipeline.network import networks

    model = networks.build(config, attacks)
    if start := find(config):
        message = give_weights(start, model, config)
        if not quietly:
            print(message, flush=True)
    return model


def give_weights(parent: ModelFolder, model: "keras.Model", config: Config) -> str:  # noqa: F821
    """Give a built model the weights of its parent; returns a line that says so, and what starts anew.

    Raises ``ConfigError`` that names the first difference of front end or backbone.
    """
    from pipeline.network import inheritance, networks

    path, init = parent.keras, config.train.init
    remedy = "make them alike, or give another model"
    if difference := _difference(config, parent.config, front_end=not networks.takes_waveform(config)):
        raise ConfigError(f"--init {init}: {difference}; {remedy}")
    try:
        anew = inheritance.inherit(model, networks.load(path))
    except ConfigError as error:
        raise ConfigError(f"--init {init}: {error}; {remedy}") from None
    rest = f"; {' and '.join(anew)} of the head start anew, for their shapes differ" if anew else ""
    return f"starting from the weights of {parent.model_version}{rest}"


def _difference(config: Config, other: Config, *, front_end: bool) -> str:
    """First option in which two models of different weights differ, with both values; "" if there is none."""
    fields = [("front_end", field.name) for field in dataclasses.fields(FrontEndConfig)] if front_end else []
    for section, name in (*SAME, *fields):
        own, theirs = getattr(getattr(config, section), name), getattr(getattr(other, section), name)
        if own != theirs:
            return f"--{name} is {own} here and {theirs} there"
    if (config.model.weights == "none") != (other.model.weights == "none"):  # other channels of the input
        return f"--weights is {config.model.weights} here and {other.model.weights} there"
    return ""
