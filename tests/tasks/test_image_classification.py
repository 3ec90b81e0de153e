"""Image classification: the suite, the kinds of cells, what is refused, and the whole way from rows to a model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

import modelnook as mn
from modelnook.data.images import decode, write
from modelnook.data.inputs import inputs
from modelnook.data.media import encoded
from modelnook.data.read import read
from modelnook.data.snapshot import fingerprint
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import DataError, ModelnookError, UnsupportedError
from modelnook.tasks import TASKS
from modelnook.tasks.image_classification import ImageClassification
from modelnook.testing.media import tiny_image_model, tiny_image_rows
from modelnook.testing.models import tiny_model
from modelnook.testing.tasks import TaskSuite

from .media import records, scripted

pytestmark = pytest.mark.usefixtures("untracked")

Image = needed("PIL.Image")
IMAGE = Columns.of(image="image")


class TestViT(TaskSuite):
    name = "image-classification"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_image_rows(32, labels=("b", "a", "c"))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_image_model(tmp_path / "base")


class TestResNet(TestViT):
    methods = ("full", "few-shot")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_image_model(tmp_path / "base", kind="resnet")


def pixels(blob: bytes) -> Any:
    return np.asarray(decode(blob))


@pytest.fixture
def picture() -> Any:
    return np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)


def forms(picture: Any, folder: Path) -> list[Any]:
    """One picture in every form that a cell may have."""
    image, png = Image.fromarray(picture), write(picture)
    path = folder / "one.png"
    path.write_bytes(png)
    listed = picture.tolist()
    return [png, path, str(path), image, picture, listed, picture / 255, {"bytes": png, "path": None}, {"path": path}]


def test_a_cell_may_have_any_form(picture: Any, tmp_path: Path) -> None:
    cells = forms(picture, tmp_path)
    rows = encoded(read([{"image": cell, "label": 1} for cell in cells]), IMAGE)
    assert str(rows.arrow("image").type) == "large_binary"
    for blob in rows.column("image"):
        assert (pixels(blob) == picture).all()


def test_predict_takes_one_or_many_of_any_form(picture: Any, tmp_path: Path) -> None:
    import pandas

    for cell in forms(picture, tmp_path):
        if not isinstance(cell, list):
            found, index = inputs(cell, ("image",))
            assert len(found) == 1
            assert index is None
        assert (pixels(inputs([cell, picture], ("image",))[0][0]) == picture).all()
    grey = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    found, _ = inputs(grey, ("image",))
    assert [(pixels(blob)[:, :, 0] == one).all() for blob, one in zip(found, grey, strict=True)] == [True] * 5
    series = pandas.Series([write(picture)], index=["x"])
    assert inputs(series, ("image",))[1].tolist() == ["x"]
    frame = pandas.DataFrame({"图片": [write(picture)], "n": [1]}, index=["y"])
    assert inputs(frame, ("image",))[1].tolist() == ["y"]


def test_what_datasets_gives_is_read(picture: Any) -> None:
    datasets = needed("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    table = datasets.Dataset.from_dict({"image": [Image.fromarray(picture)] * 2, "label": [0, 1]}, features=features)
    rows = encoded(read(table), IMAGE)
    assert (pixels(rows.column("image")[1]) == picture).all()
    assert rows.column("label") == ["cat", "dog"]


def test_colours_and_turns_are_as_people_see_them() -> None:
    turned = Image.fromarray(np.zeros((4, 8), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    turned.save(out, "JPEG", exif=exif)
    assert decode(out.getvalue()).size == (4, 8)
    deep = io.BytesIO()
    Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)).save(deep, "PNG")
    assert pixels(deep.getvalue())[0, :, 0].tolist() == [0, 255]
    assert decode(write(Image.new("CMYK", (3, 2)))).mode == "RGB"


def floats(values: Any, kind: str = "TIFF") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(values, dtype=np.float32)).save(out, kind)
    return out.getvalue()


def test_fractions_are_as_bright_as_they_say(picture: Any) -> None:
    grey = picture[:, :, 0]
    parts = (grey / 255).astype(np.float32)
    for cell in (Image.fromarray(parts), floats(parts), Image.fromarray(grey.astype(np.float32)), floats(grey)):
        (blob, _) = encoded(read({"image": [cell, picture], "label": [0, 1]}), IMAGE).column("image")
        assert (pixels(blob)[:, :, 0] == grey).all()
    over = picture / 255
    over[0, 0] = [1.0001, 1.05, -0.001]
    found = pixels(write(over))
    assert found[0, 0].tolist() == [255, 255, 0]
    assert (found[1:] == picture[1:]).all()
    assert pixels(write(np.array([[0.0, 3.0], [1.0, 2.0]])))[:, :, 0].tolist() == [[0, 3], [1, 2]]
    assert pixels(write(np.array([[0.0, 127.5], [0.2, 200.2]])))[:, :, 0].tolist() == [[0, 128], [0, 200]]


@pytest.mark.parametrize(
    "cell",
    [
        b"no image",
        b"",
        "./no-such.png",
        [1, 2, 3],
        np.zeros((2, 2, 7)),
        np.full((4, 4), 300.0),
        np.full((2, 2), np.nan),
        np.array([[0.0, 0.5], [0.5, 1.3]]),
        Image.fromarray(np.array([[0.0, 0.5], [0.5, 1.3]], dtype=np.float32)),
        floats([[0.0, 0.5], [0.5, 4096.0]]),
        5,
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_what_is_no_image_names_its_row(picture: Any, cell: Any) -> None:
    with pytest.raises(DataError, match="Row 1 ") as caught:
        encoded(read({"image": [picture, cell], "label": [0, 1]}), IMAGE)
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_that_was_cut_short_names_its_row(picture: Any, kind: str) -> None:
    out = io.BytesIO()
    Image.fromarray(np.tile(picture, (9, 9, 1))).save(out, kind)
    whole = out.getvalue()
    with pytest.raises(DataError, match="Row 1 "):
        encoded(read({"image": [whole, whole[: len(whole) // 2]], "label": [0, 1]}), IMAGE)


def test_bad_rows_are_refused_with_a_next_step() -> None:
    rows = tiny_image_rows(16)
    spec = ImageClassification()
    rows["image"][3] = None
    with pytest.raises(DataError, match="Row 3 has no image") as caught:
        spec.check(rows)
    assert caught.value.hint
    with pytest.raises(DataError, match="Row 0 has no image"):
        inputs([None], ("image",))
    with pytest.raises(DataError, match="image"):
        inputs([{"label": 1}], ("image",))


def test_a_model_of_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="BertModel") as caught:
        TASKS.load("image-classification")(["a", "b"]).load(str(tiny_model(tmp_path / "text")))
    assert "vit" in caught.value.hint


def test_a_folder_without_its_processor(tmp_path: Path) -> None:
    folder = tiny_image_model(tmp_path / "m")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(DataError, match="prepares"):
        TASKS.load("image-classification")(["a", "b"]).load(str(folder))


def test_ten_thousand_images_have_one_fingerprint_whatever_their_form() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    files = [write(one) for one in grey[:500]] * 20
    columns = Columns.of(image="image", label="label")
    whole = {"image": files, "label": [i % 10 for i in range(10_000)]}
    rows = encoded(read(whole), columns)
    one = fingerprint(rows, columns)
    assert one == fingerprint(encoded(read(records(whole)), columns), columns)
    assert one != fingerprint(encoded(read({**whole, "image": files[::-1]}), columns), columns)


@pytest.fixture
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_the_whole_way(tmp_path: Path) -> None:
    base = str(tiny_image_model(tmp_path / "base"))
    rows = records(tiny_image_rows(96))
    run = mn.finetune(base, rows, name="pets", epochs=4, learning_rate=5e-3)
    assert run.state == "finished"
    assert run.record.task == "image-classification"
    assert run.metrics["accuracy"] > 0.9
    low, high = run.intervals["accuracy"]
    assert low <= run.metrics["accuracy"] <= high
    assert set(run.baselines) == {"majority", "pixels"}
    assert mn.finetune(base, rows, name="pets", epochs=4, learning_rate=5e-3).id == run.id
    held = records(tiny_image_rows(40, seed=9))
    answers = mn.predict("pets", [row["image"] for row in held])
    assert list(answers.columns) == ["label", "score", "scores"]
    judged = mn.evaluate("pets", [{**row, "city": i % 2} for i, row in enumerate(held)], slices=["city"])
    assert judged.metrics["accuracy"] == pytest.approx(np.mean(answers["label"] == [row["label"] for row in held]))
    assert judged.slices is not None
    assert mn.compare("pets", run.model, data=held).to_frame()["p50_ms"].gt(0).all()
    with pytest.raises(ModelnookError, match="max_length"):
        mn.finetune(base, rows, max_length=64)
    for method in ("lora", "head", "last-k"):
        other = mn.finetune(base, rows, name=f"pets-{method}", method=method, epochs=1)
        assert other.state == "finished", method
    assert not list(Path(mn.info("pets-lora").path or "").glob("adapter_*"))


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_it_is_made_smaller(tmp_path: Path) -> None:
    base = str(tiny_image_model(tmp_path / "base"))
    mn.finetune(base, records(tiny_image_rows(64)), name="pets", epochs=3, learning_rate=5e-3)
    small = mn.quantize("pets", backend="torchao", max_drop=0.5)
    assert small.report["after"]["bytes"] < small.report["before"]["bytes"]
    assert mn.predict("pets-int8", tiny_image_rows(2)["image"])["label"].isin(["cat", "dog"]).all()
    program = mn.quantize("pets", backend="onnx", max_drop=0.5, name="program")
    assert program.report["after"]["runtime"] == "onnx"
    assert mn.predict("program", tiny_image_rows(2)["image"])["label"].isin(["cat", "dog"]).all()


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_script_gives_about_the_same_metrics(tmp_path: Path, method: str) -> None:
    base = str(tiny_image_model(tmp_path / "base"))
    run = mn.finetune(base, records(tiny_image_rows(160)), name="pets", method=method, epochs=4, learning_rate=5e-3)
    theirs = scripted(run.code(), tmp_path)
    assert set(theirs) == set(run.metrics)
    assert theirs["accuracy"] == pytest.approx(run.metrics["accuracy"], abs=0.15)
    assert (tmp_path / "pets" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.usefixtures("_one_thread")
def test_digits_are_learnt_from_nothing(shared_data: Path, tmp_path: Path) -> None:
    import gzip

    with gzip.open(shared_data / "mnist-5k" / "mnist_5k.csv.gz", "rt") as stream:
        table = np.loadtxt(stream, delimiter=",", dtype=np.uint8)
    order = np.random.default_rng(0).permutation(len(table))
    rows = [{"image": table[i, :-1].reshape(28, 28), "label": int(table[i, -1])} for i in order[:2600]]
    base = tiny_image_model(tmp_path / "vit")
    run = mn.finetune(str(base), rows[:2000], eval_data=rows[2000:], epochs=8, learning_rate=3e-3, batch_size=32)
    assert run.baselines["majority"]["accuracy"] < 0.2
    assert run.baselines["pixels"]["accuracy"] > 0.8
    assert run.metrics["accuracy"] > 0.6, "a ViT of 40,000 weights, trained from random ones"
