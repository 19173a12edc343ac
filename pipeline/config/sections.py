"""Sections of the configuration: one frozen dataclass per concern, each field an option."""

from dataclasses import dataclass, field

from pipeline.config.names import BONAFIDE, CORPORA, SAMPLE_RATE_HZ, SPOOF


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
    feature_noise: float = option(
        0.0,
        "standard deviation of the noise that the features of an encoder are multiplied by in training, relative to 1",
        least=0,
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
        "windows to score in a longer recording; overlapping: by half, spread: evenly, overlapping by a "
        "quarter or more, consecutive: end to end, first: only its beginning",
        choices=("overlapping", "spread", "consecutive", "first"),
    )

    @property
    def clip_samples(self) -> int:
        """Samples of a window."""
        return round(self.clip_s * SAMPLE_RATE_HZ)


@dataclass(frozen=True)
class TrainConfig:
    """Fit of the network."""

    target: str = option(
        "label",
        "what the network learns; attack: also which attack of train made a spoof (without pseudo-spoofs, which none "
        "did)",
        choices=("label", "attack"),
    )
    crop: str = option(
        "random", "window of a longer clip to train on; first: its beginning", choices=("random", "first")
    )
    balance: bool | str = option(
        True,
        "draw half of each batch from each class; corpus,label: and each half in equal parts from all corpora",
        choices=("corpus,label",),
    )
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
class GuardConfig:
    """Guard of a training that starts from a model (``--init``) against losing what that model knew."""

    guard: float | None = option(
        None,
        "points of EER by which the dev of the model that --init names may get worse: epochs beyond are never kept. "
        "Empty: no limit",
        least=0,
    )
    guard_store: str = option(
        "",
        "folder of the Store which that model was trained on; needed if the backbone is trained too, otherwise the "
        "model folder holds what the guard needs",
    )


@dataclass(frozen=True)
class DeviceConfig:
    """Devices and precision of training; they change the model only by rounding."""

    mixed_precision: str = option("auto", "float16 compute; auto: only on a GPU", choices=("auto", "on", "off"))
    sync_batch_norm: bool = option(
        True,
        "on several devices, normalise by the statistics of the whole batch; false: by those of each device's part, "
        "which is faster and noisier",
    )
    xla: str = option(
        "off",
        "compile the training step with XLA and take several steps at once; auto: on one GPU, unless deterministic",
        choices=("auto", "on", "off"),
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
