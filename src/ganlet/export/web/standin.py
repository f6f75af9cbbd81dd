from __future__ import annotations

import logging
import warnings

import torch


def onnx_graph(module, inputs, *, batch=1, output="images"):
    args = tuple(torch.randn(batch, *s) for s in inputs.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            return torch.onnx.export(
                module.eval(), args, input_names=list(inputs), output_names=[output], verbose=False, dynamo=True
            ).model_proto
        finally:
            logging.disable(logging.NOTSET)
