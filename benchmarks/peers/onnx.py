"""onnxruntime."""

import importlib
from functools import cache

from .library import Calls, Library, contiguous


def load_onnxruntime():
    """One node for each function, bound to the memory of its arguments."""
    onnxruntime = importlib.import_module("onnxruntime")
    onnx = importlib.import_module("onnx")
    options = onnxruntime.SessionOptions()

    @cache
    def session_of(operator, dtype, axes, reduces):
        of_type = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        attributes = {} if axes is None or reduces else {"axis": axes}
        inputs, constants = ["x"], []
        if reduces:
            inputs.append("axes")
            constants.append(onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [axes]))
            attributes["keepdims"] = 0
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(operator, inputs, ["result"], **attributes)],
            operator,
            [onnx.helper.make_tensor_value_info("x", of_type, None)],
            [onnx.helper.make_tensor_value_info("result", of_type, None)],
            constants,
        )
        opset = onnx.helper.make_opsetid("", 18)
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(operator, x, axes=None, out=None, reduces=False):
        session = session_of(operator, x.dtype, axes, reduces)
        if out is None:
            return session.run(None, {"x": x})[0]
        binding = session.io_binding()
        for bind, name, array in (
            (binding.bind_input, "x", x),
            (binding.bind_output, "result", out),
        ):
            bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        session.run_with_iobinding(binding)
        return out

    def elementwise(operator):
        return Calls(in_place=lambda x: run(operator, x, out=x), new=lambda x: run(operator, x))

    def of_slices(operator, reduces=False):
        return Calls(
            in_place=None if reduces else lambda x, axis: run(operator, x, axis, x),
            preallocated=lambda x, axis, out: run(operator, x, axis, out, reduces),
            new=lambda x, axis: run(operator, x, axis, None, reduces),
        )

    def set_threads(threads):
        options.intra_op_num_threads = threads
        session_of.cache_clear()

    calls = {
        "expit": elementwise("Sigmoid"),
        "softplus": elementwise("Softplus"),
        "softmax": of_slices("Softmax"),
        "log_softmax": of_slices("LogSoftmax"),
        "logsumexp": of_slices("ReduceLogSumExp", reduces=True),
    }
    return Library("onnxruntime", onnxruntime.__version__, calls, contiguous, set_threads)
