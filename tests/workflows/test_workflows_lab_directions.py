from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from ganlet.errors import ConfigError
from ganlet.latent.spread import Spread
from ganlet.latent.supervised import from_groups
from ganlet.workflows.lab import directions as finding
from ganlet.workflows.lab import edits
from ganlet.workflows.lab.arithmetic import arithmetic
from ganlet.workflows.lab.directions import find_directions, strips
from ganlet.workflows.lab.edits import edit
from ganlet.workflows.lab.known_directions import keep, load, load_all
from ganlet.workflows.lab.lab import Lab


class AxisJudge:
    """Whether pictures show more of what the first two numbers of a latent add to a picture, than half of all do."""

    attributes: ClassVar = {"light": ("dark", "bright"), "red": ("above", "below")}

    def __init__(self, space):
        points = space.sample(500, 77)
        self.added = []
        for axis in torch.eye(space.shape[-1])[:2]:
            ahead, behind = (space.pictures(points.moved(sign * axis)).astype(float) for sign in (1, -1))
            self.added.append((ahead - behind).mean(axis=0).ravel())
        self.limits = np.median(self._shown(space.pictures(points)), axis=0)

    def _shown(self, pictures):
        return pictures.reshape(len(pictures), -1) @ np.stack(self.added, axis=1)

    def __call__(self, pictures):
        return (self._shown(pictures) > self.limits).astype(np.int64)


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(Lab, "features", lambda lab, images: images.flatten(1))
    monkeypatch.setattr(finding, "NUM_JUDGED", 600)
    monkeypatch.setattr(finding, "NUM_USUAL", 8)
    monkeypatch.setattr(finding, "NUM_MEASURED", 60)
    monkeypatch.setattr(finding, "NUM_TUNED", 40)
    monkeypatch.setattr("ganlet.workflows.lab.arithmetic.NUM_JUDGED", 600)
    monkeypatch.setattr("ganlet.latent.unsupervised.NUM_COMPONENT_POINTS", 100)


@pytest.fixture
def run(straight, tmp_path):
    """A copy of a tiny run, to be written into."""
    return shutil.copytree(straight.path, tmp_path / "run")


@pytest.fixture
def lab(run):
    lab = Lab.open(run, device="cpu")
    lab.__dict__["judge"] = None
    return lab


@pytest.fixture
def judged_lab(lab):
    lab.__dict__["judge"] = AxisJudge(lab.space)
    return lab


def test_without_labels_and_judge_there_are_factors_and_components(lab, run):
    before = (run / "generator.safetensors").read_bytes(), (run / "metrics.jsonl").read_bytes()
    found = find_directions(lab, num=2)
    assert {one.direction.found for one in found} == {"factorisation", "components"}
    assert [one.quality for one in found] == sorted((one.quality for one in found), reverse=True)
    assert before == ((run / "generator.safetensors").read_bytes(), (run / "metrics.jsonl").read_bytes())
    again = list(lab.directions.values())
    assert [one.name for one in again] == [one.name for one in found]
    for one, other in zip(found, again, strict=True):
        assert torch.equal(one.direction.vector, other.direction.vector)
        assert torch.equal(one.direction.reading, other.direction.reading)
        assert one.moved == other.moved


def test_what_a_judge_sees_has_directions_with_measured_effects(judged_lab):
    found = {one.name: one for one in find_directions(judged_lab, ["verdicts"])}
    assert set(found) == {"dark", "bright", "above", "below"}
    assert found["bright"].turned.turned.value > 0.6
    assert set(found["bright"].turned.kept) == {"red"}
    facts = json.loads((judged_lab.path / "directions" / "bright.json").read_text())
    assert facts["weights"] == judged_lab.weights
    assert facts["turned"]["turned"]["count"] == found["bright"].turned.turned.count
    kept = load(judged_lab, "bright")
    assert kept.turned == found["bright"].turned
    assert torch.equal(kept.direction.place.centre, found["bright"].direction.place.centre)
    drawing = strips(judged_lab, list(found.values()))
    assert len(drawing) == 4 * finding.NUM_COLUMNS
    for one, verdicts in zip(found.values(), judged_lab.judge(drawing.pictures[:: finding.NUM_COLUMNS]), strict=True):
        column = ["light", "red"].index(one.direction.attribute)
        assert AxisJudge.attributes[one.direction.attribute][verdicts[column]] != one.direction.value


def test_the_same_directions_are_found_again(judged_lab):
    first, again = (find_directions(judged_lab, ["verdicts", "components"], num=2) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.direction.vector, other.direction.vector)
        assert (one.name, one.moved, one.turned) == (other.name, other.moved, other.turned)


