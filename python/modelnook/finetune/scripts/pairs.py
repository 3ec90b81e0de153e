"""Few-shot training as lines of a plain script: pairs of one class, cross entropy and the contrastive loss mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelnook.domain.knobs import own_knobs

__all__ = ["contrastive"]

_CONTRAST = '''class Pairs(torch.utils.data.Dataset):
    """Each row with another one of its class, so often that there are a thousand pairs."""

    def __init__(self, rows):
        self.rows, self.times = rows, max(1, min(20, -(-1000 // len(rows))))
        self.places = {{}}
        for i in range(len(rows)):
            self.places.setdefault(rows[i]["labels"], []).append(i)

    def __len__(self):
        return len(self.rows) * self.times

    def __getitem__(self, i):
        i %= len(self.rows)
        others = [j for j in self.places[self.rows[i]["labels"]] if j != i] or [i]
        return [self.rows[i], self.rows[others[int(torch.randint(len(others), ()))]]]


def paired(batch):
    return {collator}([row for part in batch for row in (part if isinstance(part, list) else [part])])


class Contrastive(Trainer):
    """Cross entropy and the supervised contrastive loss (arXiv:2011.01403) of what the classifier reads."""

    def compute_loss(self, model, inputs, return_outputs=False, **more):
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, **more)
        seen = []
        classifier = [part for part in model.modules() if isinstance(part, torch.nn.Linear)][-1]
        handle = classifier.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        outputs = model(**inputs)
        handle.remove()
        labels = inputs["labels"]
        unit = torch.nn.functional.normalize(seen[0], dim=-1)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        near = (unit @ unit.T / {temperature}).masked_fill(itself, float("-inf"))
        same = (labels[:, None] == labels[None, :]) & ~itself
        logs = near - torch.logsumexp(near, dim=1, keepdim=True)
        of_each = -logs.masked_fill(~same, 0.0).sum(dim=1) / same.sum(dim=1).clamp(min=1)
        loss = (1 - {mix}) * outputs.loss + {mix} * of_each[same.any(dim=1)].mean()
        return (loss, outputs) if return_outputs else loss


'''


def contrastive(collator: str, params: Mapping[str, Any]) -> str:
    """The lines that make ``Pairs``, ``paired`` and ``Contrastive``.

    Args:
        collator: the name of what makes a batch of rows.
        params: of the run, with the method's own settings where they were given.
    """
    return _CONTRAST.format(collator=collator, **own_knobs("few-shot", params))
