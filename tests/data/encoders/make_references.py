"""Reference outputs of the encoders: torch and transformers on tiny random configurations of each family.

Run once, in an environment of torch 2.14.1, transformers 5.24.0, safetensors 0.8.0 and numpy 2.4.6:

    python tests/data/encoders/make_references.py

It writes one folder per family beside it: ``config.json`` and ``model.safetensors`` as ``save_pretrained`` writes them,
and ``reference.npz`` with ``waveform [2, samples]`` and ``states [2, layers + 1, frames, channels]``.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

HERE = Path(__file__).resolve().parent
SAMPLES = 8000
SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
FRONT = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
STABLE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}


def main() -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    envelope = np.abs(np.sin(np.linspace(0, 9, SAMPLES))) * [[0.1], [0.5]]
    waveform = (random.standard_normal((2, SAMPLES)) * envelope + 0.01).astype("float32").clip(-1, 1)
    whisper(waveform)
    extra = {"num_codevectors_per_group": 4, "codevector_dim": 8, "proj_codevector_dim": 8}
    wav2vec2("wav2vec2", Wav2Vec2ForPreTraining(Wav2Vec2Config(**SIZE, **FRONT, **extra)), waveform, False)
    wav2vec2("xls-r", Wav2Vec2Model(Wav2Vec2Config(**SIZE, **FRONT, **STABLE)), waveform, True)
    wav2vec2("hubert", HubertModel(HubertConfig(**SIZE, **FRONT, feat_proj_layer_norm=False)), waveform, True)
    buckets = {"num_buckets": 32, "max_bucket_distance": 20}
    wav2vec2("wavlm", WavLMModel(WavLMConfig(**SIZE, **FRONT, **buckets)), waveform, False)
    wav2vec2("wavlm-stable", WavLMModel(WavLMConfig(**SIZE, **FRONT, **STABLE, **buckets)), waveform, True)


def whisper(waveform: np.ndarray) -> None:
    """Whisper; its length check is met by as many positions as the window has frames."""
    config = WhisperConfig(
        d_model=32,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_source_positions=SAMPLES // 320,
        max_target_positions=4,
        vocab_size=16,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0),
    )
    model = randomised(WhisperModel(config))
    extractor = WhisperFeatureExtractor(chunk_length=SAMPLES / 16000)
    features = extractor(list(waveform), sampling_rate=16000, return_tensors="pt", padding=False).input_features
    with torch.no_grad():
        states = model.encoder(features, output_hidden_states=True)
    write("whisper", model, waveform, states)


def wav2vec2(name: str, model, waveform: np.ndarray, normalised: bool) -> None:
    """A model of the family; ``normalised`` goes into ``preprocessor_config.json``."""
    model = randomised(model)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalised)
    values = extractor(list(waveform), sampling_rate=16000, return_tensors="pt").input_values
    encoder = getattr(model, "wav2vec2", model)
    with torch.no_grad():
        states = encoder(values, output_hidden_states=True)
    write(name, model, waveform, states)
    extractor.save_pretrained(HERE / name)


def randomised(model):
    """Draw all weights anew, so that no bias is 0 and no scale is 1."""
    for name, weight in model.named_parameters():
        if weight.ndim > 1 or "norm" not in name:
            torch.nn.init.normal_(weight, std=0.3 if weight.ndim < 2 else 1.5 / weight[0].numel() ** 0.5)
        else:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    return model.eval()


def write(name: str, model, waveform: np.ndarray, states) -> None:
    """Write the folder of a model with its input and hidden states.

    The last one is ``last_hidden_state``: this version of transformers lists the last block's output before the
    encoder's normalisation for models that normalise first, earlier ones listed it after.
    """
    model.save_pretrained(HERE / name, safe_serialization=True)
    (HERE / name / "generation_config.json").unlink(missing_ok=True)
    stacked = torch.stack([*states.hidden_states[:-1], states.last_hidden_state], dim=1).numpy()
    np.savez_compressed(HERE / name / "reference.npz", waveform=waveform, states=stacked)
    print(name, stacked.shape, np.abs(stacked).max())


if __name__ == "__main__":
    main()