def test_rows_begin_with_the_picture_itself_and_end_at_the_level(judged_lab):
    find_directions(judged_lab, ["verdicts"])
    drawing = edit(judged_lab, [3, "4#2"], ["bright"], steps=3)
    originals = judged_lab.space.pictures(judged_lab.points(3, "4#2"))
    np.testing.assert_array_equal(drawing.pictures[::3], originals)
    by_strength = judged_lab.edit(3, along=["bright=2.0", "above=-1"], steps=1)
    known, other = load(judged_lab, "bright"), load(judged_lab, "above")
    expected = judged_lab.points(3).values + 2 * known.direction.vector - other.direction.vector
    torch.testing.assert_close(by_strength.points.values, expected)


def test_without_options_pictures_follow_the_best_direction(lab):
    drawing = edit(lab)
    assert len(drawing) == edits.NUM_PICTURES * edits.NUM_STEPS
    middle = edits.NUM_STEPS // 2
    np.testing.assert_array_equal(
        drawing.pictures[middle :: edits.NUM_STEPS], lab.space.pictures(lab.sample(64, 0))[: edits.NUM_PICTURES]
    )


def test_directions_of_other_weights_are_refused(lab, start):
    find_directions(lab, ["factorisation"], num=1)
    other = Lab.open(start("other", {"seed": 5}).path, device="cpu")
    shutil.copytree(lab.path, other.path)
    with pytest.raises(ConfigError, match=r"other weights[\s\S]*factor 1[\s\S]*next:.*directions"):
        edit(other, [0], ["factor 1"])
    assert load_all(other) == []


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("factr 1", r"No direction is known[\s\S]*did you mean factor 1\?"),
        ("factor 1=much", "This strength is no number"),
        ("factor 1=nan", "This strength is no number"),
        ("damaged", r"cannot be read[\s\S]*next:"),
    ],
)
def test_names_and_strengths_that_mean_nothing_are_refused(lab, named, words):
    find_directions(lab, ["factorisation"], num=1)
    (lab.path / "directions" / "damaged.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=words):
        edit(lab, [0], [named])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("labels", r"draws without labels[\s\S]*next:"),
        ("verdicts", r"Nobody can say[\s\S]*kind[\s\S]*next:"),
        ("magic", r"not found in this way[\s\S]*verdicts, labels"),
    ],
)
def test_kinds_that_a_run_does_not_allow_are_refused(lab, kind, words):
    with pytest.raises(ConfigError, match=words):
        find_directions(lab, [kind])


def test_names_of_any_letters_are_kept_and_found(lab):
    (known,) = find_directions(lab, ["factorisation"], num=1)
    names = ["a/b, c: ../d", "7", "b.png", "class of " + 70 * "x" + "1", "class of " + 70 * "x" + "2", "lächeln", "-"]
    for name in names:
        path = keep(lab, replace(known, direction=replace(known.direction, name=name)))
        assert path.parent == lab.path / "directions"
    assert [load(lab, name).name for name in names] == names
    assert set(lab.directions) == {*names, "factor 1"}
    assert load(lab, path.stem).name == "-"


@pytest.mark.parametrize("kind", ["dcgan", "style"])
def test_runs_with_labels_have_directions_of_them(start, kind):
    changes = {"data.labels": "attributes", "generator.kind": kind}
    lab = Lab.open(start("labelled", changes).path, device="cpu")
    lab.__dict__["judge"] = None
    found = {one.name: one for one in find_directions(lab, ["labels"])}
    assert "label glasses" in found
    drawing = edit(lab, [0, 1], ["label glasses"], steps=2)
    assert load(lab, "label glasses").direction.is_whole
    assert (drawing.pictures[1::2] != drawing.pictures[::2]).any()
    if kind == "dcgan":
        names = list(lab.trained.config.data.label_names)
        before, after = drawing.points.labels[::2], drawing.points.labels[1::2]
        assert after[:, names.index("glasses")].tolist() == [1.0, 1.0]
        assert after[:, names.index("hat")].tolist() == [0.0, 0.0]
        faces = [number for number, name in enumerate(names) if name.startswith("face")]
        assert torch.equal(after[:, faces], before[:, faces])


