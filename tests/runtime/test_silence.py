"""What a library's error comes to, in one line."""

from __future__ import annotations

import pytest

from modelnook.runtime.silence import by_values, first_line

ORT = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running"
PLACE = (
    "/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:87 virtual OrtValue* onnxruntime::A::B(int, const C&) "
)
OPENVINO = """Exception from src/inference/src/cpp/infer_request.cpp:224:
Exception from src/plugins/intel_cpu/src/node.cpp:794:
[CPU] Add node with name 'add/aten.add.Tensor/Add' Check 'a[j] == 1' failed at src/eltwise.cpp:52:
Eltwise shapes mismatch

"""
BY_VALUES = """Could not guard on data-dependent expression u1 < 80 (unhinted: u1 < 2*s53).

Caused by: (transformers/models/reformer/modeling_reformer.py:751 in _hash_vectors)
"""
CALL = """The following call raised this error:
  File "/a/b.py", line 764, in _products
    scores = torch.einsum("bcxd,bcyd->bcxy", (query, key))
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ORT} Expand node. Name:'node_zeros' Status Message: invalid expand shape", "Expand: invalid expand shape"),
        (f"{ORT} Gather node. Name:'n' Status Message: Gather op: 'indices' are odd.", "Gather: 'indices' are odd"),
        (
            f"{ORT} Expand node. Name:'n' Status Message: {PLACE}[ONNXRuntimeError] : 1 : FAIL : Shape mismatch",
            "Expand: Shape mismatch",
        ),
        ("[ONNXRuntimeError] : 1 : FAIL : Load model from /a/model.onnx failed:Protobuf is odd", "Protobuf is odd"),
        (
            OPENVINO,
            "Add: Eltwise shapes mismatch",
        ),
        (
            "Exception from src/inference/src/cpp/core.cpp:126:\nUnable to read the model: /a/b.xml.\nMore.",
            "Unable to read the model: /a/b.xml",
        ),
        ("The rows need different lengths.\nMore.", "The rows need different lengths"),
        ("Unsupported op: GroupQueryAttention (node x)", "Unsupported op: GroupQueryAttention (node x)"),
        ("alloc.cpp:12 Something failed for model (abc) due to X", "Something failed for model (abc) due to X"),
        ("", "RuntimeError"),
    ],
)
def test_the_reason_stands_without_the_library_s_own_places(text: str, expected: str) -> None:
    assert first_line(RuntimeError(text)) == expected


def test_what_goes_by_values_is_named_by_its_call_or_its_function() -> None:
    assert by_values(RuntimeError(BY_VALUES)) == "_hash_vectors"
    assert by_values(RuntimeError(BY_VALUES + CALL)) == "torch.einsum"
    assert by_values(RuntimeError(BY_VALUES.splitlines()[0])) == "RuntimeError"
    assert by_values(RuntimeError("The rows need different lengths.")) is None
