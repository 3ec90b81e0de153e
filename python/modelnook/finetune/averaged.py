"""A body that was trained to be read as the mean of its tokens, under a head that reads the first one.

Sentence encoders give a text as the mean of their tokens' vectors (``1_Pooling`` of sentence-transformers says so),
and what they know about likeness is in it; the classifiers of BERT's family read the first token, which nothing was
asked of in that training, and few rows can't teach it: with 8 rows of each of trec's classes MiniLM reached 0.756 and
0.596 on two seeds by the first token, 0.820 and 0.638 by the mean after a quarter of the steps; a head on the frozen
body with 1,500 rows 0.658 and 0.888 (clinc150: 0.755 and 0.886), the last two layers 0.940 and 0.946 (0.512, 0.804).

So one more layer is put on top, of the kind that is there: attention that weighs all tokens alike, so large beside what
it is added to that the sum is the mean, and a second half that adds nothing at first. The model stays one of
transformers, for every tool that reads it; all of the layer is trained, or none by ``head``.

Dense layers that an encoder has after its pooling are left out: they are one more product, which the pooler and the
head learn for the labels at hand, and a classifier of transformers has no place for them.
"""

from __future__ import annotations

from inspect import getsource
from pathlib import Path
from typing import Any

from modelnook.runtime.folder import config
from modelnook.tasks.pooling import pooling_of

__all__ = ["METHODS", "averaged", "code", "reads_mean"]

METHODS = ("few-shot", "head", "last-k")
"""Those that read the mean. All weights, over many rows, learn it by themselves; a layer more would cost time."""
FAMILIES = ("bert", "roberta", "xlm-roberta")


def reads_mean(folder: Path) -> bool:
    """Whether a folder is a sentence encoder of BERT's family whose vectors are the mean of the tokens."""
    return pooling_of(folder) == "mean" and config(folder).get("model_type") in FAMILIES


def averaged(model: Any) -> Any:
    """The classifier :func:`deeper` where its base is one that :func:`reads_mean`, else as it is."""
    return deeper(model) if reads_mean(Path(model.config._name_or_path or "")) else model


def code() -> str:
    """:func:`deeper` and its call, as lines of a plain script that has made ``model``: the source itself, since parsing
    it would lose the comments.
    """
    return f"\n\n{getsource(deeper).replace(': Any', '').replace(' -> Any', '')}\n\nmodel = deeper(model)\n"


def deeper(model: Any) -> Any:
    """One layer more: the first token, which the head reads, is the mean of the tokens below, with variance 1."""
    import copy

    import torch

    body = model.base_model
    layers = body.encoder.layer
    layer, eye = copy.deepcopy(layers[-1]), torch.eye(model.config.hidden_size)
    head = body.pooler or model.classifier
    attention = layer.attention
    with torch.no_grad():
        for linear, weight in (
            (attention.self.query, 0 * eye),
            (attention.self.value, eye),
            # So much larger than the token's own vector, which is added to it, that next to nothing of that stays.
            (attention.output.dense, 30 * eye),
            (layer.output.dense, torch.zeros_like(layer.output.dense.weight)),
            # The head's tanh would flatten a variance of 1.
            (head.dense, 0.5 * eye),
        ):
            linear.weight.copy_(weight)
            linear.bias.zero_()
        for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1)
            norm.bias.zero_()
    layers.append(layer)
    model.config.num_hidden_layers += 1
    return model
