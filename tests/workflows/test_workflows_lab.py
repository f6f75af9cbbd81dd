from __future__ import annotations

import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from ganlet.errors import ConfigError
from ganlet.runs.picture_files import read
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.whence import whence


@pytest.fixture(scope="module")
def plain(straight):
    """The lab of a run whose generator reads its latent as a whole; only to be looked at."""
    return Lab.open(straight.path, device="cpu")


@pytest.fixture
def mine(straight, tmp_path):
    """A copy of the run, in which things can be kept."""
    return Lab.open(shutil.copytree(straight.path, tmp_path / "mine"), device="cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_config):
    """Runs whose latents can be mixed, with labels; only to be looked at."""
    import ganlet
    from ganlet.workflows import training

    folder, made = tmp_path_factory.mktemp("runs"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        for name, changes in (("style", {"generator.kind": "style"}), ("skip", {"generator.skip_latent": True})):
            changes |= {"data.labels": "classes", "train.total_images": 32, "generator.initial": "kaiming"}
            made[name] = ganlet.train(tiny_config(changes), folder / name, device="cpu")
    return made


def test_addresses_are_seeds_pictures_files_and_kept_names(mine, tmp_path):
    lab = mine
    wanted = lab.sample(6, 3).values[5:6]
    np.save(tmp_path / "z.npy", wanted.numpy()[0])
    safetensors.torch.save_file({"latents": lab.sample(6, 3).values.contiguous()}, tmp_path / "z.safetensors")
    lab.draw(lab.sample(6, 3)).save(tmp_path / "sheet.png")
    lab.draw(lab.sample(6, 3)).save(tmp_path / "film#1.webp")
    singles = lab.draw(lab.sample(6, 3)).save(tmp_path / "singles")
    kept = lab.keep("friend", lab.points("3#5"))
    addresses = [
        "3#5",
        tmp_path / "z.npy",
        f"{tmp_path / 'z.safetensors'}#5",
        f"{tmp_path / 'sheet.png'}#5",
        f"{tmp_path / 'film#1.webp'}#5",
        singles[5],
        "friend",
        kept,
        wanted[0].numpy(),
        lab.points("3#5"),
    ]
    for address in addresses:
        assert torch.equal(lab.points(address).values, wanted), address
    assert torch.equal(lab.points(3).values, lab.points("3#0").values)
    assert lab.points(*addresses).values.shape == (len(addresses), *wanted.shape[1:])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("frend", "did you mean friend"),
        ("nothing.png", "no such picture"),
        ("3#99999999", "too large"),
        (3.5, "no address"),
        (True, "no address"),
        (np.zeros(3), "do not fit"),
        (np.array([np.nan] * 4), "do not fit"),
        ("", "no path"),
    ],
)
def test_what_is_no_address_is_one_message(mine, address, message):
    mine.keep("friend", mine.points(1))
    with pytest.raises(ConfigError) as caught:
        mine.points(address)
    assert message in caught.value.message


def test_files_that_hold_no_latents_and_pictures_of_others_are_refused(straight, runs, tmp_path):
    lab, other = Lab.open(straight.path, device="cpu"), Lab.open(runs["style"].path, device="cpu")
    (picture,) = other.draw(other.sample(1)).save(tmp_path / "other.png")
    (tmp_path / "no.npy").write_bytes(b"x")
    (tmp_path / "no.safetensors").write_bytes(b"x")
    safetensors.torch.save_file({"weights": torch.zeros(2)}, tmp_path / "w.safetensors")
    foreign = Lab(other.trained, tmp_path / "lab").keep("one", other.points(1))
    lab.draw(lab.sample(2)).save(tmp_path / "bare.png", certificate=False)
    cases = {
        picture: "Another generator",
        f"{tmp_path / 'bare.png'}": "does not say",
        tmp_path / "no.npy": "no numbers",
        tmp_path / "no.safetensors": "cannot be read",
        tmp_path / "w.safetensors": "no latents",
        foreign: "another generator",
    }
    for address, message in cases.items():
        with pytest.raises(ConfigError, match=message):
            lab.points(address)
    lab.draw(lab.sample(2)).save(tmp_path / "two.png")
    with pytest.raises(ConfigError, match="fewer pictures"):
        lab.points(f"{tmp_path / 'two.png'}#2")


