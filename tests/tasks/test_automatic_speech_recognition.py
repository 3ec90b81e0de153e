"""Speech recognition: the suite for both families, error rates against jiwer, vocabularies, windows, the whole way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

import modelnook as mn
from modelnook.data.sounds import write
from modelnook.domain.errors import DataError, UnsupportedError, UsageError
from modelnook.measure.score import score
from modelnook.tasks import TASKS
from modelnook.tasks.automatic_speech_recognition import AutomaticSpeechRecognition
from modelnook.testing.media import tiny_audio_model, tiny_audio_rows, tiny_whisper
from modelnook.testing.models import tiny_model
from modelnook.testing.tasks import TaskSuite

from .media import digits, records, scripted

pytestmark = pytest.mark.usefixtures("untracked")

needed("soundfile")
NAME = "automatic-speech-recognition"
spec = AutomaticSpeechRecognition()


def spoken(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Tones, and what each is called."""
    made = tiny_audio_rows(rows, labels=("a low one", "high"), seed=seed)
    return {"audio": made["audio"], "text": made["label"]}


class _Suite(TaskSuite):
    name = NAME

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return spoken(24)

    def test_padding_changes_nothing(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        import torch

        task, model, processor = loaded
        encoded = task.encode(processor, {"audio": rows["audio"]}, 1)
        model.eval()
        with torch.inference_mode():
            together = task.outputs(model, task.collate(processor, encoded))
            for i in range(4):
                one = task.collate(processor, {name: values[i : i + 1] for name, values in encoded.items()})
                assert task.outputs(model, one) == together[i : i + 1]


class TestCharacters(_Suite):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_audio_model(tmp_path / "base")


class TestWriter(_Suite):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_whisper(tmp_path / "base")


def test_error_rates_are_those_of_jiwer() -> None:
    jiwer = needed("jiwer")
    rng = random.Random(0)
    words = "the cat sat on a mat today 你 好".split()
    truth = [" ".join(rng.choices(words, k=rng.randint(1, 9))) for _ in range(80)]
    guess = [" ".join(rng.choices(words, k=rng.randint(0, 9))) for _ in range(40)] + truth[40:]
    found = spec.score(truth, guess, [])
    assert found["wer"] == pytest.approx(jiwer.wer(truth, guess))
    assert found["cer"] == pytest.approx(jiwer.cer(truth, guess))
    metrics, intervals = score(spec, truth, guess, [])
    low, high = intervals["wer"]
    assert low < metrics["wer"] < high
    assert spec.score(["a b"], ["a b c d e"], [])["wer"] == 1.5


def test_odd_rows_are_refused() -> None:
    rows = spoken(16)
    with pytest.raises(DataError, match="Row 2 has no text") as caught:
        spec.check({**rows, "text": [*rows["text"][:2], "  ", *rows["text"][3:]]})
    assert caught.value.hint
    with pytest.raises(DataError, match="Row 4 has no text"):
        spec.truth({"text": ["a"] * 4 + [None]}, [])
    with pytest.raises(DataError, match="Row 0 has no audio"):
        spec.check({**rows, "audio": [None, *rows["audio"][1:]]})
    long = write({"array": np.zeros(31_000, dtype=np.float32), "sampling_rate": 1_000})
    with pytest.raises(DataError, match="Row 15 has a sound of 31 seconds"):
        spec.check({**rows, "audio": [*rows["audio"][:15], long]})


def test_a_model_of_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="BertModel"):
        TASKS.load(NAME)(["a"]).load(str(tiny_model(tmp_path / "text")))


def test_a_base_without_a_vocabulary_is_given_that_of_the_texts(tmp_path: Path) -> None:
    base = tiny_audio_model(tmp_path / "base")
    with pytest.raises(DataError, match="characters"):
        TASKS.load(NAME)().load(str(base))
    task = TASKS.load(NAME)(spec.labels({"text": ["ab c", "你好"]}))
    model, processor = task.load(str(base))
    tokenizer = processor.tokenizer
    assert len(tokenizer) == 3 + len("abc你好") == model.config.vocab_size
    assert tokenizer.decode(tokenizer("ab 你好").input_ids, group_tokens=False) == "ab 你好"
    model.save_pretrained(tmp_path / "made")
    processor.save_pretrained(tmp_path / "made")
    kept = TASKS.load(NAME)(["a", "b"])
    assert len(kept.load(str(tmp_path / "made"))[1].tokenizer) == len(tokenizer), "it has these characters"
    other = TASKS.load(NAME)(["x", "y", "z"])
    assert other.load(str(tmp_path / "made"))[0].config.vocab_size == 6


