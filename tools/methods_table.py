"""Print README's table of tasks and fine-tuning methods: ``python tools/methods_table.py [en|zh]``."""

from __future__ import annotations

import sys

from modelnook.finetune import METHODS
from modelnook.tasks import TASKS

ORDER = ("full", "lora", "dora", "rslora", "qlora", "head", "last-k", "few-shot", "tfidf", "trees")


def main() -> None:
    head = {"en": "task", "zh": "任务"}[sys.argv[1] if len(sys.argv) > 1 else "en"]
    methods = [*ORDER, *sorted(set(METHODS) - set(ORDER))]
    print(f"| {head} |" + "".join(f" `{m}` |" for m in methods))
    print("|---" * (len(methods) + 1) + "|")
    for name in TASKS:
        allowed = TASKS.load(name, light=True).methods
        print(f"| `{name}` |" + "".join(" ✓ |" if m in allowed else "  |" for m in methods))


if __name__ == "__main__":
    main()