@pytest.mark.parametrize("name", ["3", "a/b", "x.png", "..", "", "3#1"])
def test_names_that_mean_something_else_are_not_kept(plain, name):
    with pytest.raises(ConfigError, match="cannot be told"):
        plain.keep(name, plain.points(1))


def test_a_way_begins_and_ends_where_it_was_asked_to(plain):
    way = plain.interpolate(3, "4#2", 5, steps=9)
    torch.testing.assert_close(way.points.values[[0, 4, 8]], plain.points(3, "4#2", 5).values)
    loop = plain.interpolate(3, 4, steps=8, loop=True).points.values
    torch.testing.assert_close(loop[[0, 4]], plain.points(3, 4).values)
    torch.testing.assert_close(loop[1], loop[7])  # there and back
    lengths = plain.interpolate(3, 4, steps=7).points.values.norm(dim=1)
    ends = plain.points(3, 4).values.norm(dim=1)
    assert (lengths > ends.min() * 0.9).all(), "normal latents keep their length on the way"
    straight = plain.interpolate(3, 4, steps=3, straight=True).points.values
    torch.testing.assert_close(straight[1], plain.points(3, 4).values.mean(0))


def test_a_sheet_has_its_corners(plain):
    sheet = plain.grid(1, 2, 3, 4, rows=3, columns=5).points.values
    torch.testing.assert_close(sheet[[0, 4, 10, 14]], plain.points(1, 2, 3, 4).values)


def test_labels_change_on_the_way_for_latents_and_for_styles(runs):
    for name, run in runs.items():
        lab = Lab.open(run.path, device="cpu")
        first, last = run.config.data.label_names[:2]
        way = lab.interpolate(3, steps=3, from_labels=[first], to_labels=[last])
        both = lab.space.sample(1, 3, lab.labels_named([first], 1)), lab.space.sample(1, 3, lab.labels_named([last], 1))
        for place, expected in zip((0, 2), both, strict=True):
            torch.testing.assert_close(way.points.values[place : place + 1], expected.values)
            torch.testing.assert_close(way.points.labels[place : place + 1], expected.labels)
        assert way.points.labels[1].max() == 0.5
        if name == "style":
            assert not torch.equal(*(one.values for one in both))
            with pytest.raises(ConfigError, match="a seed"):
                lab.interpolate(lab.points(1), 2, from_labels=[first])


@pytest.mark.parametrize("part", ["coarse", "middle", "fine"])
@pytest.mark.parametrize("name", ["style", "skip"])
def test_mixing_takes_levels_of_the_columns(runs, name, part):
    from ganlet.latent.mixing import levels_of

    lab = Lab.open(runs[name].path, device="cpu")
    if lab.space.num_levels == 2 and part == "middle":
        with pytest.raises(ConfigError, match="none between"):
            lab.mix(part=part)
        return
    drawing = lab.mix(rows=[1, 2], columns=[3, 4, 5], part=part)
    assert len(drawing) == 3 + 2 * (1 + 3)
    levels = levels_of(lab.space, part)
    mixed, row, column = drawing.points.values[5], lab.points(1).values[0], lab.points(4).values[0]
    if name == "style":
        assert torch.equal(mixed[levels], column[levels])
        assert (mixed == row).all(dim=1).sum() >= lab.space.num_levels - (levels.stop - levels.start)
    else:
        same = mixed == column
        sizes = lab.space.part_sizes
        assert int(same.sum()) == sum(sizes[levels])
        assert torch.equal(mixed[~same], row[~same])


