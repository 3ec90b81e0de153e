"""A list has a model once: variants under what they come from, the same files in two sources as one."""

from __future__ import annotations

from dataclasses import replace

from modelnook.catalog.base import Query
from modelnook.catalog.variants import exactly, grouped, one_row_each
from modelnook.domain.model import ModelInfo


def model(ref: str, **more: object) -> ModelInfo:
    source, _, id = ref.partition(":")
    return ModelInfo(ref, id, source, name=id.rpartition("/")[2], **more)  # type: ignore[arg-type]


BASE = model("hub:qwen/q-7b", downloads=1000)
GGUF = model("hub:eve/q-7b-gguf", downloads=2000, base_model="qwen/q-7b", relation="quantized")
LORA = model("hub:eve/q-lora", downloads=9, base_model="qwen/q-7b", relation="adapter")
TUNED = model("hub:bob/q-tuned", downloads=10, base_model="qwen/q-7b", relation="finetune")
USED = model("hub:bob/q-well-used", downloads=400, base_model="qwen/q-7b", relation="finetune")
OF_TUNED = model("hub:eve/q-tuned-gguf", downloads=5, base_model="bob/q-tuned", relation="quantized")


def test_variants_stand_under_the_model_they_come_from() -> None:
    found = grouped([GGUF, BASE, USED, TUNED, LORA, OF_TUNED], Query("q"))
    assert [(m.ref, m.variants) for m in found] == [
        (BASE.ref, (GGUF.ref, TUNED.ref, LORA.ref, OF_TUNED.ref)),
        (USED.ref, ()),
    ]


def test_a_variant_alone_or_asked_for_by_its_name_stands_alone() -> None:
    assert [m.ref for m in grouped([GGUF, LORA], Query("q"))] == [GGUF.ref, LORA.ref]
    assert [m.ref for m in grouped([LORA, BASE], Query("q lora"))] == [LORA.ref, BASE.ref]
    mine = model("local:mine", base_model="qwen/q-7b", relation="quantized")
    assert len(grouped([BASE, mine], Query())) == 2
    circle = [replace(BASE, base_model=LORA.id, relation="adapter"), LORA]
    assert sum(1 + len(m.variants) for m in grouped(circle, Query())) == 2


def test_the_same_files_in_two_sources_are_one_entry() -> None:
    here = replace(BASE, parameters=7, revision="a" * 40)
    there = model("mirror:qwen/q-7b", parameters=7)
    found = one_row_each([here, there, here])
    assert [(m.ref, m.also) for m in found] == [(here.ref, (there.ref,))]
    for other in (replace(there, parameters=8), replace(there, revision="b" * 40), replace(there, parameters=None)):
        assert len(one_row_each([here, other])) == 2
    renamed = [replace(here, digest="d"), model("team:ours", digest="d")]
    assert [m.also for m in one_row_each(renamed)] == [("team:ours",)]
    listed = model("mirror:qwen/q-7b", parameters=7)  # a list without checksums
    assert [m.also for m in one_row_each([replace(BASE, parameters=7, digest="d"), listed])] == [(listed.ref,)]
    assert len(one_row_each([model("local:q", parameters=7), model("hub:q", parameters=7)])) == 2


def test_a_name_is_known_however_it_is_divided() -> None:
    assert exactly(BASE, "Q 7B")
    assert exactly(BASE, "qwen/q-7b")
    assert not exactly(BASE, "q")
    assert not exactly(BASE, "--")
