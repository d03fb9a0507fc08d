"""Small ONNX graphs, written operator by operator, and what onnxruntime answers to them."""

from __future__ import annotations

import numpy as np
from needed import need_module

onnx = need_module("onnx", "pip install onnx")
runtime = need_module("onnxruntime", "pip install onnxruntime")
FLOAT = onnx.TensorProto.FLOAT


class Net:
    """A chain of operators over an input `x`; `put` returns the net, so that calls follow one another."""

    def __init__(self, *shape, seed=0, batch="n"):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.tensors = [], []
        self.shape = [batch, *shape]
        self.head = "x"
        self.opset = 17

    def tensor(self, values, name=None):
        """The name of a new constant."""
        name = name or f"t{len(self.tensors)}"
        self.tensors.append(onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def normal(self, *shape, scale=0.4):
        return self.tensor(self.rng.normal(0, scale, shape).astype(np.float32))

    def uniform(self, *shape):
        return self.tensor(self.rng.uniform(0.5, 1.5, shape).astype(np.float32))

    def put(self, op, *constants, before=(), domain="", outputs=1, **attributes):
        """An operator over what travels, with names of constants behind it, or before it."""
        made = [f"{op}_{len(self.nodes)}_{at}" for at in range(outputs)]
        inputs = [*before, self.head, *constants]
        node = onnx.helper.make_node(op, inputs, made, domain=domain, name=f"my_{op}_{len(self.nodes)}", **attributes)
        self.nodes.append(node)
        self.head = made[0]
        return self

    def conv(self, inputs, outputs, kernel, group=1, bias=True, **attributes):
        names = [self.normal(outputs, inputs // group, *kernel)] + ([self.normal(outputs)] if bias else [])
        return self.put("Conv", *names, group=group, **attributes)

    def gemm(self, inputs, outputs, bias=True):
        names = [self.normal(outputs, inputs, scale=inputs**-0.5)] + ([self.normal(outputs)] if bias else [])
        return self.put("Gemm", *names, transB=1)

    def model(self, outputs=None):
        outputs = outputs or [self.head]
        graph = onnx.helper.make_graph(
            self.nodes,
            "net",
            [onnx.helper.make_tensor_value_info("x", FLOAT, self.shape)],
            [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
            self.tensors,
        )
        versions = [onnx.helper.make_opsetid("", self.opset), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
        return onnx.helper.make_model(graph, opset_imports=versions, ir_version=9)

    def save(self, path):
        path.write_bytes(self.model().SerializeToString())
        return path


def answers(content, inputs, names=None):
    """What onnxruntime answers, in its own order or by the names of outputs; `content` a file or its bytes."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = content if isinstance(content, bytes) else content.read_bytes()
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(names, {session.get_inputs()[0].name: inputs})
