"""Audio classification: the suite, the kinds of cells, what is refused, and the whole way from rows to a model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

import modelnook as mn
from modelnook.data.inputs import inputs
from modelnook.data.media import encoded
from modelnook.data.read import read
from modelnook.data.sounds import decode, seconds, write
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.measure.baselines import baselines
from modelnook.tasks import TASKS
from modelnook.tasks.audio_classification import AudioClassification, frames
from modelnook.testing.media import tiny_audio_model, tiny_audio_rows
from modelnook.testing.models import tiny_model
from modelnook.testing.tasks import TaskSuite

from .media import digits, records, scripted

pytestmark = pytest.mark.usefixtures("untracked")

soundfile = needed("soundfile")
AUDIO = Columns.of(audio="audio")


class TestWav2Vec2(TaskSuite):
    name = "audio-classification"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_audio_rows(32, labels=("b", "a", "c"))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_audio_model(tmp_path / "base")

    def test_lengths_are_the_frames_that_the_model_makes(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        task, model, extractor = loaded
        encoded = task.encode(extractor, rows, 1)
        for i, length in enumerate(task.lengths(encoded)[:4]):
            batch = task.collate(extractor, {name: values[i : i + 1] for name, values in encoded.items()})
            hidden = model.base_model(**{n: v for n, v in batch.items() if n != "labels"}).last_hidden_state
            assert hidden.shape[1] == length


class TestAst(TestWav2Vec2):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_audio_model(tmp_path / "base", kind="ast")


@pytest.fixture
def tone() -> Any:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(4_000) / 8_000)).astype(np.float32)


def forms(tone: Any, folder: Path) -> list[Any]:
    wav = write({"array": tone, "sampling_rate": 8_000})
    path = folder / "one.wav"
    path.write_bytes(wav)
    flac = io.BytesIO()
    soundfile.write(flac, tone, 8_000, format="FLAC", subtype="PCM_24")
    whole = (tone * 32767).round().astype(np.int16)
    arrays = [{"array": values, "sampling_rate": 8_000} for values in (tone, whole, tone.tolist())]
    files = [
        wav,
        flac.getvalue(),
        path,
        str(path),
        {"bytes": wav, "path": "one.wav"},
        {"bytes": None, "path": str(path)},
    ]
    return [*files, *arrays, {"array": np.stack([tone, tone], axis=1), "sampling_rate": 8_000}]


def test_a_cell_may_have_any_form(tone: Any, tmp_path: Path) -> None:
    for cell in forms(tone, tmp_path):
        rows = encoded(read([{"audio": cell, "label": 1}] * 2), AUDIO)
        for blob in rows.column("audio"):
            np.testing.assert_allclose(decode(blob, 8_000), tone, atol=1e-3)
        for asked in (cell, [cell, cell]):
            found, _ = inputs(asked, ("audio",))
            np.testing.assert_allclose(decode(found[0], 8_000), tone, atol=1e-3)


@pytest.mark.parametrize(
    "shape", [(2, 4_000), (4_000, 2), (2, 900), (900, 2), (1, 12), (12, 1), (1, 1), (3, 8), (8, 3)]
)
def test_channels_are_the_shorter_axis(tone: Any, shape: tuple[int, int]) -> None:
    channels, samples = sorted(shape)
    waves = [tone[:samples] / (1 + at) for at in range(channels)]
    cell = {"array": np.stack(waves, axis=0 if shape[0] == channels else 1), "sampling_rate": 8_000}
    found = decode(write(cell), 8_000)
    np.testing.assert_allclose(found, np.mean(waves, axis=0), atol=1e-6)
    assert len(found) == samples


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_whole_numbers_are_as_loud_as_their_bits_say(kind: Any) -> None:
    most = -int(np.iinfo(kind).min)
    found = decode(write((np.array([most // 2, -most, 0], kind), 8_000)), 8_000)
    assert found.tolist() == [0.5, -1.0, 0.0]


def test_another_rate_keeps_length_and_pitch(tone: Any) -> None:
    blob = write({"array": tone, "sampling_rate": 8_000})
    found = decode(blob, 16_000)
    assert len(found) == 2 * len(tone)
    assert seconds(blob) == 0.5
    assert np.abs(np.fft.rfft(found)).argmax() / 0.5 == 440


@pytest.mark.parametrize(
    "cell",
    [
        b"no sound",
        "./no-such.wav",
        np.zeros(100),
        {"array": [0.1], "sampling_rate": 0},
        {"array": [], "sampling_rate": 8},
        {"array": [0.1], "sampling_rate": 0.5},
        {"array": [0.1], "sampling_rate": float("inf")},
        {"array": np.zeros((9, 16)), "sampling_rate": 8},
        {"array": np.zeros((3, 3)), "sampling_rate": 8},
        {"array": [0.1], "sampling_rate": 1 << 40},
        {"array": [0.5, 12_000.0], "sampling_rate": 8},
        {"array": [-300, 12_000], "sampling_rate": 8},
    ],
    ids=str,
)
def test_what_is_no_sound_names_its_row(tone: Any, cell: Any) -> None:
    with pytest.raises(DataError, match="Row 1 ") as caught:
        encoded(read({"audio": [{"array": tone, "sampling_rate": 8_000}, cell], "label": [0, 1]}), AUDIO)
    assert caught.value.hint


def test_samples_without_a_rate_say_so(tone: Any) -> None:
    with pytest.raises(DataError, match="sampling rate"):
        inputs(tone, ("audio",))


def test_odd_rows_are_refused_or_warned_of() -> None:
    spec, rows = AudioClassification(), tiny_audio_rows(16)
    long = write({"array": np.zeros(31 * 1_000, dtype=np.float32), "sampling_rate": 1_000})
    assert [w.code for w in spec.check({**rows, "audio": [long, *rows["audio"][1:]]})] == ["task.long_audio"]
    with pytest.raises(DataError, match="Row 3 has no audio"):
        spec.check({**rows, "audio": [*rows["audio"][:3], None, *rows["audio"][4:]]})


def test_a_model_of_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="BertModel") as caught:
        TASKS.load("audio-classification")(["a", "b"]).load(str(tiny_model(tmp_path / "text")))
    assert "wav2vec2" in caught.value.hint


def test_very_short_sounds_can_be_trained_on(tmp_path: Path) -> None:
    task = TASKS.load("audio-classification")(["a", "b"])
    model, extractor = task.load(str(tiny_audio_model(tmp_path / "m")))
    short = write({"array": np.ones(10, dtype=np.float32), "sampling_rate": 16_000})
    rows = task.encode(extractor, {"audio": [short] * 2, "label": ["a", "b"]}, 1)
    assert task.loss(model.train(), task.collate(extractor, rows)).isfinite()


def test_the_masks_of_training_follow_from_the_seed(tmp_path: Path) -> None:
    import torch

    task = TASKS.load("audio-classification")(["low", "high"])
    model, extractor = task.load(str(tiny_audio_model(tmp_path / "m")))
    model.config.mask_time_prob = 0.5
    batch = task.collate(extractor, task.encode(extractor, tiny_audio_rows(8), 1))
    losses = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        losses.append(task.loss(model.train(), batch).item())
    assert losses[0] == losses[1] != losses[2]


def test_frames_of_models_with_windows_of_one_length() -> None:
    ast = {"num_mel_bins": 128, "max_length": 1024, "patch_size": 16, "frequency_stride": 10, "time_stride": 10}
    assert frames(ast, 16_000) == frames(ast, 99_000) == 1214


def test_the_spectrum_tells_tones() -> None:
    train, held = tiny_audio_rows(64), tiny_audio_rows(32, seed=4)
    found = baselines(AudioClassification(), train, held, ["high", "low"])
    assert found["spectrum"]["accuracy"] > 0.95 > found["majority"]["accuracy"]


@pytest.fixture
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_the_whole_way(tmp_path: Path) -> None:
    base = str(tiny_audio_model(tmp_path / "base"))
    rows = records(tiny_audio_rows(96))
    run = mn.finetune(base, rows, name="tones", epochs=4, learning_rate=3e-3)
    assert run.record.task == "audio-classification"
    assert run.metrics["accuracy"] > 0.8
    assert set(run.baselines) == {"majority", "spectrum"}
    again = mn.finetune(base, rows, name="tones", epochs=4, learning_rate=3e-3, again=True)
    assert again.metrics == run.metrics, "the same recipe on the same data gives the same result"
    held = records(tiny_audio_rows(40, seed=9))
    answers = mn.predict("tones", [row["audio"] for row in held])
    judged = mn.evaluate("tones", held)
    assert judged.metrics["accuracy"] == pytest.approx(np.mean(answers["label"] == [row["label"] for row in held]))


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_it_is_made_smaller(tmp_path: Path) -> None:
    base = str(tiny_audio_model(tmp_path / "base", kind="ast"))
    mn.finetune(base, records(tiny_audio_rows(64)), name="tones", epochs=2, learning_rate=3e-3)
    small = mn.quantize("tones", max_drop=0.5, backend="torchao")
    assert small.report["after"]["bytes"] < small.report["before"]["bytes"]


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_script_gives_about_the_same_metrics(tmp_path: Path, method: str) -> None:
    base = str(tiny_audio_model(tmp_path / "base", kind="ast"))
    run = mn.finetune(base, records(tiny_audio_rows(120)), name="tones", method=method, epochs=4, learning_rate=3e-3)
    theirs = scripted(run.code(), tmp_path)
    assert set(theirs) == set(run.metrics)
    assert theirs["accuracy"] == pytest.approx(run.metrics["accuracy"], abs=0.2)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.usefixtures("_one_thread")
def test_spoken_digits_are_learnt_from_nothing(shared_data: Path, tmp_path: Path) -> None:
    base = tiny_audio_model(tmp_path / "ast", kind="ast")
    run = mn.finetune(str(base), digits(shared_data), epochs=40, learning_rate=2e-3, columns={"label": "digit"})
    assert run.baselines["majority"]["accuracy"] < 0.2
    assert run.metrics["accuracy"] > run.baselines["majority"]["accuracy"] + 0.2
