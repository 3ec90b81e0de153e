"""Which column plays which part: by the names that people give them, in English and Chinese, or as they say."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from modelnook.domain.dataset import FEATURE, Columns
from modelnook.domain.errors import DataError, NotFoundError, unknown
from modelnook.messages import t

if TYPE_CHECKING:
    from modelnook.data.frame import Rows

__all__ = [
    "NAMES",
    "find",
    "find_form",
    "has_role",
    "label_beside",
    "label_kind",
    "only_text",
    "taken",
    "unused",
    "with_features",
]

# Role -> the names it goes by, plainest first. The first of each language settles it where several are there.
NAMES: dict[str, tuple[str, ...]] = {
    "text": tuple(
        "text 文本 sentence sentence1 premise text1 text_a content body review comment message tweet post utterance "
        "query document article texts "
        "sentences reviews comments review_text text_review reviewtext comment_text review_body clean_text "
        "内容 评论 正文 句子 评价 评论内容 文本内容 评价内容 原文 语句 "
        "短信 消息 短信内容 邮件 微博 新闻 问题 文章".split()
    ),
    "label": tuple(
        "label 标签 labels target class category sentiment topic intent polarity rating stars score y classes tag "
        "label_text class_label emotion is_spam spam "
        "类别 分类 评分 情感 情感倾向 情感标签 类型 主题 意图 星级 极性 打分 情绪".split()
    ),
    "tokens": ("tokens", "分词", "words", "token", "字符", "词语", "characters"),
    "ner_tags": ("ner_tags", "实体标注", "tags", "ner", "labels", "entities", "label", "实体", "标注", "标签"),
    "source": ("source", "原文", "src", "source_text", "en", "源语言", "源文", "english", "英文"),
    "target": ("target", "译文", "tgt", "target_text", "zh", "目标语言", "translation", "翻译", "chinese", "中文"),
    "prompt": ("prompt", "提示", "instruction", "question", "input", "query", "指令", "问题", "提问"),
    "completion": ("completion", "回答", "response", "output", "answer", "回复", "输出", "答案"),
    "messages": ("messages", "对话", "conversations", "conversation", "dialogue", "消息"),
    "image": ("image", "图片", "img", "images", "图像", "picture", "photo"),
    "audio": ("audio", "音频", "speech", "wav", "录音", "语音"),
    "question": ("question", "问题", "query", "提问"),
    "context": ("context", "上下文", "passage", "paragraph", "document", "段落", "篇章", "文章"),
    "answers": ("answers", "答案", "answer", "回答"),
    "anchor": ("anchor", "锚点", "anchor_text", "锚文本"),
    "positive": ("positive", "正例", "positive_text", "pos", "正样本"),
    "negative": ("negative", "负例", "negative_text", "hard_negative", "neg", "负样本"),
    "text_pair": ("text_pair", "文本对", "sentence2", "text2", "text_b", "hypothesis", "假设", "句子2", "文本2"),
}
_ROW_NUMBERS = frozenset("id idx index row row_id rowid uid uuid guid key no number 编号 序号 索引 行号 主键".split())
_SAMPLE = 20_000
_CLOSE = 0.7  # "ctxt" is near "context"


def find(
    rows: Rows,
    roles: Sequence[str],
    given: Mapping[str, str | None] | None = None,
    *,
    optional: Sequence[str] = (),
) -> Columns:
    """The column of each role: as given, else by its name, else the only one that it can be.

    Args:
        rows: the table.
        roles: the roles that a task needs, e.g. ``("text", "label")``.
        given: role -> column as the person said; further roles are kept.
        optional: further roles, taken where a column has their name.

    Raises:
        NotFoundError: a given column isn't there (near miss suggested).
        DataError: no column, or several, could play a role; both name the candidates.

    >>> from modelnook.data.read import read
    >>> rows = read([{"评论": "很好", "标签": 1, "id": 7}, {"评论": "很差", "标签": 0, "id": 8}])
    >>> find(rows, ("text", "label")).to_dict()
    {'label': '标签', 'text': '评论'}
    """
    chosen = {role: name for role, name in (given or {}).items() if name}
    for name in chosen.values():
        if name not in rows:
            raise unknown("column", name, rows.names, kind=NotFoundError)
    for role in roles:
        if role not in chosen:
            named = _by_name(rows, role, set(chosen.values()))
            chosen |= {role: named} if named else {}
    missing = [role for role in roles if role not in chosen]
    chosen |= _by_elimination(rows, missing, chosen)
    for role in optional:
        named = None if role in chosen else _by_name(rows, role, set(chosen.values()))
        chosen |= {role: named} if named else {}
    missing = [role for role in roles if role not in chosen]
    if missing:
        role = missing[0]
        say = _say(role, _meant(rows, role, chosen.values(), alone=len(missing) == 1))
        raise DataError("data.no_column", role=_label(role), known=_listed(rows.names), say=say)
    return Columns(tuple(sorted(chosen.items())))


def find_form(
    rows: Rows,
    forms: Sequence[Sequence[str]],
    given: Mapping[str, str | None] | None = None,
    *,
    optional: Sequence[str] = (),
) -> Columns:
    """As :func:`find`, for the first of several sets of roles that the table has.

    Args:
        forms: sets of roles, the most telling first; what is given decides between them.

    Raises:
        DataError: the table has none of them; what is missing of the nearest is said.

    >>> from modelnook.data.read import read
    >>> rows = read([{"问题": "1+1=?", "回答": "2"}])
    >>> find_form(rows, (("messages",), ("prompt", "completion"), ("text",))).to_dict()
    {'completion': '回答', 'prompt': '问题'}
    """
    said = {role for role, name in (given or {}).items() if name and any(role in form for form in forms)}
    left = [form for form in forms if said <= set(form)] or list(forms)
    for form in left:
        if len(left) == 1 or all(has_role(rows, role, given) for role in form):
            return find(rows, form, given, optional=optional)
    for form in left:
        if _by_elimination(rows, form, {}):
            return find(rows, form, given, optional=optional)
    nearest = max(left, key=lambda form: (*_begun(rows, form, given), -len(form)))
    if any(_begun(rows, nearest, given)):
        return find(rows, nearest, given, optional=optional)
    say = t("data.or").join(dict.fromkeys(_say(form[0]) for form in left))
    named = t("data.or").join(" + ".join(form) for form in left)
    raise DataError("data.no_form", forms=named, known=_listed(rows.names), say=say)


def with_features(rows: Rows, columns: Columns, roles: Sequence[str], divides: str | None = None) -> Columns:
    """``columns``, and every other column of the table as a feature; ``roles`` are those whose columns aren't one.

    Args:
        divides: the column that tells which rows validate, which is no feature either.

    >>> from modelnook.data.read import read
    >>> with_features(read([{"age": 30, "label": "a"}]), Columns.of(label="label"), ("label",)).to_dict()
    {'feature:age': 'age', 'label': 'label'}
    """
    known = columns.to_dict()
    used = {divides, *(known[role] for role in roles if role in known)}
    known |= {FEATURE + name: name for name in rows.names if name not in used}
    return Columns(tuple(sorted(known.items())))


def has_role(rows: Rows, role: str, given: Mapping[str, str | None] | None = None) -> bool:
    """Whether a column plays a role, as given or by its name."""
    if (given or {}).get(role):
        return True
    known = {_plain(name) for name in NAMES.get(role, (role,))}
    return any(_plain(name) in known for name in rows.names)


def only_text(rows: Rows, given: Mapping[str, str | None] | None = None) -> bool:
    """Whether one column of texts is all that a table has beside its label, whatever it is called.

    A ``target`` beside a ``source`` is no label where it hardly repeats: it is what is to be written.
    """
    try:
        label = (given or {}).get("label") or _by_name(rows, "label", set())
    except DataError:
        return False
    if label and not (given or {}).get("label") and has_role(rows, "source") and _is_written(rows, label):
        return False
    missing, chosen = (("text",), {"label": label}) if label else (("text", "label"), {})
    return "text" in _by_elimination(rows, missing, chosen)


def label_beside(rows: Rows, given: Mapping[str, str | None] | None, otherwise: str) -> bool:
    """Whether the one column beside a table's texts can be their label, though its name doesn't tell.

    Args:
        otherwise: the task of the texts alone.

    Raises:
        DataError: there are several columns beside the texts, and some can be.
    """
    text = (given or {}).get("text") or _by_name(rows, "text", set())
    if text is None:
        # The one column of texts, see only_text; beside it there is one other at most.
        return "label" in _by_elimination(rows, ("text", "label"), {})
    left = unused(rows, {text, *(given or {}).values()})
    could = [name for name in left if _is_label(rows, name)]
    if len(could) == len(left) == 1:
        return True
    if could:
        say, known = _say("label", could[0]), _listed(could)
        raise DataError("data.label_unsaid", text=text, known=known, say=say, task=otherwise)
    return False


def label_kind(rows: Rows, given: Mapping[str, str | None] | None = None) -> str:
    """What the label column holds: ``lists``, ``numbers`` (quantities) or ``classes``.

    Numbers are quantities where some aren't whole, or where over fifty different ones come fewer than five times each.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = {_plain(name) for name in NAMES["label"]}
    name = (given or {}).get("label") or next((n for n in rows.names if _plain(n) in known), None)
    if name is None or name not in rows:
        return "classes"
    array = rows.arrow(name).slice(0, _SAMPLE)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return "lists"
    if pa.types.is_nested(array.type):
        # Objects can't be counted; the task says that they are no labels.
        return "classes"
    if pa.types.is_floating(array.type):
        values = array.drop_null()
        whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
        return "classes" if whole and len(values.unique()) <= 50 else "numbers"
    different = len(array.unique())
    few = different > 50 and len(array) < 5 * different
    return "numbers" if pa.types.is_integer(array.type) and few else "classes"


