"""What a program may hand over in place of what is asked for: it is taken, or told about."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

import ganlet
from ganlet.errors import ConfigError, GanletError
from ganlet.images import save_png

CLASSES = ("b", "caf\u00e9", "cat")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for shade, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for number in range(16):
            save_png(folder / name / f"{number}.png", np.full((16, 16, 3), 60 * shade + number, np.uint8))
    return folder


@pytest.fixture(scope="module")
def labelled(pictures, tmp_path_factory, tiny_config):
    """A run by classes, one of which has a name of one letter."""
    changes = {"data.source": str(pictures), "data.labels": "classes", "data.num_images": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganlet.workflows.training.redraw", lambda *_: None)
        return ganlet.train(tiny_config(changes), tmp_path_factory.mktemp("runs") / "run", device="cpu")


class Way(PurePosixPath):
    """A path of somebody else's."""


WRONG = {
    "labels_of_a_number": (lambda run: run.sample(2, labels=[0]), "labels", "a list of names"),
    "labels_of_bytes": (lambda run: run.sample(2, labels=b"cat"), "labels", "a list of names"),
    "labels_by_number": (lambda run: run.sample(2, labels={"cat": 2}), "labels", "a list of names"),
    "labels_as_number": (lambda run: run.sample(2, labels=0), "labels", "a list of names"),
    "num_as_text": (lambda run: run.sample("3"), "num", "a whole number"),
    "num_as_half": (lambda run: run.sample(1.5), "num", "a whole number"),
    "num_as_truth": (lambda run: run.sample(True), "num", "a whole number"),
    "seed_as_half": (lambda run: run.sample(1, seed=1.5), "seed", "a whole number"),
    "seed_as_nothing": (lambda run: run.sample(1, seed=None), "seed", "a whole number"),
    "truncation_as_text": (lambda run: run.sample(1, truncation="0.7"), "truncation", "a number"),
    "latents_as_text": (lambda run: run.sample(1, latents="zero"), "latents", None),
    "checkpoint_as_half": (lambda run: run.sample(1, checkpoint=64.5), "checkpoint", "best, latest"),
    "checkpoint_as_truth": (lambda run: run.sample(1, checkpoint=True), "checkpoint", "best, latest"),
    "checkpoint_as_list": (lambda run: run.load([64]), "checkpoint", "best, latest"),
    "metrics_of_numbers": (lambda run: run.evaluate(2, metrics=[1]), "metrics", "a list of names"),
    "num_to_measure": (lambda run: run.evaluate("64"), "num", "a whole number"),
    "seed_to_measure": (lambda run: run.evaluate(64, seed="0"), "seed", "a whole number"),
    "path_as_number": (lambda run: ganlet.sample(3), None, "pathlib.Path"),
    "path_as_nothing": (lambda run: ganlet.open_run(None), None, "pathlib.Path"),
    "load_as_number": (lambda run: ganlet.load(3.5), None, "pathlib.Path"),
    "runs_as_number": (lambda run: ganlet.compare(3), "runs", "a list of folders"),
    "runs_of_numbers": (lambda run: ganlet.compare([3]), "runs", "a list of folders"),
    "no_runs": (lambda run: ganlet.compare([]), "runs", "folders"),
    "preset_as_config": (lambda run: ganlet.train("quick"), "config", "a config"),
    "settings_as_config": (lambda run: ganlet.train({"seed": 1}), "config", "a config"),
    "no_config": (lambda run: ganlet.train(None), "config", "a config"),
    "run_as_config": (lambda run: ganlet.train(run), "config", "a config"),
    "out_as_number": (lambda run: ganlet.train(run.config, 3), "out", "pathlib.Path"),
    "one_callback": (lambda run: ganlet.train(run.config, "new", callbacks=print), "callbacks", "a list of functions"),
    "words_as_callbacks": (lambda run: ganlet.train(run.config, "new", callbacks=["p"]), "callbacks", "functions"),
    "overrides_as_list": (lambda run: ganlet.make_config(overrides=["seed=1"]), "overrides", "settings by path"),
    "overrides_by_number": (lambda run: ganlet.make_config(overrides={1: 2}), "overrides", "settings by path"),
    "resume_as_list": (lambda run: ganlet.resume(run.path, ["seed=1"]), "overrides", "settings by path"),
    "preset_as_number": (lambda run: ganlet.make_config(3), "preset", "quick"),
    "preset_as_path": (lambda run: ganlet.make_config(Path("quick")), "preset", "quick"),
    "source_as_number": (lambda run: ganlet.make_config(source=3), None, "pathlib.Path"),
    "size_as_text": (lambda run: ganlet.data.open_images("smileys", "big"), "size", None),
    "setting_unknown": (lambda run: ganlet.data.open_images("smileys", 16, crops="pad"), "crops", None),
}


