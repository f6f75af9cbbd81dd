"""Networks as ONNX: one file that any runtime draws with, and that is compared with PyTorch before it is written."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from ganlet import paths
from ganlet.errors import ConfigError, EnvironmentProblem, nearest
from ganlet.export.drawer import Drawer, Judge
from ganlet.export.fitting import coarse_layers
from ganlet.export.metadata import MADE_BY, about_discriminator, about_generator, describe
from ganlet.export.opened import NETWORKS, Opened, cases, open_network, path_and_game, rounding
from ganlet.export.parity import Parity, images_parity, logits_parity, open_session
from ganlet.export.precision import PRECISIONS, Precision, reduce_weights
from ganlet.export.taken import require_replaceable
from ganlet.games import Game
from ganlet.runs.files import write_atomic
from ganlet.runs.hub import given_run, place_beside, stem_of
from ganlet.workflows.reporting import Reporter, Silent

if TYPE_CHECKING:
    import onnx

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20  # what the exporter writes without converting; onnxruntime has read it since 1.17
FOUR_BITS_OPSET = 21  # the first with 4-bit integers; onnxruntime has read it since 1.18
FITTED_SEED = 1_000_000  # other pictures than those of the last comparison
EXAMPLE_BATCH = 2  # a batch of 1 may be taken for a constant


@dataclass(frozen=True)
class OnnxFile:
    """A file that was written, how large it is, and how far it is from PyTorch."""

    path: Path
    num_bytes: int
    parity: Parity


def to_onnx(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    precision: str = "fp32",
    network: str = "generator",
    checkpoint: str | int | None = None,
    game: Game | type[Game] | None = None,
    reporter: Reporter | None = None,
) -> OnnxFile:
    """Write a network of a run as an ONNX file, once onnxruntime has given with it what PyTorch gives.

    Args:
        run: the run's folder, a generator.safetensors alone, or a `Run`.
        out: FILE.onnx; default: NETWORK.onnx, or NETWORK-PRECISION.onnx, in the run; beside a lone file it is
            called after that.
        precision: of the weights, fp32, fp16 or int8; what is computed with them is float32.
        network: generator, or discriminator.
        checkpoint: best, latest, or the images seen of one; default: generator.safetensors, and of the discriminator
            the latest.
        game: for runs whose networks are not described by their config.
        reporter: where progress is told; default: nowhere.

    Raises `ConfigError` and `RunError` for what is not there, `EnvironmentProblem` where a package is missing, or where
    the file does not give what PyTorch gives; then nothing is written.
    """
    require_one_of("--precision", precision, PRECISIONS)
    require_one_of("--network", network, NETWORKS)
    require_packages()
    run, game = path_and_game(run, game)
    source, reporter = given_run(run), reporter or Silent()
    target = _target(run, source, out, network, precision)
    opened = open_network(source, network, checkpoint, game)
    require_replaceable(target, MADE_BY.encode())
    reporter.say(f"tracing the {network}")
    model = _traced(opened, FOUR_BITS_OPSET if precision == "int8" else OPSET)
    compare = partial(images_parity if network == "generator" else logits_parity, precision=cast(Precision, precision))
    coarse: set[str] = set()
    if precision == "int8":
        reporter.say("finding the layers that can do with 8 bits")
        fitted = cache(partial(cases, opened, seed=FITTED_SEED))
        coarse = coarse_layers(model, lambda one: compare(open_session(one.SerializeToString()), cases=fitted))
    reduce_weights(model, cast(Precision, precision), coarse)
    data = _described(model, opened, precision)
    reporter.say("comparing the file with PyTorch")
    parity = compare(open_session(data), cases=partial(cases, opened))
    if precision == "fp32" and network == "generator" and not parity.holds:
        parity = replace(parity, rounding=rounding(opened, parity.batches))
    if not parity.holds:
        raise EnvironmentProblem(
            "The file does not give what PyTorch gives, so nothing was written.",
            got=str(parity),
            expected=parity.bound,
            hint="--precision fp16" if precision == "int8" else "--precision fp32" if precision == "fp16" else None,
        )
    write_atomic(target, data)
    return OnnxFile(target, len(data), parity)


def onnx_graph(
    module: nn.Module,
    inputs: Mapping[str, tuple[int, ...]],
    *,
    batch: int | None,
    output: str = "images",
    opset: int = OPSET,
) -> onnx.ModelProto:
    """A module as an ONNX graph with its weights inside, which names no place of this machine.

    Args:
        module: in evaluation mode on the CPU, with one output; see `drawer`.
        inputs: the shape of each input without the batch, in the order of its `forward`.
        batch: how many it works on at once; None: any number, an axis called "batch".
        output: how its output is called.
        opset: the version of ONNX's operators.

    Initialisers have the names of the state_dict, those of the module's one child without its name.
    """
    examples = tuple(torch.zeros(batch or EXAMPLE_BATCH, *shape) for shape in inputs.values())
    shapes = None
    if batch is None:
        # Of `Dim("batch")` an exporter that needs it fixed would fix it without a word; this fails.
        axis = {0: torch.export.Dim.DYNAMIC}
        shapes = tuple([dict(axis) for _ in inputs])
    with _quiet_exporter():
        program = torch.onnx.export(
            _Positional(module),
            examples,
            dynamic_shapes=None if shapes is None else (shapes,),
            input_names=list(inputs),
            output_names=[output],
            opset_version=opset,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _tidy(model, None if batch is not None else "batch")
    return model


class _Positional(nn.Module):
    """A module whose `forward` takes any number of inputs, of whatever names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.module(*inputs)