def test_levels_do_not_overlap_and_cover_all(runs):
    from ganlet.latent.mixing import PARTS, levels_of
    from ganlet.latent.space import Space

    class Levels(Space):
        number = 2
        num_levels = property(lambda self: self.number)

    space = Levels(Lab.open(runs["style"].path, device="cpu").trained.generator)
    for number in range(2, 9):
        space.number = number
        parts = [levels_of(space, part) for part in PARTS if number > 2 or part != "middle"]
        assert [level for part in parts for level in range(number)[part]] == list(range(number))


def test_the_commands_write_pictures_that_say_whence(cli, straight, mine, runs, tmp_path):
    style = runs["style"]
    commands = {
        "a.png": (straight, ["interpolate", "--from", "3", "--to", "4", "--to", "5"]),
        "b.webp": (straight, ["interpolate", "--steps", "5", "--loop"]),
        "c.gif": (straight, ["interpolate", "--steps", "4", "--straight"]),
        "d.png": (straight, ["grid", "--rows", "2", "--columns", "3"]),
        "e.png": (style, ["mix", "--rows", "1", "--columns", "2", "--levels", "fine"]),
    }
    for name, (run, words) in commands.items():
        out = tmp_path / name
        code, printed, err = cli("explore", run.path, words[0], *words[1:], "--out", out)
        assert (code, printed.strip()) == (0, str(out)), err
        assert whence(out, run.path, device="cpu").verdict == "same"
        first = out.read_bytes()
        cli("explore", run.path, words[0], *words[1:], "--out", out)
        assert out.read_bytes() == first
    code, printed, _ = cli("explore", straight.path, "keep", f"{tmp_path / 'd.png'}#4", "kept")
    assert code == 0
    assert (
        cli("explore", straight.path, "interpolate", "--from", "kept", "--to", "7", "--out", tmp_path / "k.png")[0] == 0
    )
    assert read(tmp_path / "k.png")[1] is not None


def test_exploring_leaves_the_run_as_it_is(cli, start, contents):
    run = start("run")
    before = contents(run.path)
    for verb in ("interpolate", "grid"):
        assert cli("explore", run.path, verb)[0] == 0
    cli("explore", run.path, "keep", "3", "three")
    after = contents(run.path)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("lab/") for name in after.keys() - before.keys())


def test_mistakes_on_the_command_line_are_one_message(cli, straight, tmp_path):
    cases = [
        (["mix"], "skip_latent"),
        (["interpolate", "--steps", "1"], "at least two"),
        (["interpolate", "--steps", "100000"], "too many"),
        (["interpolate", "--steps", "100000"], "--steps"),
        (["interpolate", "--to-label", "smile"], "without labels"),
        (["interpolate", "--to-label", "smile"], "--to-label"),
        (["interpolate", "--from", "nobody"], "--from"),
        (["interpolate", "--to", "nobody"], "--to"),
        (["keep", "3", "7"], "NAME"),
        (["interpolate", "--truncation", "nan"], "--truncation"),
        (["interpolate", "--truncation", "-1"], "--truncation"),
        (["arithmetic", "--strength", "nan"], "--strength"),
        (["interpolate", "--out", tmp_path / "x.jpg"], "PNG or as films"),
        (["grid", "--from", "1"], "four corners"),
        (["grid", "--rows", "1"], "at least two"),
    ]
    for words, message in cases:
        code, _, err = cli("explore", straight.path, *words)
        assert (code, message in err) == (2, True), (words, err)
    assert cli("explore", tmp_path, "grid")[0] == 2


def test_a_generator_file_alone_can_be_explored(cli, straight, tmp_path):
    file = shutil.copy(straight.path / "generator.safetensors", tmp_path / "g.safetensors")
    code, printed, _ = cli("explore", file, "interpolate")
    assert (code, printed.strip()) == (0, str(tmp_path / "g-lab" / "interpolate.png"))
    lab = Lab.open(file, device="cpu")
    assert lab.weights == Lab.open(straight.path, device="cpu").weights
