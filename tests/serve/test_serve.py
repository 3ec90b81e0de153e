"""A model behind an address: what programs get from it, who is turned away, and when it ends."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

import modelnook as mn
from modelnook import cards
from modelnook.classic.base import write
from modelnook.classic.tfidf import Tfidf
from modelnook.domain.errors import ConflictError, MissingPackage, OfflineError, UnsupportedError, UsageError
from modelnook.serving import Server, serving
from modelnook.settings import current
from modelnook.store.servers import Servers
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_asked, tiny_rows, tiny_sentence_encoder, tiny_writer
from modelnook.testing.trained import trained_model

Ask = Callable[..., requests.Response]


def start(path: Path, **options: Any) -> Server:
    return mn.serve(str(path), port=0, **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for the servers that all tests of this file ask."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("serve")
        patch.setenv("MODELNOOK_HOME", str(place / "home"))
        patch.setenv("MODELNOOK_THREADS", "1")
        patch.setenv("MODELNOOK_LANG", "en")
        yield place


@pytest.fixture(scope="module")
def classifier(home: Path) -> Iterator[Server]:
    with start(trained_model(home / "mails")) as server:
        yield server


@pytest.fixture(scope="module")
def writer(home: Path) -> Iterator[Server]:
    with start(tiny_writer(home / "writer", chat=True)) as server:
        yield server


def plain(folder: Path, labels: tuple[str, ...] = ("ham", "spam")) -> Path:
    """A classifier without a network, which is there at once."""
    rows = tiny_rows(64, labels)
    model = Tfidf.learn(TextClassification(), rows, sorted(labels))
    assert model is not None
    folder.mkdir()
    write(model, folder, task="text-classification", labels=sorted(labels))
    return folder


def post(server: Server, path: str, body: Any, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    sent = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return requests.post(server.url + path, data=sent, headers=headers, timeout=60, **options)


def test_its_answers_are_those_of_predict(classifier: Server, home: Path) -> None:
    texts = tiny_rows(12, seed=5)["text"]
    told = post(classifier, "/predict", {"inputs": texts}).json()
    expected = mn.predict(str(home / "mails"), texts).to_dict("records")
    assert told["model"] == "mails", "where a folder lies is told to nobody"
    assert [row["label"] for row in told["predictions"]] == [row["label"] for row in expected]
    for one, other in zip(told["predictions"], expected, strict=True):
        assert one["scores"] == pytest.approx(other["scores"])
        assert one["score"] == pytest.approx(other["score"])
    rows = [{"text": text, "number": n} for n, text in enumerate(texts)]
    assert post(classifier, "/predict", {"inputs": rows}).json() == told
    assert post(classifier, "/predict", {"inputs": texts[0]}).json()["predictions"][0]["label"] == expected[0]["label"]
    assert post(classifier, "/predict", {"inputs": []}).json()["predictions"] == []


def test_a_text_is_a_text_whatever_it_looks_like(classifier: Server, home: Path) -> None:
    secret = home / "secret.csv"
    secret.write_text("text,label\nwin,spam\nlunch,ham\nmoney,spam\n")
    for text in (str(secret), "hub:owner/name", "./secret.csv", "s3://bucket/rows.csv"):
        for inputs in (text, [text], [{"text": text}], {"text": text}):
            assert len(post(classifier, "/predict", {"inputs": inputs}).json()["predictions"]) == 1


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", "Basic x", "Bearer \u00e9"])
def test_without_its_token_nothing_is_answered(classifier: Server, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode()}
    for path in ("/predict", "/v1/chat/completions", "/v1/embeddings"):
        answer = requests.post(classifier.url + path, json={"inputs": ["win"]}, headers=headers, timeout=60)
        assert answer.status_code == 401
        assert "token" in answer.text
        assert "predictions" not in answer.text
    assert requests.get(classifier.url + "/v1/models", headers=headers, timeout=60).status_code == 401
    assert requests.get(classifier.url + "/health", timeout=60).json() == {"status": "ok", "model": "mails"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "serve.bad_json"),
        (b"\xff\xfe", "serve.bad_json"),
        ("[1]", "serve.not_object"),
        ({}, "serve.no_inputs"),
        ({"inputs": 3}, "serve.inputs"),
        ({"inputs": None}, "serve.inputs"),
        ({"inputs": ["a", None]}, "serve.inputs"),
        ({"inputs": ["a", {"text": "b"}]}, "serve.inputs"),
        ({"inputs": [{"other": 1, "more": 2}]}, "data.no_column"),
        ({"inputs": ["a"], "input": 1}, "serve.field"),
        ("[" * 100_000, "serve.bad_json"),
        ('{"inputs": ' + "[" * 100_000, "serve.bad_json"),
        ('{"inputs": ["\\ud800"]}', "serve.bad_json"),
        ('{"\\ud800": "a", "inputs": ["a"]}', "serve.bad_json"),
        ('{"inputs": ["a"], "max_new_tokens": NaN}', "serve.bad_json"),
        ({"inputs": ["a"], "max_new_tokens": 0}, "serve.whole"),
        ({"inputs": ["a"], "max_new_tokens": True}, "serve.whole"),
        ({"inputs": ["a"], "max_new_tokens": 3}, "serve.task"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(classifier: Server, body: Any, code: str) -> None:
    answer = post(classifier, "/predict", body)
    assert 400 <= answer.status_code < 500
    told = answer.json()
    assert told["code"] == code
    assert told["message"]
    assert told["hint"]


def test_other_addresses_and_ways(classifier: Server) -> None:
    assert post(classifier, "/predct", {}).status_code == 404
    headers = {"Authorization": f"Bearer {classifier.token}"}
    assert requests.get(classifier.url + "/predict", headers=headers, timeout=60).status_code == 405
    wrong = post(classifier, "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["code"] == "serve.task"


def test_a_body_is_json_whatever_its_sender_calls_it(classifier: Server) -> None:
    body = json.dumps({"inputs": ["a & b = c " * 400]})
    headers = {"Authorization": f"Bearer {classifier.token}"}
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        sent = requests.post(
            classifier.url + "/predict", data=body, headers={**headers, "Content-Type": kind}, timeout=60
        )
        assert len(sent.json()["predictions"]) == 1
    long = post(classifier, "/predict", json.dumps({"inputs": "a" * (65 * 2**20)}))
    assert (long.status_code, long.json()["code"]) == (413, "serve.too_long")


def test_nothing_of_a_stranger_is_held(classifier: Server) -> None:
    process = psutil.Process(classifier.pid)
    before = process.memory_info().rss
    held = []
    for _ in range(4):
        line = socket.create_connection(("127.0.0.1", classifier.port))
        line.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n")
        assert b"401" in line.recv(4096)
        # It hangs up on what nobody will read.
        with suppress(OSError):
            line.sendall(b"x" * 40_000_000)
        held.append(line)
    assert process.memory_info().rss - before < 60_000_000
    for line in held:
        line.close()


def test_many_at_once_get_each_their_own(classifier: Server) -> None:
    texts = tiny_rows(96, seed=7)["text"]
    alone = [post(classifier, "/predict", {"inputs": [text]}).json()["predictions"][0] for text in texts]

    def ask(n: int) -> Any:
        # Every eighth lacks its column: the others that are computed with it must not pay for it.
        odd = n % 8 == 7
        return post(classifier, "/predict", {"inputs": [{"other": 1, "more": 2}] if odd else [texts[n]]})

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(len(texts))))
    for n, answer in enumerate(answers):
        if n % 8 == 7:
            assert answer.status_code == 400
        else:
            found = answer.json()["predictions"][0]
            assert found["label"] == alone[n]["label"]
            assert found["score"] == pytest.approx(alone[n]["score"], abs=1e-5)


def test_the_page_tells_a_stranger_little(home: Path) -> None:
    name = "</script><script>alert(1)//"
    with start(plain(home / "odd", ("ham", name))) as server:
        page = requests.get(server.url, timeout=60)
        assert page.headers["Content-Type"].startswith("text/html")
        assert name not in page.text
        assert "odd" in page.text
        assert str(home) not in page.text
        assert "alert" not in page.text, "who has no token learns no label"
        assert server.token not in page.text


def test_a_conversation_is_answered_as_predict_does(writer: Server, home: Path) -> None:
    talk = [{"role": "user", "content": "win the prize"}]
    expected = mn.predict(str(home / "writer"), [{"messages": talk}], max_new_tokens=12)["text"][0]
    body = {"model": "any", "messages": talk, "max_tokens": 12}
    told = post(writer, "/v1/chat/completions", body).json()
    assert told["object"] == "chat.completion"
    assert told["choices"][0]["message"] == {"role": "assistant", "content": expected}
    assert expected
    said = post(writer, "/v1/completions", {"prompt": "win the prize", "max_tokens": 12}).json()
    assert said["choices"][0]["text"] == mn.predict(str(home / "writer"), "win the prize", max_new_tokens=12)["text"][0]
    assert post(writer, "/predict", {"inputs": [{"messages": talk}], "max_new_tokens": 12}).json()["predictions"] == [
        {"text": expected}
    ]


def events(answer: requests.Response) -> list[str]:
    return [line.removeprefix("data: ") for line in answer.iter_lines(decode_unicode=True) if line]


def test_it_streams_what_it_would_say_whole(writer: Server) -> None:
    body = {"messages": [{"role": "user", "content": "win the prize"}], "max_tokens": 12}
    whole = post(writer, "/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
    *pieces, end = events(post(writer, "/v1/chat/completions", {**body, "stream": True}, stream=True))
    assert end == "[DONE]"
    told = [json.loads(piece)["choices"][0] for piece in pieces]
    assert len(told) > 2
    assert "".join(choice["delta"].get("content", "") for choice in told).strip() == whole
    assert [choice["finish_reason"] for choice in told] == [None] * (len(told) - 1) + ["length"]


def test_it_says_whether_it_was_cut(writer: Server) -> None:
    body = {"messages": [{"role": "user", "content": "win the prize"}]}
    cut = post(writer, "/v1/chat/completions", {**body, "max_tokens": 1}).json()["choices"][0]
    assert cut["finish_reason"] == "length"
    *pieces, _ = events(post(writer, "/v1/chat/completions", {**body, "max_tokens": 1, "stream": True}, stream=True))
    assert json.loads(pieces[-1])["choices"][0]["finish_reason"] == "length"


def test_conversations_and_prompts_are_not_computed_as_one_another(writer: Server) -> None:
    """A row of another form among a batch was read by the first one's."""
    talk = [{"role": "user", "content": "win the prize"}]
    asked: list[Any] = [["lunch"], [{"messages": talk}], ["win"], [{"messages": talk}]]

    def ask(inputs: Any) -> Any:
        return post(writer, "/predict", {"inputs": inputs, "max_new_tokens": 8}).json()["predictions"]

    alone = [ask(inputs) for inputs in asked]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            assert list(pool.map(ask, asked * 4)) == alone * 4


