from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganlet.data.inspection.advice import advise
from ganlet.data.inspection.examination import examine
from ganlet.data.inspection.survey import survey
from ganlet.data.inspection.symmetry import mirror_accuracy
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut, Source, SourcePicture


def scene(seed, height=40, width=40, channels=3):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    if channels == 1:
        return pixels[..., :1]
    return pixels if channels == 3 else np.concatenate([pixels, pixels[..., :1]], axis=2)


def advised(
    pictures, chosen=None, *, has_gpu=False, kind="folder", name="set", num_broken=0, part="value", left_out=()
):
    """Settings by path, or the reasons for them."""
    walk = [SourcePicture(pixels) for pixels in pictures] + [SourcePicture(lambda: b"", "bad.png")] * num_broken
    source = Source(kind, "", len(walk), lambda: iter(walk), left_out=left_out)
    seen = survey(source, DataConfig(source=name))
    return {advice.setting: getattr(advice, part) for advice in advise(examine(seen), chosen or {}, has_gpu=has_gpu)}


def scenes(count, *size, **kind):
    return [scene(seed, *size, **kind) for seed in range(count)]


@pytest.mark.parametrize(
    ("side", "on_cpu", "on_gpu"), [(10, 16, 16), (20, 16, 16), (28, 32, 32), (40, 32, 32), (56, 32, 64), (300, 32, 64)]
)
def test_size_fits_the_pictures_and_the_machine(side, on_cpu, on_gpu):
    pictures = scenes(20, side, side)
    assert advised(pictures)["data.size"] == on_cpu
    assert advised(pictures, has_gpu=True)["data.size"] == on_gpu


def test_a_tenth_of_the_pictures_may_be_small():
    assert advised([*scenes(19, 80, 80), scene(99, 9, 9)], has_gpu=True)["data.size"] == 64
    assert advised([*scenes(15, 80, 80), *scenes(5, 20, 20)], has_gpu=True)["data.size"] == 16


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(40, 40, 32), (80, 60, [32, 24]), (45, 80, [16, 32]), (88, 80, 32), (200, 50, [32, 16])],
)
def test_a_shape_that_most_share(height, width, size):
    assert advised(scenes(20, height, width))["data.size"] == size


def test_mixed_shapes_become_squares():
    advice = advised([*scenes(10, 40, 60), *scenes(10, 60, 40)])
    assert (advice["data.size"], advice["data.crop"]) == (32, "center")


def test_very_long_pictures_of_mixed_shapes_are_padded():
    assert advised([*scenes(10, 40, 140), *scenes(10, 140, 40)])["data.crop"] == "pad"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(channels):
    assert advised(scenes(20, 40, 40, channels=channels))["data.channels"] == channels


def test_grey_pictures_in_colour_files_need_one_channel():
    assert advised([pixels.repeat(3, axis=2) for pixels in scenes(20, 40, 40, channels=1)])["data.channels"] == 1


@pytest.mark.parametrize(
    ("kind", "name", "channels", "has_gpu", "preset"),
    [
        ("folder", "cats", 3, False, "quick"),
        ("idx", "mnist", 1, False, "mnist"),
        ("idx", "data/Fashion-MNIST", 1, False, "fashion"),
        ("cifar10", "cifar", 3, False, "quick"),
        ("cifar10", "cifar", 3, True, "cifar10"),
    ],
)
def test_preset(kind, name, channels, has_gpu, preset):
    pictures = scenes(20, 32, 32, channels=channels)
    assert advised(pictures, kind=kind, name=name, has_gpu=has_gpu)["preset"] == preset


def test_a_gpu_and_large_pictures_suit_standard():
    pictures = scenes(20, 80, 80)
    assert advised(pictures, has_gpu=True)["preset"] == "standard"
    assert "generator.width" not in advised(pictures, has_gpu=True)


def test_what_is_chosen_is_not_advised_but_heeded():
    advice = advised(scenes(20, 80, 80), {"data.size": 64, "data.channels": 1})
    assert not {"data.size", "data.channels"} & set(advice)
    assert advice["preset"] == "standard"
    assert (advice["generator.width"], advice["train.total_images"]) == (16, 40_000), "for a CPU"


def test_broken_ones_are_skipped_within_a_limit_that_suffices():
    assert "data.skip_bad" not in advised(scenes(20))
    advice = advised(scenes(20), num_broken=3)
    assert advice["data.skip_bad"] is True
    assert 3 / 23 <= advice["data.skip_bad_limit"] < 3 / 23 + 0.01
    assert "data.skip_bad_limit" not in advised(scenes(250, 9, 9), num_broken=1)
    unread = advised(scenes(20), left_out=(LeftOut("gone.png", "dead link"), LeftOut("x.txt", "other")))
    assert unread["data.skip_bad"] is True
    assert "data.skip_bad_limit" not in unread


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"train.batch_size": 2, "data.allow_few": True}),
        (9, {"train.batch_size": 8}),
        (40, {}),
        (300, {"data.holdout": 0.1}),
        (2_000, {}),
    ],
)
def test_small_sets(count, expected):
    pictures = scenes(min(count, 300), 9, 9) * (1 + count // 301)
    advice = advised(pictures[:count])
    small = {path: advice[path] for path in ("train.batch_size", "data.allow_few", "data.holdout") if path in advice}
    assert small == expected


class TestFlip:
    def test_random_scenes_may_be_mirrored(self):
        sample = np.stack([scene(seed, 32, 32) for seed in range(1_000)])
        assert mirror_accuracy(sample) == pytest.approx(0.5, abs=0.05)
        assert advised(list(sample))["data.flip"] is True

    def test_light_from_one_side_tells(self):
        light = np.linspace(0.2, 1, 32)[None, :, None]
        sample = np.stack([(scene(seed, 32, 32) * light).astype(np.uint8) for seed in range(300)])
        assert mirror_accuracy(sample) > 0.9
        assert advised(list(sample))["data.flip"] is False

    def test_a_small_mark_in_one_corner_tells(self):
        sample = np.stack([scene(seed, 32, 32) for seed in range(400)])
        sample[:, 2:8, 2:8] = 255
        assert mirror_accuracy(sample) > 0.9

    def test_too_few_to_tell(self):
        assert mirror_accuracy(np.stack([scene(seed, 32, 32) for seed in range(199)])) is None
        assert advised(scenes(20))["data.flip"] is False
        assert "too few" in advised(scenes(20), part="why")["data.flip"]

    def test_nothing_to_tell(self):
        same = np.stack([np.maximum(pixels, pixels[:, ::-1]) for pixels in (scene(s, 32, 32) for s in range(250))])
        assert mirror_accuracy(same) is None
