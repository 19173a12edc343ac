"""Settings of the project: one frozen dataclass per concern, and the presets that fill them.

Command-line flags, ``--help`` and the parameters logged to MLflow are generated from the fields below (see ``cli``), so
a setting is typed once. Later sources override earlier ones: field default, preset, ``--config`` file, command line.
"""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
SAMPLE_RATE_HZ = 16000
"""Sample rate inside the project; decoding resamples everything to it."""
BONAFIDE, SPOOF = "bonafide", "spoof"
"""Labels: live human speech, and speech that was replayed, synthesised or converted."""
FUSION = "fusion"
"""Preset of models made of others, and backbone of a weighted sum of their scores."""
EXPERIMENT = "spoof-detector"
REGISTERED_MODEL = "spoof-detector"


def artifacts_dir() -> Path:
    """Folder that all commands write to: ``$SPOOF_ARTIFACTS``, or ``artifacts/`` in the project."""
    return Path(os.environ.get("SPOOF_ARTIFACTS") or PROJECT_ROOT / "artifacts").resolve()


CORPORA = (
    *("asvspoof2017", "asvspoof2019_la", "asvspoof2019_pa", "asvspoof2021_df", "asvspoof2021_la", "asvspoof2021_pa"),
    *("asvspoof5", "demo", "fake_or_real", "folder", "in_the_wild", "synthetic", "table", "voices", "wavefake"),
)


def option(
    default, help_text: str, choices: tuple[str, ...] = (), *, several: bool = False, least: float | None = None
):
    """Dataclass field that is also a command-line option.

    With ``several``, commas separate choices; ``least`` is the smallest number allowed. An option that may be left
    out has the type ``float | None`` (or another) and the default ``None``.
    """
    metadata = {"help": help_text, "choices": choices, "several": several, "least": least}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class CorpusConfig:
    """Recordings to use, and their split."""

    corpus: str = option(
        "demo", "corpus reader; several, comma separated, are joined into one Store", choices=CORPORA, several=True
    )
    data_dir: str = option(
        "",
        "folder of the corpus (for table: the CSV, TSV or Parquet file), one per corpus; empty: demo, synthetic and "
        "voices build their own",
    )
    parts: str = option("", "official parts of the corpus to read, comma separated (train,dev,eval); empty: all")
    split_by: str = option(
        "auto",
        "split into train, dev and eval; auto: official if the corpus has one (a missing dev or eval is drawn from "
        "train), else speaker. stratified draws clips at random and leaks speakers; none: all of it is eval",
        choices=("auto", "official", "speaker", "stratified", "none"),
    )
    split_seed: int = option(0, "seed of the speaker and stratified splits", least=0)
    label_one: str = option(
        "none",
        "class of the label 1 in a table whose labels are 1 and 0; none: such labels are refused",
        choices=(BONAFIDE, SPOOF, "none"),
    )
    truncated: str = option(
        "reject",
        "recordings that hold less than their header promises, such as interrupted downloads; keep: use what is there",
        choices=("keep", "reject"),
    )


@dataclass(frozen=True)
class AudioConfig:
    """Limits of the recordings that are decoded."""

    min_s: float = option(0.2, "reject recordings shorter than this, in s", least=0)
    max_s: float = option(600.0, "reject recordings longer than this, in s", least=0)
    silence_dbfs: float = option(-80.0, "reject recordings whose peak lies under this level, in dB full scale")