def test_who_goes_away_in_mid_stream_stops_it(writer: Server) -> None:
    """The next request is answered, long before what was left could have been written."""
    body = {"messages": [{"role": "user", "content": "win"}], "max_tokens": 12, "stream": True, "temperature": 5}
    for _ in range(3):
        answer = post(writer, "/v1/chat/completions", body, stream=True)
        next(answer.iter_lines())
        answer.close()
    assert post(writer, "/v1/completions", {"prompt": "win", "max_tokens": 2}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/chat/completions", {}, "serve.missing"),
        ("/v1/chat/completions", {"messages": "hi"}, None),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}, None),
        ("/v1/completions", {"prompt": ["a", "b"]}, "serve.one_prompt"),
        ("/v1/completions", {"prompt": "a", "max_tokens": -1}, "serve.whole"),
        ("/v1/completions", {"prompt": "a", "temperature": "hot"}, "serve.number"),
        ("/v1/completions", {"prompt": "a", "temperature": 1, "top_p": -1}, "serve.number"),
        ("/v1/completions", {"prompt": "a", "temperature": 1, "top_p": 5}, "serve.number"),
        ("/v1/completions", {"prompt": "a", "temperature": 1e-45}, "serve.number"),
        ("/v1/completions", {"prompt": "a", "temperature": 10**400}, "serve.number"),
        ("/v1/completions", {"prompt": "a", "temperature": float("nan")}, "serve.bad_json"),
        ("/v1/completions", {"prompt": "a", "max_tokens": 1_000_000}, "serve.whole"),
        ("/v1/completions", {"prompt": "a", "stop": ["b"]}, "serve.option"),
        ("/v1/completions", {"prompt": "a", "n": 3}, "serve.option"),
        ("/v1/nosuch", {}, "serve.http"),
        ("/v1/embeddings", {"input": "a"}, "serve.task"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_openai_clients_are_told(writer: Server, path: str, body: Any, code: str | None, stream: bool) -> None:
    answer = post(writer, path, {**body, "stream": stream})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["message"]
    assert code is None or answer.json()["error"]["code"] == code


@pytest.mark.parametrize(("dense", "width"), [((), 32), (((24, "Tanh"), (8, "Identity")), 8)])
def test_vectors(home: Path, dense: tuple[tuple[int, str], ...], width: int) -> None:
    folder = tiny_sentence_encoder(home / "encoder", dense=dense)
    with start(folder, task="sentence-similarity") as server:
        assert server.task == "sentence-similarity"
        told = post(server, "/v1/embeddings", {"input": ["win the prize", "lunch"]}).json()
        with mn.load(str(folder), task="sentence-similarity") as model:
            expected = model.predict(["win the prize", "lunch"])["vector"].tolist()
        assert len(expected[0]) == width
        for item, vector in zip(told["data"], expected, strict=True):
            assert item["embedding"] == pytest.approx(list(vector), abs=1e-5)
        # What OpenAI's own client asks for where its user asks for nothing.
        packed = post(server, "/v1/embeddings", {"input": "lunch", "encoding_format": "base64"}).json()["data"][0]
        numbers = struct.unpack(f"<{len(expected[1])}f", base64.b64decode(packed["embedding"]))
        assert list(numbers) == pytest.approx(list(expected[1]), abs=1e-5)
        refused = post(server, "/v1/embeddings", {"input": "a", "encoding_format": "int8"})
        assert refused.json()["error"]["code"] == "serve.format"


def test_rows_of_several_values(home: Path, tmp_path: Path) -> None:
    from modelnook.tasks import TASKS
    from modelnook.testing.models import tiny_model

    task = TASKS.load("question-answering")()
    model, tokenizer = task.load(str(tiny_model(tmp_path / "base")))
    model.save_pretrained(home / "reader")
    tokenizer.save_pretrained(home / "reader")
    rows = tiny_asked(4)
    pairs = [{"question": q, "context": c} for q, c in zip(rows["question"], rows["context"], strict=True)]
    with start(home / "reader") as server:
        told = post(server, "/predict", {"inputs": pairs}).json()["predictions"]
        assert [set(row) for row in told] == [{"answer", "start", "end", "score"}] * 4
        (alone,) = post(server, "/predict", {"inputs": pairs[0]}).json()["predictions"]
        assert alone == {**told[0], "score": pytest.approx(told[0]["score"], rel=1e-4)}, "a batch rounds otherwise"
        assert post(server, "/predict", {"inputs": ["only a text"]}).json()["code"] == "serve.needs_rows"


def test_images_come_as_base64_and_never_by_a_path(home: Path, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from modelnook.testing.media import tiny_image_model

    file = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save(file, "PNG")
    (tmp_path / "own.png").write_bytes(file.getvalue())
    said = base64.b64encode(file.getvalue()).decode()
    with start(tiny_image_model(home / "eyes", ("dark", "light"))) as server:
        for form in (said, f"data:image/png;base64,{said}", {"image": said}):
            told = post(server, "/predict", {"inputs": [form]}).json()
            assert told["predictions"][0]["label"] in ("dark", "light")
        for form in (str(tmp_path / "own.png"), {"image": str(tmp_path / "own.png")}, {"image": None}):
            assert post(server, "/predict", {"inputs": [form]}).json()["code"] == "serve.base64"
        broken = base64.b64encode(b"no image").decode()
        assert post(server, "/predict", {"inputs": [broken]}).status_code == 400


def test_ps_lists_it_and_unload_stops_it(home: Path) -> None:
    server = start(plain(home / "listed"))
    again = start(home / "listed")
    assert again is server, "Run All twice serves once"
    assert "already" in again.note
    with mn.serve(str(home / "listed"), port=0, runtime="sklearn") as other:
        assert other is not server, "another runtime isn't the same"
        assert other.port != server.port
    rows = [row for row in mn.ps().to_frame().to_dict("records") if row["state"] == "served"]
    # This test's own home is another than that of the tests above, whose servers aren't its.
    assert [(row["name"], row["what"]) for row in rows] == [(server.ref, f"127.0.0.1:{server.port}")]
    assert rows[0]["memory"] > 1_000_000
    assert [s.ref for s in serving()].count(server.ref) == 1
    assert server.ref in mn.unload(str(home / "listed"))
    assert not server.running
    assert not Servers(current().home).live()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url + "/health", timeout=5)
    server.stop()


def test_files_that_were_replaced_are_served_anew(home: Path) -> None:
    """The same path, port and runtime, and another model."""
    folder = plain(home / "replaced", ("ham", "spam"))
    with start(folder) as before:
        shutil.rmtree(folder)
        with start(plain(folder, ("news", "sport"))) as after:
            assert after is not before
            assert (before.labels, after.labels) == (["ham", "spam"], ["news", "sport"])


def test_unload_stops_a_terminals_server_by_its_name(home: Path) -> None:
    folder = plain(home / "elsewhere")
    command = [sys.executable, "-m", "modelnook", "serve", str(folder), "--port", "0", "--json"]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert other.stdout is not None
    pid = json.loads(other.stdout.readline())["pid"]
    unload = "import modelnook as mn; print(mn.unload())"
    others = subprocess.run([sys.executable, "-c", unload], capture_output=True, text=True, check=True)
    assert others.stdout.strip() == "[]", "without a name only what its own process has"
    assert psutil.Process(pid).is_running()
    assert mn.unload(str(folder)) == [str(folder)]
    assert other.wait(60) == 0, "whoever waits for it sees that it ended"


def test_its_token_is_shown_nowhere(classifier: Server) -> None:
    told = [str(classifier), repr(classifier), cards.html(classifier), json.dumps(classifier.to_dict())]
    files = [f.read_text() for f in Servers(current().home).path.glob("*")]
    lines = [" ".join(psutil.Process(classifier.pid).cmdline())]
    assert len(classifier.token) > 30
    for text in (*told, *files, *lines):
        assert classifier.token not in text
    assert len(str(classifier).splitlines()) <= 12


def test_the_next_free_port_is_taken_and_said(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with mn.serve(str(plain(home / "second")), port=port) as server:
            assert server.port > port
            assert str(port) in server.note
            assert requests.get(server.url + "/health", timeout=60).ok


def test_a_fork_of_who_began_it_does_not_keep_it(home: Path) -> None:
    folder = plain(home / "forked")
    code = f"""import modelnook as mn, os, time
s = mn.serve({str(folder)!r}, port=0)
child = os.fork()
if not child:
    time.sleep(600)
print(s.pid, child, flush=True)
time.sleep(600)"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server, child = (psutil.Process(int(pid)) for pid in parent.stdout.readline().split())
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([server], timeout=60)
    child.kill()
    assert gone or server.status() == psutil.STATUS_ZOMBIE


def test_odd_files_of_servers_are_left_out(home: Path) -> None:
    place = Servers(current().home).path
    place.mkdir(parents=True)
    for n, said in enumerate(({"ref": "x"}, [], {"holder": 3}, {"holder": {"host": "elsewhere"}})):
        (place / f"{n}.json").write_text(json.dumps(said))
    assert not [row for row in mn.ps().to_frame().to_dict("records") if row["state"] == "served"]


def test_another_token_is_another_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plain(home / "turned")
    monkeypatch.setenv("MODELNOOK_SERVE_TOKEN", "first")
    with start(folder) as first:
        monkeypatch.setenv("MODELNOOK_SERVE_TOKEN", "second")
        with start(folder) as second:
            assert (first.token, second.token) == ("first", "second")
    monkeypatch.setenv("MODELNOOK_SERVE_TOKEN", "schlüssel")
    with pytest.raises(UsageError, match="MODELNOOK_SERVE_TOKEN"):
        start(folder)


def test_what_cannot_be_served_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trained_model(home / "refused")
    with pytest.raises(UsageError, match="70000"):
        mn.serve(str(folder), port=70000)
    with pytest.raises(UsageError, match="onx"):
        start(folder, runtime="onx")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 65535))
        taken.listen()
        with pytest.raises(ConflictError, match="65535"):
            mn.serve(str(folder), port=65535)
    for made in (folder, plain(home / "words")):
        for task in ("token-classification", "text-generation"):
            with pytest.raises(UnsupportedError, match=task) as caught:
                start(made, task=task)
            assert caught.value.hint
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(UnsupportedError):
        start(folder)
    for host in ("", " "):
        with pytest.raises(UsageError, match="host"):
            start(folder, host=host)
    assert not serving(str(folder))
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    with pytest.raises(OfflineError, match=r"0\.0\.0\.0"):
        start(folder, host="0.0.0.0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="tornado"):
        start(folder)


def test_it_ends_with_the_process_that_began_it(home: Path) -> None:
    folder = plain(home / "orphan")
    code = f"""import modelnook as mn, time
s = mn.serve({str(folder)!r}, port=0)
print(s.pid, s.port, flush=True)
time.sleep(600)"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, port = map(int, parent.stdout.readline().split())
    assert requests.get(f"http://127.0.0.1:{port}/health", timeout=60).ok
    parent.kill()
    parent.wait()
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=60)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_one_that_is_killed_is_listed_no_more(home: Path) -> None:
    server = start(plain(home / "killed"))
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(UnsupportedError, match="killed"):
        server.wait()
    assert not server.running
    assert not [s for s in Servers(current().home).live() if s["pid"] == server.pid]
    assert not list(Servers(current().home).path.glob("*.json"))
    with start(home / "killed") as again:
        assert again is not server
        assert again.running


def test_the_terminal_serves_until_an_interrupt(home: Path) -> None:
    folder = plain(home / "terminal")
    command = [sys.executable, "-m", "modelnook", "serve", str(folder), "--port", "0"]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.stdout is not None
    assert done.stderr is not None
    url = done.stdout.readline().split()[0]
    token = done.stderr.readline().rpartition(" ")[2].strip()
    answer = requests.post(
        f"{url}/predict", json={"inputs": ["win"]}, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    assert answer.json()["predictions"][0]["label"] in ("ham", "spam")
    done.send_signal(signal.SIGINT)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    assert "Traceback" not in out + err


def test_a_token_of_ones_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_SERVE_TOKEN", "mine-and-secret")
    with start(plain(home / "own")) as server:
        assert server.token == "mine-and-secret"
        assert post(server, "/predict", {"inputs": "win"}).ok


def test_a_slow_reader_waits_no_longer_than_it_asks(classifier: Server) -> None:
    """A connection that says nothing holds up nobody."""
    with socket.create_connection(("127.0.0.1", classifier.port)):
        began = time.monotonic()
        assert post(classifier, "/predict", {"inputs": "win"}).ok
        assert time.monotonic() - began < 30