@pytest.mark.parametrize(("call", "where", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_type_says_what_is_expected(labelled, tmp_path, monkeypatch, call, where, expected):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GanletError) as caught:
        call(labelled)
    assert isinstance(caught.value, ConfigError)
    assert "--" not in caught.value.message, "options are for the command line"
    if where is not None:
        assert f"where:    {where}" in caught.value.message
    if expected is not None:
        assert expected in str(caught.value.expected)
    assert list(tmp_path.iterdir()) == []


def test_the_way_from_a_preset_to_training_is_told():
    with pytest.raises(ConfigError) as caught:
        ganlet.train("quick")
    assert caught.value.hint == "ganlet.train(ganlet.make_config('quick'))"


@pytest.mark.parametrize("name", CLASSES)
def test_a_text_is_one_name_and_never_its_letters(labelled, name):
    one, listed = labelled.sample(4, labels=name), labelled.sample(4, labels=[name])
    assert np.array_equal(one, listed)
    assert np.array_equal(labelled.sample(4, labels=iter([name])), listed)
    with pytest.raises(ConfigError, match="no such label"):
        labelled.sample(4, labels="bb")
    with pytest.raises(ConfigError, match="no such metric"):
        labelled.evaluate(2, metrics="k")


def test_a_label_is_the_same_in_each_unicode_form(labelled, cli):
    assert np.array_equal(labelled.sample(4, labels="cafe\u0301"), labelled.sample(4, labels="caf\u00e9"))
    assert cli("sample", labelled.path, "--num", 2, "--label", "cafe\u0301")[0] == 0


def test_label_names_of_a_config_are_the_same_in_each_form(pictures, tmp_path, tiny_config):
    names = ["cat", "cafe\u0301", "b"]
    changes = {"data.source": pictures, "data.labels": "classes", "data.num_images": None, "data.label_names": names}
    run = ganlet.train(tiny_config(changes), tmp_path / "run", device="cpu")
    assert run.config.data.label_names == ("cat", "caf\u00e9", "b")  # in that order, and as the folders spell them


def test_a_newline_in_a_name_does_not_break_a_list(tmp_path, tiny_config, cli):
    for shade, name in enumerate(("one\ntwo", "three")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(16):
            save_png(tmp_path / "set" / name / f"{number}.png", np.full((16, 16, 3), 90 * shade + number, np.uint8))
    changes = {"data.source": tmp_path / "set", "data.labels": "classes", "data.num_images": None}
    run = ganlet.train(tiny_config(changes), tmp_path / "run", device="cpu")
    code, _, err = cli("sample", run.path, "--label", "four")
    assert code == 2
    assert r"expected: one\ntwo, three" in err
    assert run.sample(2, labels="one\ntwo").shape == (2, 16, 16, 3)


SLOW = pytest.mark.slow


@pytest.mark.parametrize("kind", [Path, pytest.param(str, marks=SLOW), pytest.param(Way, marks=SLOW)])
def test_a_path_of_any_kind_is_taken_wherever_one_is(labelled, pictures, tmp_path, tiny_config, kind):
    small = {"data.labels": "none", "data.num_images": None, "train.total_images": 16}
    config = tiny_config({**small, "data.source": kind(pictures)})
    assert ganlet.make_config(source=kind(pictures)).data.source == str(pictures)
    run = ganlet.train(config, kind(tmp_path / "new"), device="cpu")
    assert ganlet.resume(kind(run.path), {"data.source": kind(pictures)}, device="cpu").path == run.path
    assert ganlet.open_run(kind(run.path)).path == run.path
    assert ganlet.sample(kind(run.path), 1).shape == ganlet.sample(kind(run.folder.generator_path), 1).shape
    assert ganlet.load(kind(run.folder.generator_path)) is not None
    assert ganlet.diagnose(kind(run.path)).headline
    assert len(ganlet.data.open_images(kind(pictures), 16)) == 48
    other = {**small, "data.source": str(pictures), "train.init_from": kind(labelled.path)}
    assert ganlet.train(tiny_config(other), kind(tmp_path / "other"), device="cpu").config.train.init_from
    (tmp_path / "file.yaml").write_text("seed: 3\n")
    assert ganlet.make_config(file=kind(tmp_path / "file.yaml")).seed == 3
    for one in (run, labelled):
        one.evaluate(2, extractor="pixels", metrics="kernel", source=kind(pictures))
    assert ganlet.compare([kind(run.path), kind(labelled.path)], show_anyway=True).groups
    assert ganlet.compare(kind(run.path)).groups


def test_a_home_is_one_wherever_a_path_is(labelled, pictures, tmp_path, monkeypatch, tiny_config):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pics").symlink_to(pictures)
    changes = {"data.source": "~/pics", "data.num_images": None, "train.total_images": 16}
    run = ganlet.train(tiny_config(changes), "~/runs/a", device="cpu")
    assert run.path == tmp_path / "runs" / "a"
    assert run.config.data.source == str(tmp_path / "pics")
    ganlet.train(tiny_config({**changes, "train.init_from": "~/runs/a"}), Path("~/runs/b"), dataset="~/pics")
    assert ganlet.open_run("~/runs/b").config.train.init_from == str(tmp_path / "runs" / "a")
    monkeypatch.setenv("GANLET_CACHE", "~/cache")
    assert len(ganlet.data.open_images("~/pics", 16)) == 48
    assert (tmp_path / "cache" / "packs").is_dir()
    assert not (tmp_path / "~").exists()
    for call in (
        lambda: ganlet.train(tiny_config(changes), "~nosuchuser/a"),
        lambda: ganlet.train(tiny_config({"data.source": "~nosuchuser/a"}), "c"),
        lambda: ganlet.train(tiny_config({"train.init_from": "~nosuchuser/a"}), "c"),
        lambda: ganlet.train(tiny_config(), "c", dataset="~nosuchuser/a"),
        lambda: ganlet.data.open_images("~nosuchuser/a"),
        lambda: run.evaluate(2, source="~nosuchuser/a"),
        lambda: run.evaluate(2, extractor="~nosuchuser/a.safetensors"),
        lambda: ganlet.sample("~nosuchuser/a"),
    ):
        with pytest.raises(ConfigError, match="no user is called nosuchuser"):
            call()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("hand_over", [str, Path, lambda path: {"real": path}])
def test_a_path_as_data_set_is_the_source_and_nothing_handed_in(pictures, tmp_path, tiny_config, cli, told, hand_over):
    config = tiny_config({"data.num_images": None, "train.total_images": 32})
    run = ganlet.train(config, tmp_path / "run", dataset=hand_over(pictures), device="cpu", reporter=told)
    assert run.config.data.source == str(pictures)
    assert "given again" not in told.text
    assert cli("resume", run.path, "--set", "train.total_images=48", "--device", "cpu")[0] == 0


def test_what_goes_on_only_from_python_is_not_told_as_a_command(tmp_path, tiny_config):
    array = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    run = ganlet.train(tiny_config({"train.total_images": 32}), tmp_path / "run", dataset=array, device="cpu")
    call = f"ganlet.resume('{run.path}', dataset=...)"
    run.folder.generator_path.unlink()
    for attempt in (
        lambda: ganlet.resume(run.path),
        lambda: ganlet.train(tiny_config(), run.path),
    ):
        with pytest.raises(GanletError) as caught:
            attempt()
        assert call in caught.value.hint
        assert "ganlet resume" not in caught.value.message
    with pytest.raises(GanletError) as caught:
        ganlet.resume(run.path, dataset=array // 2)
    assert f"ganlet.resume('{run.path}', dataset=..., allow_data_change=True)" in caught.value.hint


def test_networks_say_which_they_are(labelled):
    networks = labelled.load("latest")
    assert repr(networks) == "Networks(generator, discriminator, images_seen=160)"