@dataclass(frozen=True)
class FrontEndConfig:
    """Front end from waveform to spectrogram, inside the model."""

    # The defaults suit speech at 16 kHz: windows of 32 ms every 10 ms follow pitch and plosives, and with them each of
    # 80 mel bands still holds two Fourier bins or more. cmvn removes the constant colour of the channel.
    front_end: str = option(
        "logmel",
        "spectrogram that the network sees; logspec: linear-frequency bands, lfcc: their cepstrum with deltas, cqt: "
        "bands of constant quality (width in proportion to frequency)",
        choices=("logmel", "logspec", "lfcc", "cqt"),
    )
    n_fft: int = option(512, "samples of the Fourier window")
    hop_samples: int = option(160, "samples between frames")
    n_mels: int = option(80, "mel bands")
    n_bands: int = option(100, "bands of logspec and lfcc; 0 (logspec only): every bin of the Fourier transform")
    bins_per_octave: int = option(12, "bands per octave of cqt")
    n_coefficients: int = option(20, "cepstral coefficients of lfcc, before deltas")
    fmin_hz: float = option(20.0, "lower edge of the lowest band, in Hz")
    fmax_hz: float = option(8000.0, "upper edge of the highest band, in Hz")
    normalisation: str = option(
        "cmvn",
        "per utterance; peak: dB relative to the maximum with an 80 dB floor, cmvn: zero mean and unit variance of "
        "each band, none: dB as they are",
        choices=("peak", "cmvn", "none"),
    )


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of the training clips of both classes; 0: none, 1: the strongest."""

    augment_strength: float = option(0.1, "strength of all parts, 0 to 1")
    augment_noise: float = option(-1.0, "coloured noise; -1: augment_strength")
    augment_equaliser: float = option(-1.0, "random equaliser and band limits; -1: augment_strength")
    augment_level: float = option(-1.0, "level; -1: augment_strength")
    augment_reverb: float = option(0.0, "synthetic room, which imitates a replay; -1: augment_strength")
    augment_companding: float = option(-1.0, "A-law and µ-law with few bits; -1: augment_strength")
    augment_rawboost: float = option(-1.0, "RawBoost's three parts; -1: augment_strength")
    augment_stretch: float = option(-1.0, "time-stretch, up to 20 %; -1: augment_strength")
    augment_pitch: float = option(-1.0, "pitch-shift, up to 3 semitones; -1: augment_strength")
    augment_masks: float = option(-1.0, "masked bands and frames (SpecAugment); -1: augment_strength")


@dataclass(frozen=True)
class HostAugmentConfig:
    """Augmentation of the training clips of both classes on the host, by real codecs and own noises and rooms."""

    augment_codec: float = option(
        0.0, "share of the clips that pass through a real codec (MP3, Opus, AMR, µ-law or A-law), 0 to 1", least=0
    )
    noise_dir: str = option("", "folder of noises to mix in, at any depth, such as MUSAN")
    noise_share: float = option(0.5, "share of the clips with a noise of noise_dir, at an SNR of 0 to 20 dB", least=0)
    rir_dir: str = option("", "folder of impulse responses of rooms, at any depth, such as RIRS_NOISES")
    rir_share: float = option(0.25, "share of the clips in a room of rir_dir", least=0)


@dataclass(frozen=True)
class ModelConfig:
    """Network behind the front end."""

    backbone: str = option(
        "efficientnetb0",
        "network; whisper and wav2vec2 (HuBERT, WavLM, XLS-R too) are pretrained speech encoders, given by --encoder; "
        "gmm: two Gaussian mixtures, fitted without augmentation (preset gmm puts them on LFCC)",
        choices=("efficientnetb0", "gmm", "lcnn", "rawnet2", "resnet18", "vgg", "wav2vec2", "whisper"),
    )
    weights: str = option(
        "none",
        "initial weights of efficientnetb0; none: random, imagenet: Keras' file, from its cache or fetched, auto: "
        "imagenet if that succeeds within seconds, else none; or a file of Keras weights",
    )
    stages: int = option(7, "stages of efficientnetb0 to keep, 1 to 7 (all); fewer learn faster from few clips")
    dense_units: int = option(256, "units of the layer before the output")
    components: int = option(64, "Gaussians of each mixture of gmm")
    dropout: float = option(0.3, "dropout rate before the output layer")
    batch_norm_momentum: float = option(0.9, "momentum of the backbone's batch normalisation")
    rescale_input: bool = option(
        False,
        "true: keep EfficientNet's division of its input by 255, meant for pictures; false: undo it, so the network "
        "sees the normalised spectrogram itself",
    )


ENCODERS = ("wav2vec2", "whisper")
"""Backbones that are pretrained speech encoders."""
ON_WAVEFORMS = ("rawnet2", *ENCODERS)
"""Backbones that take the waveform, so that the model has no front end."""


@dataclass(frozen=True)
class EncoderConfig:
    """Pretrained speech encoder of the backbones ``whisper`` and ``wav2vec2``, and what of it is trained."""

    encoder: str = option(
        "",
        "folder of the encoder: config.json and model.safetensors, as their publishers ship them, or a model folder; "
        "empty: that of the model that comes with the project",
    )
    encoder_layers: int = option(0, "layers of the encoder to keep, the first ones; 0: all", least=0)
    encoder_trainable: str = option(
        "none",
        "part of the encoder to train: none, top:N (the last N layers kept) or all. With none, the features of each "
        "clip are computed once and kept on disk",
    )
    encoder_learning_rate: float = option(1e-5, "highest learning rate of the encoder's trained part")
    pooling: str = option(
        "statistics",
        "frames of the encoder to one vector; statistics: mean and deviation, attentive: both weighted by attention",
        choices=("statistics", "attentive"),
    )
    variants: int = option(
        4, "epochs of augmented training clips whose features are kept, if the encoder is not trained", least=1
    )
    features_gb: float = option(20.0, "most disk space for the features of one training, in GB", least=0)

    @property
    def frozen(self) -> bool:
        """Whether no part of the encoder is trained."""
        return self.encoder_trainable == "none"


@dataclass(frozen=True)
class WindowConfig:
    """Windows that a recording is cut into, in training and in scoring."""

    clip_s: float = option(4.0, "length of the window that the network sees, in s")
    pad: str = option("repeat", "way to fill a clip shorter than clip_s", choices=("repeat", "zero"))
    windows: str = option(
        "overlapping",
        "windows to score in a longer recording; overlapping: by half, consecutive: end to end, first: only its "
        "beginning",
        choices=("overlapping", "consecutive", "first"),
    )

    @property
    def clip_samples(self) -> int:
        """Samples of a window."""
        return round(self.clip_s * SAMPLE_RATE_HZ)


@dataclass(frozen=True)
class TrainConfig:
    """Fit of the network."""

    crop: str = option(
        "random", "window of a longer clip to train on; first: its beginning", choices=("random", "first")
    )
    balance: bool = option(True, "draw half of each batch from each class")
    leave_out: str = option(
        "", "attacks to leave out of train and dev, patterns such as E01-*, comma separated; eval keeps them"
    )
    pseudo_spoofs: float = option(
        0.3, "share of each batch's spoofs that are processed copies of its bonafide clips, 0 to 1"
    )
    batch_size: int = option(32, "clips per batch, over all devices")
    epochs: int = option(60, "epochs at most")
    learning_rate: float = option(1e-3, "highest learning rate of Adam")
    weight_decay: float = option(0.0, "decoupled weight decay of Adam, except for biases and normalisation")
    schedule: str = option("cosine", "learning rate over the steps", choices=("cosine", "constant"))
    warmup_epochs: float = option(1.0, "epochs of linear warm-up before the cosine")
    patience: int = option(
        0,
        "epochs without a better dev EER before training stops; 0: never, as most is learnt near the end of the cosine",
    )
    keep: str = option("best", "epoch whose weights are kept: best on dev EER, or last", choices=("best", "last"))
    init: str = option(
        "",
        "model to start from, of the same front end and backbone: model folder, runs:/ID or models:/NAME@ALIAS; a head "
        "of another shape starts anew. Empty: fresh weights, or those of --weights",
    )
    freeze: str = option(
        "none",
        "part whose weights stay as they started; backbone: all but the layers after it",
        choices=("none", "backbone"),
    )
    freeze_epochs: int = option(0, "epochs after which the frozen part is trained too; 0: never", least=0)
    ema: float = option(
        0.0, "decay per step of the average of the weights that dev measures and that is kept; 0: none", least=0
    )
    seed: int = option(0, "seed of everything random in training", least=0)


@dataclass(frozen=True)
class DeviceConfig:
    """Devices and precision of training; they change the model only by rounding."""

    mixed_precision: str = option("auto", "float16 compute; auto: only on a GPU", choices=("auto", "on", "off"))
    sync_batch_norm: bool = option(
        True,
        "on several devices, normalise by the statistics of the whole batch; false: by those of each device's part, "
        "which is faster and noisier",
    )
    require_gpu: bool = option(False, "fail at once if TensorFlow sees no GPU")
    deterministic: bool = option(
        False, "train the same model from the same seed on a GPU too, which is slower; on a CPU it always is the same"
    )


@dataclass(frozen=True)
class DecisionConfig:
    """Threshold that turns a score into a label."""

    operating_point: str = option(
        "eer",
        "default threshold of the model, found on dev: eer, min_dcf, fpr=RATE (spoof accepted), fnr=RATE (bonafide "
        "missed), or prior=P,miss=COST,false_alarm=COST with P the prior of spoof",
    )


@dataclass(frozen=True)
class Config:
    """All settings of a run; passed whole and logged whole."""

    corpus: CorpusConfig = CorpusConfig()
    audio: AudioConfig = AudioConfig()
    front_end: FrontEndConfig = FrontEndConfig()
    augment: AugmentConfig = AugmentConfig()
    host: HostAugmentConfig = HostAugmentConfig()
    model: ModelConfig = ModelConfig()
    encoder: EncoderConfig = EncoderConfig()
    window: WindowConfig = WindowConfig()
    train: TrainConfig = TrainConfig()
    device: DeviceConfig = DeviceConfig()
    decision: DecisionConfig = DecisionConfig()
    preset: str = "default"

    @property
    def has_encoder(self) -> bool:
        """Whether the backbone is a pretrained encoder."""
        return self.model.backbone in ENCODERS

    def flat(self) -> dict[str, object]:
        """Option name to value over all sections, and the name of the preset."""
        values: dict[str, object] = {"preset": self.preset}
        for section in SECTIONS:
            values |= dataclasses.asdict(getattr(self, section))
        return values

    def shown(self) -> dict[str, object]:
        """``flat`` without options that say nothing of the model: those of a weighted sum's members are their own."""
        if self.model.backbone != FUSION:
            return self.flat()
        sections = self.corpus, self.audio, self.window, self.decision
        common = {name: value for section in sections for name, value in dataclasses.asdict(section).items()}
        return {"preset": self.preset, "backbone": FUSION, **common}

    def replace(self, **values: object) -> "Config":
        """Copy with options changed by their flat names; unknown names raise ``ConfigError``."""
        owners = {f.name: name for name, cls in SECTIONS.items() for f in dataclasses.fields(cls)}
        changed: dict[str, dict] = {}
        for name, value in values.items():
            if name not in owners:
                raise ConfigError(f"unknown option {name!r}; known: {', '.join(sorted(owners))}")
            changed.setdefault(owners[name], {})[name] = value
        sections = {name: dataclasses.replace(getattr(self, name), **fields) for name, fields in changed.items()}
        return dataclasses.replace(self, **sections)