def test_arithmetic_adds_up_labels_and_so_do_directions_that_are_kept(start):
    lab = Lab.open(start("labelled", {"data.labels": "attributes", "generator.kind": "dcgan"}).path, device="cpu")
    lab.__dict__["judge"] = None
    names = list(lab.trained.config.data.label_names)
    plus, minus, face = (lab.space.sample(3, 4, lab.labels_named([name], 3)) for name in ("glasses", "hat", "laughing"))
    said = []
    lab.reporter = SimpleNamespace(say=said.append, progress=lambda *_: None)
    shown = arithmetic(lab, [plus[[n]] for n in range(3)], [minus[[n]] for n in range(3)], [face[:1]], strength=1.0)
    assert said == []
    arithmetic(lab, [plus[[n]] for n in range(2)], [minus[[n]] for n in range(3)], [face[:1]])
    assert "three each" in said[0]
    expected = torch.tensor([float(name in ("glasses", "laughing")) - (name == "hat") for name in names])
    assert torch.equal(shown.drawing.points.labels[-1], expected)
    (known,) = find_directions(lab, ["factorisation"], num=1)
    direction = from_groups(Spread.of(lab.space), plus, minus, "glasses for hats")
    keep(lab, replace(known, direction=direction))
    assert torch.equal(load(lab, "glasses for hats").direction.labels, direction.labels)


def test_classes_that_say_several_things_have_directions_of_each(start):
    lab = Lab.open(start("classes", {"data.labels": "classes", "data.num_images": 1_500}).path, device="cpu")
    lab.__dict__["judge"] = object()
    found = {one.name: one for one in finding._by_labels(lab, Spread.of(lab.space), True)}
    names = list(lab.trained.config.data.label_names)
    change = found["label glasses"].change
    shown = {lab.pack.label_names[label] for label in lab.pack.labels}  # some classes have no pictures
    for number, other in enumerate(change.becomes.tolist()):
        wanted = names[number].rsplit(", ", 1)[0] + ", glasses"
        assert names[other] == (wanted if {wanted, names[number]} <= shown else names[number])
    assert len(shown) < len(names)
    assert found["label glasses"].attribute == "accessory"


def test_arithmetic_brings_what_the_groups_share(judged_lab):
    find_directions(judged_lab, ["verdicts"])
    shown = arithmetic(judged_lab)
    assert shown.meant in {(name, value) for name, values in AxisJudge.attributes.items() for value in values}
    assert len(shown.drawing) == 3 + 3 + 6 + 6
    points = judged_lab.sample(400, 5)
    verdicts = judged_lab.judge(judged_lab.space.pictures(points))
    bright, dark = (np.flatnonzero(verdicts[:, 0] == value) for value in (1, 0))
    plus, minus = ([points[[row]] for row in rows[:3]] for rows in (bright, dark))
    result = arithmetic(judged_lab, plus, minus, [points[[row]] for row in dark[3:9]])
    if result.meant is not None:
        assert result.meant == ("light", "bright")
        assert result.brings.float().mean() > 0.6
    literal = arithmetic(judged_lab, plus, minus, [points[[dark[9]]]], strength=1.0, keep_others=False)
    values = points.values
    expected = values[dark[9]] + values[bright[:3]].mean(0) - values[dark[:3]].mean(0)
    torch.testing.assert_close(literal.drawing.points.values[-1], expected)


def test_arithmetic_without_a_judge_says_nothing_about_what_it_means(lab):
    result = arithmetic(lab)
    assert (result.meant, result.brings) == (None, None)
    values = lab.sample(12, 0).values
    expected = values[6:] + 1.5 * (values[:3].mean(0) - values[3:6].mean(0))
    torch.testing.assert_close(result.drawing.points.values[-6:], expected)


@pytest.mark.parametrize(
    ("plus", "minus", "words"),
    [([1], [], r"empty[\s\S]*minus"), ([], [1], r"empty[\s\S]*plus"), ([1], [1], "no difference")],
)
def test_arithmetic_needs_two_groups_that_differ(lab, plus, minus, words):
    with pytest.raises(ConfigError, match=words):
        arithmetic(lab, plus, minus, [2])


def test_each_verb_is_useful_without_options_and_one_line_wrong_with_bad_ones(run, cli):
    for verb in ("directions", "edit", "arithmetic"):
        code, out, err = cli("explore", run, verb)
        assert code == 0, err
        assert f"{verb}.png" in out
        assert (run / "lab" / f"{verb}.png").is_file()
    code, out, _ = cli("explore", run, "directions", "--list")
    assert code == 0
    assert "factor 1" in out
    assert "path length" in out
    for bad in (["edit", "--along", "smlie"], ["directions", "--kind", "labels"], ["arithmetic", "--plus", "1"]):
        code, _, err = cli("explore", run, *bad)
        assert code == 2
        assert "Traceback" not in err
