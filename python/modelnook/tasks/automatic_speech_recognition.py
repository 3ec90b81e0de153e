"""Speech recognition, the light half: what is said in a sound, as text.

::

    run = modelnook.finetune("./wav2vec2-base", [{"audio": "1.wav", "text": "good morning"}, …])
    run.metrics["wer"]
    modelnook.predict(run.model, ["new.wav"])["text"][0]

``wer`` and ``cer`` are the word and character edits of all rows over their words and characters: less is better, and
a model that adds words can be above 1. Texts are compared as they are written, apart from blanks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.audio_classification import LONGEST, RATE, durations, frames
from modelnook.tasks.classification import MIN_ROWS
from modelnook.tasks.edits import edits
from modelnook.tasks.spec import ADAPTERS, Columns, Spec, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AutomaticSpeechRecognition"]


class AutomaticSpeechRecognition(Spec):
    """What is said in a sound, as text."""

    name = "automatic-speech-recognition"
    inputs = ("audio",)
    targets = ("text",)
    metrics = ("wer", "cer")
    predicts = ("text",)
    methods = ("full", *ADAPTERS)
    autos = ("AutoModelForCTC", "AutoModelForSpeechSeq2Seq")
    no_head = "task.no_audio_head"

    def check(self, columns: Columns) -> list[Warned]:
        """Fatal are fewer than 8 rows, a row without sound or text, and a sound of over 30 seconds: its text is of
        the whole."""
        if len(columns["audio"]) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(columns["audio"]), least=MIN_ROWS)
        require({"text": [_plain(text) for text in columns["text"]]}, "text")
        self.check_inputs(columns)
        return []

    def check_inputs(self, columns: Columns) -> None:
        """See :meth:`Spec.check_inputs`: a row without sound, or one with a text and over 30 seconds, of which only
        the first are heard."""
        require(columns, "audio")
        lengths = durations(columns, every=True) if "text" in columns else []
        long = next((row for row, seconds in enumerate(lengths) if seconds > LONGEST), None)
        if long is not None:
            raise DataError("task.too_long_audio", row=long, seconds=round(lengths[long]), most=LONGEST)

    def labels(self, columns: Columns) -> list[str]:
        """The characters of the texts, of which a model without a vocabulary is given one."""
        return sorted({character for text in columns["text"] for character in _plain(text)})

    def truth(self, columns: Columns, labels: Sequence[str]) -> list[str]:
        """The texts, blanks made one.

        Raises:
            DataError: a missing one; its row is named.
        """
        found = [_plain(text) for text in columns["text"]]
        require({"text": found}, "text")
        return found

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """``wer`` and ``cer`` of texts."""
        found = self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0))
        return {name: float(value) for name, value in found.items()}

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
        """``text``."""
        return [{"text": text} for text in outputs]

    def texts(self, columns: Columns) -> None:
        """None: what is read is a sound."""

    def sizes(self, config: Mapping[str, Any], columns: Columns) -> list[int]:
        """The frames that the model makes of each of a sample of sounds."""
        return [frames(config, int(min(seconds, LONGEST) * RATE)) for seconds in durations(columns)]

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
        """Word edits, words, character edits, characters; shape (rows, 4)."""
        import numpy as np

        rows = []
        for said, heard in zip(truth, map(_plain, outputs), strict=True):
            words = said.split()
            rows.append((edits(words, heard.split()), len(words), edits(said, heard), len(said)))
        return np.array(rows, dtype=np.float64).reshape(-1, 4)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """``wer`` and ``cer``."""
        import numpy as np

        return {
            "wer": sums[..., 0] / np.maximum(sums[..., 1], 1),
            "cer": sums[..., 2] / np.maximum(sums[..., 3], 1),
        }


def _plain(text: Any) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