def taken(columns: Columns) -> str:
    """One sentence that says which columns are used.

    >>> taken(Columns.of(text="body", label="is_spam"))
    'Columns: label = is_spam, text = body.'
    """
    return t("data.taken", columns=", ".join(f"{role} = {name}" for role, name in columns.roles))


def _by_name(rows: Rows, role: str, used: set[str]) -> str | None:
    known = NAMES.get(role, (role,))
    plain = {_plain(n): place for place, n in reversed(list(enumerate(known)))}
    found = [(plain[_plain(n)], n) for n in rows.names if n not in used and _plain(n) in plain]
    if not found:
        return None
    found.sort()
    # "text" beside "title" and "body" is the text; "body" beside "comment" may be either.
    if len(found) == 1 or found[0][0] < 2:
        return found[0][1]
    candidates = [name for _, name in found]
    raise DataError("data.ambiguous", role=_label(role), known=_listed(candidates), say=_say(role, candidates[0]))


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "_", name.strip()).casefold()


def _by_elimination(rows: Rows, missing: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Text and label of a table that has nothing else: the one column of texts, the one of few values."""
    if not missing or not set(missing) <= {"text", "label"}:
        return {}
    left = unused(rows, chosen.values())
    if len(left) != len(missing):
        return {}
    made = {}
    if "text" in missing:
        texts = [n for n in left if _is_text(rows, n)]
        if len(texts) > 1:
            texts = [n for n in texts if not _is_label(rows, n)]
        if len(texts) != 1:
            return {}
        made["text"] = texts[0]
        left.remove(texts[0])
    if "label" in missing and _is_label(rows, left[0]):
        made["label"] = left[0]
    return made


def unused(rows: Rows, used: Iterable[str | None]) -> list[str]:
    """The columns that play no part yet; numbers of rows never do."""
    taken = set(used)
    left = [n for n in rows.names if n not in taken and _plain(n) not in _ROW_NUMBERS]
    return [n for n in left if not re.fullmatch(r"Unnamed: \d+", n)]


def _is_text(rows: Rows, name: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_large_string(rows.arrow(name).type))


def _is_label(rows: Rows, name: str) -> bool:
    """Few values, each several times: at most half as many as rows."""
    import pyarrow as pa

    array = rows.arrow(name).slice(0, _SAMPLE)
    if pa.types.is_nested(array.type) or pa.types.is_floating(array.type):
        return False
    distinct = len(array.drop_null().unique())
    return 2 <= distinct <= max(2, min(1000, len(array) // 2))


def _is_written(rows: Rows, name: str) -> bool:
    """A target's name, and texts of which most are there once."""
    known = {_plain(n) for n in NAMES["target"]}
    return _plain(name) in known and _is_text(rows, name) and not _is_label(rows, name)


def _begun(rows: Rows, form: Sequence[str], given: Mapping[str, str | None] | None) -> tuple[int, int]:
    """How many of a form's roles a table has, and how many more by names that are nearly theirs."""
    there = [role for role in form if has_role(rows, role, given)]
    return len(there), sum(bool(_near(rows, role, ())) for role in form if role not in there)


def _meant(rows: Rows, role: str, used: Iterable[str], *, alone: bool) -> str:
    """The column that a missing role may be: of nearly its name, or the only one left where ``alone`` it is missing."""
    used = list(used)
    close, left = _near(rows, role, used), unused(rows, used)
    if len(close) == 1:
        return close[0]
    return left[0] if alone and len(left) == 1 else "NAME"


def _near(rows: Rows, role: str, used: Iterable[str]) -> list[str]:
    """Columns of nearly a name of the role."""
    known = [plain for plain in map(_plain, NAMES.get(role, (role,))) if len(plain) > 3]
    return [n for n in unused(rows, used) if difflib.get_close_matches(_plain(n), known, n=1, cutoff=_CLOSE)]


def _label(role: str) -> str:
    if role == "text":
        return t("data.role_text")
    return t("data.role_label") if role == "label" else role


def _say(role: str, column: str = "NAME") -> str:
    if role in ("text", "label"):
        return f'{role}="{column}" (--{role} {column})'
    return f'columns={{"{role}": "{column}"}} (--columns {role}={column})'


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