def _tidy(model: onnx.ModelProto, batch: str | None) -> None:
    """Take out what tells of the exporter and its machine, and give names that people understand."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    del model.functions[:]
    model.producer_name, model.producer_version = "", ""
    prefix = _common_prefix([tensor.name for tensor in graph.initializer])
    names = {tensor.name: tensor.name.removeprefix(prefix) for tensor in graph.initializer}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.node:
        for slot, name in enumerate(node.input):
            node.input[slot] = names.get(name, name)
    free = {axis.dim_param for value in graph.input for axis in value.type.tensor_type.shape.dim if axis.dim_param}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in free and batch is not None:
                axis.dim_param = batch


def _common_prefix(names: list[str]) -> str:
    """What the wrapper put before the names of the network's tensors: "module.generator." """
    for prefix in ("module.generator.", "module.discriminator.", "module."):
        if any(name.startswith(prefix) for name in names):
            return prefix
    return ""


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Within this context PyTorch's exporter does not speak of itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of packages that it could use and does not need
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        log.setLevel(level)


def require_packages() -> None:
    """Raise `EnvironmentProblem` unless what writes and reads ONNX is installed."""
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise EnvironmentProblem(
                "What is exported goes through ONNX, whose packages are not installed.",
                got=error,
                hint="pip install 'ganlet[export]'",
            ) from error


def require_one_of(option: str, name: object, known: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a name that is none of the known ones."""
    if name not in known:
        close = nearest(str(name), known)
        raise ConfigError(
            "There is no such choice.",
            where=option,
            got=paths.printable(name),
            expected=", ".join(known),
            hint=f"{option} {close}" if close else None,
        )


def _target(run: str, source: Path, out: str | os.PathLike[str] | None, network: str, precision: str) -> Path:
    """Where to write: by default NETWORK-PRECISION.onnx in the run, or beside a lone file and called after it."""
    if out is None:
        of_file = [stem_of(run, source)] if source.is_file() else []
        parts = [*of_file, *([] if of_file and network == "generator" else [network])]
        return place_beside(run) / f"{'-'.join([*parts, *([] if precision == 'fp32' else [precision])])}.onnx"
    return paths.file_to_write(out, "--out", [".onnx"], "An ONNX graph")


def _traced(opened: Opened, opset: int) -> onnx.ModelProto:
    """The graph of a network. Raises `ConfigError` where PyTorch cannot write it down, or only for one batch."""
    data = opened.config.data
    if opened.name == "generator":
        module: Any = Drawer(opened.network, data.num_labels)
    else:
        module = Judge(opened.network, (int(data.channels), *data.size), data.num_labels)
    output = "images" if opened.name == "generator" else "logits"
    try:
        model = onnx_graph(module, module.inputs, batch=None, output=output, opset=opset)
    except torch.onnx.OnnxExporterError as error:
        got = str(error.__cause__ or error).strip().splitlines()[0]
        raise ConfigError(f"PyTorch cannot write this {opened.name} as ONNX.", got=got) from error
    axes = [axis.dim_param for axis in model.graph.output[0].type.tensor_type.shape.dim]
    if not axes or axes[0] != "batch":
        raise ConfigError(
            f"This {opened.name} works for one size of the batch only, so it cannot be exported.",
            got=f"an output of shape {tuple(axis or '?' for axis in axes)}",
            expected="the batch taken from the shape of an input, as in latents.shape[0], not from len(latents)",
        )
    return model


def _described(model: onnx.ModelProto, opened: Opened, precision: str) -> bytes:
    import onnx

    if opened.name == "generator":
        about = about_generator(opened.network, opened.config)
    else:
        about = about_discriminator(opened.network, opened.config, opened.looks_at_batch)
    describe(model, opened.config, opened.maker, precision, about)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
