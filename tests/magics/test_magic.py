"""%model in a shell: results, variables, errors that are one sentence and still fail the cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.utils.capture import capture_output

from modelnook.catalog.folder import describe
from modelnook.domain.errors import NotFoundError, UsageError
from modelnook.store import Store


def text(shell: Any, value: Any) -> str:
    return str(shell.display_formatter.format(value)[0]["text/plain"])


def result(shell: Any, cell: str) -> Any:
    with capture_output():
        done = shell.run_cell(cell)
    done.raise_error()
    return done.result


def failing(shell: Any, cell: str) -> tuple[BaseException, str]:
    with capture_output() as out:
        done = shell.run_cell(cell)
    assert not done.success
    assert done.error_in_exec is not None
    return done.error_in_exec, out.stdout + out.stderr


def test_alone_it_lists_the_verbs(shell: Any) -> None:
    for line in ("%model", "%model --help", "%model help"):
        page = text(shell, result(shell, line))
        assert "finetune" in page
        assert "Housekeeping" in page


def test_help_of_a_verb(shell: Any) -> None:
    page = text(shell, result(shell, "%model finetune --help"))
    assert "--learning-rate" in page
    assert "Example: %model finetune" in page


def test_a_result_is_displayed_and_kept(shell: Any) -> None:
    found = result(shell, "%model list -o mine")
    assert shell.user_ns["mine"] is found
    data, _ = shell.display_formatter.format(found)
    assert set(data) == {"text/plain", "text/html"}
    assert result(shell, "found = %model list\nfound") is not None


def test_in_a_list_a_value_is_its_repr(shell: Any) -> None:
    found = result(shell, "%model runs")
    assert text(shell, [found]).startswith("[<RunList ")


def test_plain_results_read_as_text(shell: Any) -> None:
    assert text(shell, result(shell, "%model offline on")).startswith("Offline")
    assert text(shell, result(shell, "%model unload")) == "Nothing was loaded."
    settings = result(shell, "%model settings")
    assert settings["offline"] is True
    assert "language" in text(shell, settings)
    result(shell, "%model offline off -o now")
    assert shell.user_ns["now"] is False


def test_a_mistake_is_a_sentence_and_the_cell_fails(shell: Any) -> None:
    error, out = failing(shell, "%model finetun x")
    assert isinstance(error, UsageError)
    assert "There is no verb 'finetun'." in out
    assert "Did you mean 'finetune'?" in out
    assert "Traceback" not in out


def test_an_unknown_variable_is_a_near_miss(shell: Any) -> None:
    result(shell, "train = [{'text': 'a', 'label': 'b'}]")
    _, out = failing(shell, "%model finetune pip:x --data trian")
    assert "no variable 'trian'" in out
    assert "Did you mean 'train'?" in out


def test_cells_out_of_order(shell: Any) -> None:
    """A model that no cell has made yet, a variable that no cell holds any more: what is missing, and what to do."""
    result(shell, "test = [{'text': 'a', 'label': 'b'}, {'text': 'c', 'label': 'd'}]")
    for line in ("evaluate topics --data test", "quantize topics --to int8", "compare topics topics-int8 --data test"):
        error, out = failing(shell, f"%model {line}")
        assert isinstance(error, NotFoundError)
        assert "There is no model 'topics' in local, pip." in out
        assert "%model search topics" in out
        assert "%model finetune MODEL --data train --name topics" in out
        assert "Traceback" not in out
    _, out = failing(shell, "del test\n%model evaluate topics --data test")
    assert "no variable 'test'" in out
    assert result(shell, "%model runs").items == (), "no job was started for any of them"


def test_a_bare_name_of_a_model_is_a_near_miss(shell: Any, tmp_path: Path) -> None:
    (folder := tmp_path / "made").mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    Store().models.add("topics", folder, describe(folder, ref="", id="topics", source="local"))
    result(shell, "rows = [{'text': 'a', 'label': 'b'}, {'text': 'c', 'label': 'd'}]")
    for line in ("info topcs", "evaluate topcs", "predict topcs 'a text'", "finetune topcs --data rows"):
        error, out = failing(shell, f"%model {line}")
        assert isinstance(error, NotFoundError), out
        assert "'topcs'" in out
        assert "Did you mean 'topics'?" in out


def test_variables_are_replaced_in_a_line(shell: Any) -> None:
    result(shell, "name = 'nosuchrun'")
    _, out = failing(shell, "%model runs show {name}")
    assert "'nosuchrun'" in out
    _, out = failing(shell, "%model runs show $name")
    assert "'$name'" in out
    _, out = failing(shell, "%model runs show {nam}")
    assert "no variable 'nam'" in out


def test_debug_shows_it_all(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = failing(shell, "%model runs show nosuchrun --debug")
    assert "NotFoundError" in out
    assert "modelnook" in out
    monkeypatch.setenv("MODELNOOK_DEBUG", "1")
    _, out = failing(shell, "%model runs show nosuchrun")
    assert "NotFoundError" in out


def test_errors_of_the_python_door_read_the_same(shell: Any) -> None:
    _, out = failing(shell, "import modelnook\nmodelnook.stop('nosuchrun')")
    assert "Traceback" not in out
    assert "nosuchrun" in out


def test_a_bug_of_ours_says_so(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook import api

    def broken(**_: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(api, "runs", broken)
    _, out = failing(shell, "%model runs")
    assert "KeyError" in out
    assert "--debug" in out
    assert "Traceback" not in out
    error, _ = failing(shell, "%model runs --debug")
    assert isinstance(error, KeyError)


def test_an_interrupt_is_an_interrupt(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook import api

    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "runs", interrupted)
    error, _ = failing(shell, "%model runs")
    assert isinstance(error, KeyboardInterrupt)


def test_other_errors_and_handlers_stay_as_they_were(shell: Any) -> None:
    _, out = failing(shell, "1 / 0")
    assert "ZeroDivisionError" in out

    seen = []
    shell.set_custom_exc((ZeroDivisionError,), lambda self, kind, error, tb, tb_offset=None: seen.append(kind))
    shell.run_line_magic("reload_ext", "modelnook")
    failing(shell, "1 / 0")
    _, out = failing(shell, "%model finetun")
    assert seen == [ZeroDivisionError]
    assert "Did you mean 'finetune'?" in out


def test_a_cells_body_of_inputs(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook import api

    monkeypatch.setattr(api, "predict", lambda ref_or_model, inputs: [ref_or_model, *inputs])
    assert result(shell, "%%model predict spam\nit is {x}\n\nwell $y\n") == ["spam", "it is {x}", "well $y"]


def test_loading_twice_changes_nothing(shell: Any) -> None:
    shell.run_line_magic("reload_ext", "modelnook")
    shell.run_line_magic("reload_ext", "modelnook")
    assert len([m for m in shell.Completer.custom_matchers if m.matcher_identifier == "modelnook"]) == 1
    assert shell.custom_exceptions == (), "errors show themselves"


def test_chinese(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    _, out = failing(shell, "%model finetun x")
    assert "您是不是想用“finetune”？" in out
    assert "运行记录" in text(shell, result(shell, "%model"))


def test_hints_name_options_and_a_list_is_several_texts(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook import api

    shell.user_ns["rows"] = [{"text": f"a text {at}", "label": "one"} for at in range(8)]
    error, out = failing(shell, "%model finetune --data rows --method tfidf")
    assert isinstance(error, UsageError), out
    assert "--label …" in out
    assert "label=" not in out
    shell.user_ns["frame"] = {"text": ["a"]}
    error, out = failing(shell, "%model evaluate {frame}")
    assert isinstance(error, UsageError), out
    assert "dict" in out

    monkeypatch.setattr(api, "predict", lambda ref_or_model, inputs: [ref_or_model, *inputs])
    assert result(shell, "%model predict spam@1 ['I love it', \"it's bad\"]") == ["spam@1", "I love it", "it's bad"]
    assert result(shell, "%model predict spam [sic] it's bad") == ["spam", "[sic] it's bad"]


def test_at_a_terminal_all_of_what_was_asked_for_is_displayed(shell: Any, tmp_path: Path) -> None:
    """No kernel runs this shell, so nothing could open what a card folds."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    store = Store()
    for at in range(20):
        store.models.add(f"many-{at}", folder, describe(folder, ref="", id=f"many-{at}", source="local"))

    def displayed(cell: str) -> str:
        with capture_output() as out:
            shell.run_cell(cell)
        return str(out.stdout)

    printers = shell.display_formatter.formatters["text/plain"].type_printers
    displayed("%model search many --source local")
    before = dict(printers)
    asked = displayed(
        "found = %model search many --source local --limit 30\n%model search many --source local --limit 40"
    )
    assert printers == before
    assert all(f"many-{at}" in asked for at in range(20))
    assert len(displayed("%model search many --source local").splitlines()) <= 13, "as before, once that was displayed"