def test_a_long_sound_is_heard_in_windows(tmp_path: Path) -> None:
    task = TASKS.load(NAME)(["a", "b"])
    _, processor = task.load(str(tiny_audio_model(tmp_path / "m")))
    sizes = (65, 1)
    files = [write({"array": np.zeros(s * 1_000, dtype=np.float32), "sampling_rate": 1_000}) for s in sizes]
    encoded = task.encode(processor, {"audio": files}, 1)
    assert encoded["owner"] == [0, 0, 0, 1]
    assert encoded["frames"][0] == encoded["frames"][1] > encoded["frames"][2] > encoded["frames"][3]
    assert task.merge(encoded, ["one", "", "two", "x"]) == ["one two", "x"]


@pytest.fixture
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(("make", "epochs", "rate"), [(tiny_audio_model, 30, 3e-3), (tiny_whisper, 14, 5e-3)])
def test_the_whole_way_and_its_script_and_transformers_itself(
    make: Any, epochs: int, rate: float, tmp_path: Path
) -> None:
    """One training, as its seconds are most of what each of them takes."""
    needed("jiwer")
    base = str(make(tmp_path / "base"))
    rows = records(spoken(90))
    run = mn.finetune(base, rows, name="tones", task=NAME, epochs=epochs, learning_rate=rate)
    assert set(run.metrics) >= {"wer", "cer"}
    low, high = run.intervals["wer"]
    assert low <= run.metrics["wer"] <= high
    assert run.metrics["wer"] < 0.7, "one of the two texts for all would be 0.75 at least"
    held = records(spoken(30, seed=9))
    answers = mn.predict("tones", [row["audio"] for row in held])
    assert "text" in answers.columns
    judged = mn.evaluate("tones", held)
    found = spec.score([row["text"] for row in held], answers["text"].tolist(), [])
    assert judged.metrics["wer"] == pytest.approx(found["wer"])
    assert mn.finetune(base, rows, name="other", task=NAME, method="lora", epochs=1).state == "finished"
    theirs = scripted(run.code(), tmp_path)
    assert set(theirs) == set(run.metrics)
    assert theirs["wer"] == pytest.approx(run.metrics["wer"], abs=0.35)
    if make is tiny_audio_model:
        transformers_hears("tones", held[:6])


def transformers_hears(name: str, rows: list[dict[str, Any]]) -> None:
    """Without modelnook the same is heard."""
    from transformers import pipeline

    from modelnook.data.sounds import decode

    sounds = [row["audio"] for row in rows]
    ours = mn.predict(name, sounds)["text"].tolist()
    assert any(ours)
    hears = pipeline(NAME, model=mn.info(name).path)
    assert [hears({"raw": decode(s, 16_000), "sampling_rate": 16_000})["text"] for s in sounds] == ours


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("make", [tiny_audio_model, tiny_whisper])
def test_the_script_of_lora_makes_a_model(make: Any, tmp_path: Path) -> None:
    needed("jiwer")
    rows, base = records(spoken(40)), str(make(tmp_path / "base"))
    run = mn.finetune(base, rows, name="tones", task=NAME, method="lora", epochs=1)
    assert set(scripted(run.code(), tmp_path)) == set(run.metrics)
    assert (tmp_path / "tones" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.usefixtures("_one_thread")
def test_spoken_digits_are_written(shared_data: Path, tmp_path: Path) -> None:
    rows = [{"audio": row["audio"], "text": row["text"]} for row in digits(shared_data)]
    run = mn.finetune(str(tiny_whisper(tmp_path / "base")), rows, epochs=45, learning_rate=4e-3)
    assert run.record.task == NAME
    assert run.metrics["wer"] < 0.6, "one word for all ten would be 0.9; 270 sounds, random weights"


def test_validation_sounds_are_looked_at_as_those_to_train_on(tmp_path: Path) -> None:
    rows = spoken(10)
    long = write((np.zeros(31 * 8000, dtype=np.float32), 8000))
    base = str(tiny_audio_model(tmp_path / "base"))
    for odd, said in ((long, "31 seconds"), (None, "no audio")):
        held = {**rows, "audio": [*rows["audio"][:9], odd]}
        with pytest.raises(DataError, match=rf"eval_data.*Row 9 has .*{said}"):
            mn.finetune(base, records(rows), eval_data=records(held), task=NAME)
    with pytest.raises(UsageError, match="There is no metric 'loss'"):
        mn.finetune(base, records(rows), task=NAME, metric="loss")
