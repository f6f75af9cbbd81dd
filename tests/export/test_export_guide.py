"""The program of the guide draws, with nothing but numpy and onnxruntime."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np

import ganlet
from ganlet.export import to_onnx

PAGE = (Path(__file__).parents[2] / "docs/guide/shipping.md").read_text(encoding="utf-8")
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_program_of_the_guide_draws(tiny_config, tmp_path, monkeypatch, no_report):
    config = tiny_config({"generator.latent_size": 64, "train.total_images": 32})
    run = ganlet.train(config, tmp_path / "run", device="cpu")
    to_onnx(run.path)
    monkeypatch.chdir(run.path)
    names: dict[str, np.ndarray] = {}
    exec(PROGRAM, names)
    assert (names["pixels"].shape, names["pixels"].dtype) == ((16, 16, 16, 3), np.uint8)
    wanted = run.sample(latents=names["latents"])
    assert np.abs(names["pixels"].astype(int) - wanted).max() <= 1


def test_it_is_short_and_needs_neither_torch_nor_ganlet():
    assert len(PROGRAM.strip().splitlines()) == 6
    imported = [node for node in ast.walk(ast.parse(PROGRAM)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {name.name for node in imported for name in node.names} == {"numpy", "onnxruntime"}
