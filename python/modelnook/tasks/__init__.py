"""What a model can be trained for. A row is a light half (columns, checks, metrics) and a heavy half (torch)."""

from __future__ import annotations

from typing import Any

from modelnook.registry import Entry, Registry

__all__ = ["TASKS"]

_TRAIN = ("torch", "transformers")

TASKS: Registry[Any] = Registry(
    "task",
    {
        "audio-classification": Entry(
            "modelnook.tasks.audio_classification_heavy:AudioClassificationTask",
            "one of two or more labels for a sound",
            requires=(*_TRAIN, "soundfile", "scipy"),
            extra="audio",
            light="modelnook.tasks.audio_classification:AudioClassification",
        ),
        "automatic-speech-recognition": Entry(
            "modelnook.tasks.automatic_speech_recognition_heavy:AutomaticSpeechRecognitionTask",
            "what is said in a sound, as text",
            requires=(*_TRAIN, "soundfile", "scipy"),
            extra="audio",
            light="modelnook.tasks.automatic_speech_recognition:AutomaticSpeechRecognition",
        ),
        "fill-mask": Entry(
            "modelnook.tasks.fill_mask_heavy:FillMaskTask",
            "the word that is missing; makes an encoder at home in texts without labels",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.fill_mask:FillMask",
        ),
        "image-classification": Entry(
            "modelnook.tasks.image_classification_heavy:ImageClassificationTask",
            "one of two or more labels for an image",
            requires=(*_TRAIN, "PIL"),
            extra="vision",
            light="modelnook.tasks.image_classification:ImageClassification",
        ),
        "multi-label-classification": Entry(
            "modelnook.tasks.multi_label_classification_heavy:MultiLabelClassificationTask",
            "any number of labels for a text",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.multi_label_classification:MultiLabelClassification",
        ),
        "question-answering": Entry(
            "modelnook.tasks.question_answering_heavy:QuestionAnsweringTask",
            "the part of a text that answers a question",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.question_answering:QuestionAnswering",
        ),
        "sentence-similarity": Entry(
            "modelnook.tasks.sentence_similarity_heavy:SentenceSimilarityTask",
            "a vector for a text, near those of texts that belong with it",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.sentence_similarity:SentenceSimilarity",
        ),
        "table": Entry(
            "modelnook.tasks.table_heavy:TableTask",
            "one of two or more labels for a row of a table",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.table:TableClassification",
        ),
        "text-classification": Entry(
            "modelnook.tasks.text_classification_heavy:TextClassificationTask",
            "one of two or more labels for a text",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.text_classification:TextClassification",
        ),
        "text-generation": Entry(
            "modelnook.tasks.text_generation_heavy:TextGenerationTask",
            "goes on writing: answers to prompts, conversations, texts",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.text_generation:TextGeneration",
        ),
        "text-regression": Entry(
            "modelnook.tasks.text_regression_heavy:TextRegressionTask",
            "a number for a text",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.text_regression:TextRegression",
        ),
        "text2text-generation": Entry(
            "modelnook.tasks.text2text_generation_heavy:Text2TextGenerationTask",
            "a text made of a text: translations, summaries, corrections",
            requires=(*_TRAIN, "sacrebleu", "rouge_score"),
            extra="text",
            light="modelnook.tasks.text2text_generation:Text2TextGeneration",
        ),
        "token-classification": Entry(
            "modelnook.tasks.token_classification_heavy:TokenClassificationTask",
            "a tag for each word: names of people, places, products; parts of speech",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.token_classification:TokenClassification",
        ),
    },
    also=dict.fromkeys(("seq2seq", "summarization", "translation"), "text2text-generation"),
)
"""``TASKS.load(name)`` is the :class:`~modelnook.tasks.base.Task`, ``load(name, light=True)`` its ``Spec``."""
