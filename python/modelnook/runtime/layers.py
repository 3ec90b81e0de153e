"""The layer tree of a loaded PyTorch model as text, repeats collapsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["module_tree"]

DEPTH = 5


@dataclass
class Node:
    """One layer: its name, its kind (class or shape), its own parameters and those below it."""

    name: str
    kind: str = ""
    own: int = 0
    below: list[Node] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Its own and all below."""
        return self.own + sum(n.parameters for n in self.below)

    def shape(self) -> tuple[Any, ...]:
        """What two layers share if they are repeats of each other; names don't count."""
        return (self.kind, self.own, tuple(n.shape() for n in self.below))


def module_tree(model: Any) -> str:
    """The tree of a ``torch.nn.Module``, with class names; shared weights count where they are met first.

    >>> module_tree(BertForSequenceClassification(config))          # doctest: +SKIP
    BertForSequenceClassification               22.7 M
    ├── bert: BertModel                         22.7 M
    │   ├── encoder: BertEncoder                10.6 M
    │   │   └── layer: 6 x BertLayer             1.8 M each
    """
    return "\n".join(_lines(_of_module(type(model).__name__, model, set())))


def _of_module(name: str, module: Any, seen: set[int]) -> Node:
    own = 0
    for weight in module.parameters(recurse=False):
        if id(weight) not in seen:
            seen.add(id(weight))
            own += weight.numel()
    kind = type(module).__name__
    extra = module.extra_repr() if not any(True for _ in module.children()) and own else ""
    node = Node(name, kind + (f"({extra})" if extra and len(extra) < 60 else ""), own)
    node.below = [_of_module(n, child, seen) for n, child in module.named_children()]
    return node


def _lines(root: Node) -> list[str]:
    rows = [(root.name, root.parameters, ""), *_below(root, "", 1)]
    rows = [r for r in rows if r[1] or r is rows[0]]
    width = max(len(text) for text, _, _ in rows) + 2
    return [f"{text:<{width}}{_count(n):>8}{tail}" for text, n, tail in rows]


def _below(node: Node, indent: str, depth: int) -> Iterator[tuple[str, int, str]]:
    groups = _groups([n for n in node.below if n.parameters])
    for place, (layer, count) in enumerate(groups):
        last = place == len(groups) - 1
        kind = f"{count} x {layer.kind or 'layers'}" if count > 1 else layer.kind
        name = f"{layer.name}…" if count > 1 else layer.name
        text = f"{indent}{'└── ' if last else '├── '}{name}{': ' if kind else ''}{kind}"
        yield text, layer.parameters, " each" if count > 1 else ""
        if depth < DEPTH:
            yield from _below(layer, indent + ("    " if last else "│   "), depth + 1)


def _groups(layers: list[Node]) -> list[tuple[Node, int]]:
    # Neighbours of one shape become one line with their number; only numbered ones (0, 1, 2 …) are repeats of a layer.
    groups: list[tuple[Node, int]] = []
    for layer in layers:
        same = groups and layer.name.isdigit() and groups[-1][0].name.isdigit()
        if same and groups[-1][0].shape() == layer.shape():
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((layer, 1))
    return groups


def _count(number: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)
