"""The page computes what PyTorch and ONNX Runtime compute: every operator, and every kind of generator."""

from __future__ import annotations

import base64
import shutil
import subprocess

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.every_kind import LATENT_SIZE, NUM_LABELS, trained_generator
from export.in_node import HOME, node, run_node
from ganlet.errors import ConfigError
from ganlet.export.parity import answer, open_session
from ganlet.export.web.graph import OPERATORS, program_of
from ganlet.export.web.networks import graphs
from ganlet.export.web.packing import Bytes, packed, rounded
from ganlet.networks.settings import GENERATORS

RANDOM = np.random.default_rng(3)
MAPS = (1, 4, 3, 5)
RUN = """
return data.map(({ programs, bytes, inputs }) => [kernel, null].map((own) => {
  const numbers = new Uint8Array(Buffer.from(bytes, "base64"));
  let given = inputs, made = null;
  for (const program of programs) {
    const net = Runtime.load(program, numbers, own);
    net.run(given); // what is left of the last picture must not show in the next one
    made = Array.from(net.run(given));
    given = { styles: Array(program.repeated || 1).fill(made).flat() };
  }
  return made;
}));
"""


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# Of each operator: the shapes of what it is given, its constants, and its attributes.
CASES: dict[str, list[tuple[list[tuple[int, ...]], list[np.ndarray | None], dict[str, object]]]] = {
    "Add": [([MAPS, (1, 4, 1, 1)], [], {}), ([(1, 5), (1, 4, 3, 5)], [], {}), ([MAPS], [numbers(1)], {})],
    "BatchNormalization": [([MAPS], [numbers(4), numbers(4), numbers(4), abs(numbers(4))], {"epsilon": 1e-3})],
    "Cast": [([MAPS], [], {"to": TensorProto.FLOAT})],
    "Concat": [([MAPS, (1, 2, 3, 5)], [], {"axis": 1}), ([MAPS, MAPS], [], {"axis": -1})],
    "Conv": [
        ([MAPS], [numbers(6, 4, 3, 3), numbers(6)], {"pads": [1, 1, 1, 1]}),
        ([MAPS], [numbers(5, 4, 1, 1)], {}),
        ([(1, 3, 8, 8)], [numbers(8, 3, 4, 3)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ],
    "ConvTranspose": [
        ([MAPS], [numbers(4, 3, 4, 4), numbers(3)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ([MAPS], [numbers(4, 5, 3, 2)], {"strides": [1, 3]}),
    ],
    "DepthToSpace": [([(1, 8, 3, 2)], [], {"blocksize": 2, "mode": mode}) for mode in ("CRD", "DCR")],
    "Div": [([MAPS, MAPS], [], {})],
    "Dropout": [([MAPS], [], {})],
    "Exp": [([MAPS], [], {})],
    "Expand": [([(1, 4, 1, 5)], [whole(1, 4, 3, 5)], {}), ([(4, 1)], [whole(2, 4, 3)], {})],
    "Flatten": [([MAPS], [], {"axis": 1})],
    "Gather": [([(1, 3, 5)], [whole(2).reshape(())], {"axis": 1}), ([(1, 3, 5)], [whole(-1)], {"axis": 2})],
    "Gemm": [
        ([(1, 7)], [numbers(9, 7), numbers(9)], {"transB": 1}),
        ([(3, 7)], [numbers(7, 5), numbers(1, 5)], {"alpha": 0.5, "beta": 2.0}),
    ],
    "Identity": [([MAPS], [], {})],
    "InstanceNormalization": [([MAPS], [numbers(4), numbers(4)], {"epsilon": 1e-3})],
    "LeakyRelu": [([MAPS], [], {"alpha": 0.2}), ([MAPS], [], {})],
    "MatMul": [
        ([(1, 7)], [numbers(7, 3)], {}),
        ([(1, 5, 6), (1, 6, 9)], [], {}),
        ([(2, 3, 4), (2, 4, 8)], [], {}),
        ([(2, 3, 4)], [numbers(4, 8)], {}),
    ],
    "Mul": [([MAPS, (1, 1, 3, 5)], [], {}), ([MAPS, (4, 1, 1)], [], {})],
    "Neg": [([MAPS], [], {})],
    "Pow": [([MAPS], [np.float32(2.0).reshape(())], {}), ([MAPS], [np.float32(3.0).reshape(1)], {})],
    "Reciprocal": [([MAPS], [], {})],
    "ReduceMean": [([MAPS], [whole(1)], {"keepdims": 1}), ([MAPS], [whole(2, 3)], {"keepdims": 0})],
    "ReduceSum": [([MAPS], [whole(-1)], {"keepdims": 1}), ([MAPS], [whole(0, 2)], {"keepdims": 0})],
    "Relu": [([MAPS], [], {})],
    "Reshape": [([MAPS], [whole(1, 5, 12)], {})],
    "Resize": [
        (
            [MAPS],
            [None, np.array([1, 1, 2, 3], np.float32)],
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        )
    ],
    "Sigmoid": [([MAPS], [], {})],
    "Slice": [
        ([MAPS], [whole(0, 1), whole(2, 4), whole(2, 3)], {}),
        ([MAPS], [whole(-3), whole(9), whole(3), whole(2)], {}),
    ],
    "Softmax": [([(1, 4, 6)], [], {"axis": -1})],
    "Split": [([(1, 7)], [whole(3, 4)], {"axis": 1})],
    "Sqrt": [([MAPS], [], {})],
    "Squeeze": [([(1, 4, 1, 5)], [whole(2)], {})],
    "Sub": [([MAPS, (1, 4, 1, 5)], [], {})],
    "Tanh": [([MAPS], [], {})],
    "Transpose": [([MAPS], [], {"perm": [0, 2, 3, 1]}), ([(2, 3, 4)], [], {})],
    "Unsqueeze": [([(1, 4)], [whole(2, 3)], {})],
    "Where": [],  # in a graph of its own, for what is asked is no number
}
POSITIVE = ("Sqrt", "Reciprocal", "Div")
SINGLE = [(name, number) for name, cases in CASES.items() for number in range(len(cases))]
KINDS = {
    "mlp": {"norm": "batch", "condition": "norm"},
    "dcgan": {"upsample": "pixel_shuffle", "skip_latent": True},
    "resnet": {"attention": 6, "spectral": True},
    "style": {"mapping_layers": 1, "noise": False},
}


def graph_of(name, shapes, constants, attributes) -> onnx.ModelProto:
    inputs = [f"x{number}" for number in range(len(shapes))]
    given = [f"c{number}" if one is not None else "" for number, one in enumerate(constants)]
    outputs = ["y", "z"] if name == "Split" else ["y"]
    node_ = helper.make_node(name, [*inputs, *given], outputs, **attributes)
    graph = helper.make_graph(
        [node_, helper.make_node("Identity", [outputs[-1]], ["out"])],
        name,
        [
            helper.make_tensor_value_info(one, TensorProto.FLOAT, shape)
            for one, shape in zip(inputs, shapes, strict=True)
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(one, f"c{number}") for number, one in enumerate(constants) if one is not None],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def job(models: list[onnx.ModelProto], inputs, precision="fp32"):
    into = Bytes()
    programs = [packed(program_of(model), precision, into) for model in models]
    data = {name: values.ravel().tolist() for name, values in inputs.items()}
    return {"programs": programs, "inputs": data, "bytes": base64.b64encode(into.joined()).decode()}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """For each case what it should give, and what it gave with WebAssembly and without: one process for all."""
    if node() is None:
        pytest.skip("there is no Node.js")
    wanted, jobs = {}, []
    for name, number in SINGLE:
        shapes, constants, attributes = CASES[name][number]
        model = graph_of(name, shapes, constants, attributes)
        inputs = {f"x{n}": numbers(*shape) for n, shape in enumerate(shapes)}
        if name in POSITIVE:
            inputs = {key: abs(values) + 0.1 for key, values in inputs.items()}
        wanted[name, number] = answer(open_session(model.SerializeToString()), inputs)
        jobs.append(job([model], inputs))
    found = run_node(RUN, jobs, tmp_path_factory.mktemp("node"))
    return {key: (want, got) for (key, want), got in zip(wanted.items(), found, strict=True)}


def test_every_operator_has_a_case_and_every_generator_too():
    assert CASES.keys() == OPERATORS.keys()
    assert KINDS.keys() == GENERATORS.keys()


@pytest.mark.parametrize("own", [0, 1], ids=["wasm", "plain"])
@pytest.mark.parametrize("case", SINGLE, ids=lambda case: f"{case[0]}-{case[1]}")
def test_operators_compute_what_onnxruntime_computes(answers, case, own):
    wanted, found = answers[case]
    np.testing.assert_allclose(found[own], wanted.ravel(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["dcgan", *(pytest.param(one, marks=pytest.mark.slow) for one in KINDS if one != "dcgan")]
)
def test_generators_of_every_kind_draw_what_pytorch_draws(kind, tmp_path):
    if node() is None:
        pytest.skip("there is no Node.js")
    generator = trained_generator(kind, NUM_LABELS, **KINDS[kind])
    latents = torch.randn(1, LATENT_SIZE, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([[0.0, 0.3, 0.7]])
    with torch.no_grad():
        for weights in (one for one in generator.parameters() if one.dim() > 1):
            weights -= weights.mean()  # else every pixel would be white
        wanted = generator(latents, labels).numpy()
    models = list(graphs(generator, NUM_LABELS).values())
    asked = job(models, {"latents": latents.numpy(), "labels": labels.numpy()})
    if kind == "style":
        asked["programs"][0]["repeated"] = generator.num_levels
    assert wanted.std() > 0.05
    ((own, plain),) = run_node(RUN, [asked], tmp_path)
    np.testing.assert_allclose(own, wanted.ravel(), atol=2e-6)
    np.testing.assert_allclose(plain, wanted.ravel(), atol=2e-6)


@pytest.mark.parametrize(
    ("name", "attributes", "constants"),
    [
        ("Sin", {}, []),
        ("Softmax", {"axis": 1}, []),
        ("Conv", {"group": 2}, [numbers(4, 2, 1, 1)]),
        ("Resize", {"mode": "linear"}, [None, np.array([1, 1, 2, 2], np.float32)]),
        ("Cast", {"to": TensorProto.INT64}, []),
    ],
)
def test_what_the_page_cannot_compute_is_one_message_that_names_it(name, attributes, constants):
    model = graph_of(name, [MAPS], constants, attributes)
    with pytest.raises(ConfigError, match=name) as caught:
        program_of(model)
    assert "--runtime ort" in str(caught.value)


@pytest.mark.parametrize(("precision", "most"), [("fp16", 2e-3), ("int10", 2e-3), ("int8", 5e-3)])
def test_weights_come_back_as_rounded_as_they_are_said_to_be(precision, most, tmp_path):
    if node() is None:
        pytest.skip("there is no Node.js")
    matrix, vector = numbers(40, 52), numbers(1, 52)
    model = graph_of("Gemm", [(1, 52)], [matrix], {"transB": 1})
    found = run_node(RUN, [job([model], {"x0": vector}, precision)], tmp_path)[0][0]
    expected = vector @ rounded(matrix, 0, precision).T
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-4, atol=1e-4)
    assert 0 < np.abs(rounded(matrix, 0, precision) - matrix).max() < most * np.abs(matrix).max()


def test_weights_that_are_no_numbers_are_one_message():
    model = graph_of("Gemm", [(1, 2)], [np.array([[1.0, np.nan]], np.float32)], {"transB": 1})
    with pytest.raises(ConfigError, match="no numbers"):
        packed(program_of(model), "fp16", Bytes())


def test_the_kernel_is_built_of_its_source(tmp_path):
    assembler = shutil.which("wat2wasm")
    if assembler is None:
        pytest.skip("wat2wasm is not installed")
    built = tmp_path / "kernel.wasm"
    subprocess.run([assembler, HOME / "kernel.wat", "-o", built], check=True)
    assert built.read_bytes() == (HOME / "kernel.wasm").read_bytes()
