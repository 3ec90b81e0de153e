"""Which encoding a text file is in: strict decoding, in an order that can't mistake one for another."""

from __future__ import annotations

import codecs
import re

from modelnook.domain.errors import DataError

__all__ = ["encoding_of", "to_utf8"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 20
# The fifty most frequent characters: about a third of any Chinese text, about none of Korean read as Chinese.
_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过好很"
)
_ACCENTS = frozenset("éèêëàâäáãåæçíìîïñóòôöõøœßúùûüýÿÉÈÊËÀÂÄÁÃÅÆÇÍÎÏÑÓÔÖÕØŒÚÙÛÜ’‘“”„–—…€£°«»·¡¿§©®™•\xa0")


def to_utf8(blob: bytes, shown: str = "") -> tuple[bytes, str]:
    """The same text as UTF-8 without a mark, and the encoding that it was in.

    >>> to_utf8("标签".encode("gbk"))[1], to_utf8("标签".encode("utf-16"))[1]
    ('gb18030', 'utf-16')

    Raises:
        DataError: no encoding fits; the hint says to save it as UTF-8.
    """
    encoding = encoding_of(blob)
    if encoding is None:
        raise DataError("data.encoding", path=shown)
    if encoding == "utf-8":
        return blob, encoding
    if encoding == "utf-8-sig":
        return blob[len(codecs.BOM_UTF8) :], "utf-8"
    return blob.decode(encoding).encode("utf-8"), encoding


def encoding_of(blob: bytes) -> str | None:
    """The encoding's Python name, None where none fits.

    A mark decides; NUL bytes mean UTF-16; valid UTF-8 is UTF-8 (no other encoding's text is, beyond a few bytes);
    what decodes as GB18030 *and* looks Chinese is GB18030, of which GBK is a part; charset-normalizer has the rest.
    """
    for mark, name in _BOMS:
        if blob.startswith(mark):
            return name if _decodes(blob, name) else None
    if b"\0" in blob:
        return _utf16(blob)
    if _decodes(blob, "utf-8"):
        return "utf-8"
    if _decodes(blob, "gb18030") and _chinese(blob[:_SAMPLE]):
        return "gb18030"
    return _guess(blob)


def _decodes(blob: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(blob), 1 << 24):  # in pieces: a whole second copy of a large file is never held
            decoder.decode(blob[start : start + (1 << 24)])
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _utf16(blob: bytes) -> str | None:
    # Commas, line ends and digits are ASCII in any table: their zero byte comes second in little endian.
    sample = blob[:_SAMPLE]
    order = ("utf-16-le", "utf-16-be")
    if sample[0::2].count(0) > sample[1::2].count(0):
        order = ("utf-16-be", "utf-16-le")
    return next((name for name in order if len(blob) % 2 == 0 and _decodes(blob, name)), None)


def _chinese(sample: bytes) -> bool:
    """Whether text that decodes as GB18030 is Chinese, and not Western, Japanese, Korean or Big5 by accident."""
    text = sample.decode("gb18030", errors="ignore")
    wide = re.findall(r"[^\x00-\x7f]", text)
    # GB2312 holds all common characters, both bytes above A0: an accented letter before an ASCII one never is.
    common = sum(1 for c in wide if _in_gb2312(c))
    if not wide or common < 0.9 * len(wide):
        return False
    han = [c for c in wide if "\u4e00" <= c <= "\u9fff"]
    kana = sum(1 for c in wide if "\u3040" <= c <= "\u30ff")
    if len(han) >= 200 and sum(1 for c in han if c in _FREQUENT) < 0.03 * len(han):
        return False
    return kana <= 0.1 * len(wide)


def _in_gb2312(character: str) -> bool:
    try:
        return len(character.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False


def _western(sample: bytes) -> bool:
    """Whether it reads as cp1252, which Windows writes: few accents, among ASCII letters, and the usual ones."""
    text = sample.decode("cp1252", errors="replace")
    wide = [c for c in text if c > "\x7f"]
    letters = sum(1 for c in text if c.isalpha())
    accents = sum(1 for c in wide if c.isalpha())
    # Russian read as cp1252 is accents throughout; Polish or Czech has signs like ³ and ¹ inside its words.
    return accents <= 0.3 * letters and sum(1 for c in wide if c in _ACCENTS) >= 0.95 * len(wide)


def _guess(blob: bytes) -> str | None:
    if _western(blob[:_SAMPLE]) and _decodes(blob, "cp1252"):
        return "cp1252"
    try:
        from charset_normalizer import from_bytes
    except ModuleNotFoundError:
        return None
    best = from_bytes(blob[: _SAMPLE // 2]).best()
    return best.encoding if best is not None and _decodes(blob, best.encoding) else None
