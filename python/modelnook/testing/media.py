"""Small random models of images and sounds, and rows of both, made in code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["tiny_audio_model", "tiny_audio_rows", "tiny_image_model", "tiny_image_rows", "tiny_whisper"]


def tiny_image_model(folder: Path, labels: Sequence[str] | None = None, *, kind: str = "vit", seed: int = 0) -> Path:
    """Write a random ViT or ResNet (``kind``) for images of 32 x 32 to ``folder``. Gives the folder."""
    import torch
    from transformers import (
        ResNetConfig,
        ResNetForImageClassification,
        ResNetModel,
        ViTConfig,
        ViTForImageClassification,
        ViTModel,
    )
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
    from transformers.utils import logging

    if kind == "vit":
        config: Any = ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
        )
        kinds: Any = (ViTForImageClassification, ViTModel)
    else:
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        kinds = (ResNetForImageClassification, ResNetModel)
    _name(config, labels)
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kinds[0 if labels else 1](config)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def tiny_image_rows(rows: int = 64, labels: Sequence[str] = ("cat", "dog"), seed: int = 0) -> dict[str, list[Any]]:
    """``{"image": PNG bytes, "label": …}``: noise with a bright band whose height in the image tells the label."""
    import numpy as np

    from modelnook.data.images import write

    rng = np.random.default_rng(seed)
    files, names = [], []
    for i in range(rows):
        pixels = rng.integers(0, 80, (24, 20), dtype=np.uint8)
        start = (i % len(labels)) * 24 // len(labels)
        pixels[start : start + 24 // len(labels)] += 120
        files.append(write(pixels))
        names.append(labels[i % len(labels)])
    return {"image": files, "label": names}


def tiny_audio_model(
    folder: Path, labels: Sequence[str] | None = None, *, kind: str = "wav2vec2", seed: int = 0
) -> Path:
    """Write a random wav2vec 2.0 or AST (``kind``) to ``folder``, at 16 kHz. Gives the folder.

    The AST hears 0.64 seconds in 32 mel bands.
    """
    import torch
    from transformers import (
        ASTConfig,
        ASTFeatureExtractor,
        ASTForAudioClassification,
        ASTModel,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
        Wav2Vec2Model,
    )
    from transformers.utils import logging

    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    if kind == "wav2vec2":
        config: Any = Wav2Vec2Config(
            **sizes,
            intermediate_size=64,
            conv_dim=(16,) * 5,
            conv_kernel=(10, 8, 4, 4, 4),
            conv_stride=(5, 4, 4, 2, 2),
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=4,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            classifier_proj_size=32,
            mask_time_length=4,
        )
        extractor: Any = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        kinds: Any = (Wav2Vec2ForSequenceClassification, Wav2Vec2Model)
    else:
        shape: dict[str, Any] = {"num_mel_bins": 32, "max_length": 64}
        config = ASTConfig(**sizes, **shape, intermediate_size=64, patch_size=8, frequency_stride=8, time_stride=8)
        extractor = ASTFeatureExtractor(**shape)
        kinds = (ASTForAudioClassification, ASTModel)
    _name(config, labels)
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kinds[0 if labels else 1](config)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def tiny_audio_rows(rows: int = 64, labels: Sequence[str] = ("low", "high"), seed: int = 0) -> dict[str, list[Any]]:
    """``{"audio": WAV bytes, "label": …}``: a tone in noise, 0.3 to 0.6 seconds at 8 kHz; its pitch tells the label."""
    import numpy as np

    from modelnook.data.sounds import write

    rng = np.random.default_rng(seed)
    files, names = [], []
    for i in range(rows):
        time = np.arange(int(8_000 * rng.uniform(0.3, 0.6))) / 8_000
        pitch = 300 * 2 ** (2 * (i % len(labels))) * rng.uniform(0.95, 1.05)
        samples = 0.5 * np.sin(2 * np.pi * pitch * time) + 0.05 * rng.standard_normal(len(time))
        files.append(write({"array": samples.astype(np.float32), "sampling_rate": 8_000}))
        names.append(labels[i % len(labels)])
    return {"audio": files, "label": names}


def tiny_whisper(folder: Path, *, seed: int = 0) -> Path:
    """Write a random Whisper to ``folder``: English alone, letters for tokens, windows of two seconds."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
    from transformers.utils import logging

    tokenizer = WhisperTokenizer(vocab={letter: i for i, letter in enumerate(sorted(ByteLevel.alphabet()))}, merges=[])
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": [*special[1:], "<|notimestamps|>"]})
    ids: Any = tokenizer.convert_tokens_to_ids([*special, "<|notimestamps|>"])
    end, start, plain = ids[0], ids[1], ids[-1]
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=16,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=100,
        max_target_positions=32,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        begin_suppress_tokens=None,
    )
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = WhisperForConditionalGeneration(config)
    model.generation_config.is_multilingual = False
    model.generation_config.no_timestamps_token_id = plain
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=2, n_fft=400, hop_length=160).save_pretrained(folder)
    return folder


def _name(config: Any, labels: Sequence[str] | None) -> None:
    if labels:
        config.id2label = {i: str(name) for i, name in enumerate(labels)}
        config.label2id = {str(name): i for i, name in enumerate(labels)}