SECTIONS: dict[str, type] = {f.name: f.type for f in dataclasses.fields(Config) if f.name != "preset"}
"""Section name to its class."""

_UNCHANGED = {"augment_strength": 0.0, "pseudo_spoofs": 0.0}
_LOGSPEC = {"front_end": "logspec", "stages": 4}
_WHISPER = {"backbone": "whisper", "encoder_layers": 3, "clip_s": 2.0, "variants": 3}
_NOTEBOOK_INPUT = {"n_fft": 2048, "hop_samples": 512, "n_mels": 128, "fmin_hz": 0.0, "normalisation": "peak"}
_NOTEBOOK_WINDOW = {"clip_s": 1.0, "crop": "first", "pad": "zero", "windows": "first"}
_NOTEBOOK_NETWORK = {"batch_norm_momentum": 0.99, "rescale_input": True}
_NOTEBOOK_FIT = {"balance": False, "epochs": 10, "schedule": "constant", "keep": "last"}
_SMOKE_INPUT = {"corpus": "synthetic", "clip_s": 0.5, "n_mels": 32, "hop_samples": 240}

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    "logspec": _LOGSPEC,
    "demo": {**_LOGSPEC, "clip_s": 2.0, "batch_size": 8, "epochs": 6},
    "demo-lcnn": {**_LOGSPEC, "backbone": "lcnn", "clip_s": 1.0, "batch_size": 8, "epochs": 38},
    "smoke": {**_SMOKE_INPUT, **_UNCHANGED, "stages": 4, "dense_units": 16, "batch_size": 16, "epochs": 2},
    "gmm": {**_LOGSPEC, "backbone": "gmm", "front_end": "lfcc", **_UNCHANGED, "epochs": 10, "keep": "last"},
    "notebook": {**_NOTEBOOK_INPUT, **_NOTEBOOK_WINDOW, **_NOTEBOOK_NETWORK, **_NOTEBOOK_FIT, **_UNCHANGED},
    "demo-whisper": {**_WHISPER, "init": "pretrained:/whisper", "epochs": 30},
    "pretrained": {**_WHISPER, "corpus": "voices,demo", "variants": 1, "batch_size": 64, "epochs": 20},
}
"""Options that differ from the field defaults, by preset.

``default`` is the published design: log-mel spectrogram and the whole of EfficientNetB0. The others deviate from it:
``logspec`` has linear bands and four stages, which learn more from hundreds of clips; ``demo`` and ``demo-lcnn`` learn
the demo corpus from random weights, ``demo-whisper`` from the model that comes with the project, whose own recipe is
``pretrained``; ``gmm`` is the classical
baseline; ``smoke`` is for tests. ``notebook`` is the yardstick: network, features and training of the original
notebook, on the same Store and subsets as any other run.
"""


def preset(name: str) -> Config:
    """Configuration of a preset."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return Config(preset=name).replace(**PRESETS[name])


def fingerprint(*values: object) -> str:
    """Twelve hexadecimal digits that change with any of the JSON-able values (or dataclasses)."""
    plain = [dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for v in values]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:12]
