"""One module a task: ``code(recipe, record, model_path, data, run) -> str``, see :mod:`modelnook.finetune.script`."""
