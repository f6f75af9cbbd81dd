"""Pictures handed in from Python: whatever form they have, the same bytes are packed, and what is wrong is named."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset

import ganlet
from ganlet.data.memory import MEMORY, hold
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source, open_source
from ganlet.errors import DataError

COUNT, HEIGHT, WIDTH = 5, 9, 12  # no two sides alike, and no side a number of channels


@pytest.fixture
def pixels(noise):
    """uint8 (N, H, W, 3), from 0 to 255 in every picture."""
    pixels = noise(COUNT, HEIGHT, WIDTH, 3)
    pixels[:, 0, 0], pixels[:, 0, 1] = 0, 255
    return pixels


def held(dataset):
    """The pictures of a data set as they go into a pack, and their labels."""
    source = find_source(DataConfig(source=hold(dataset)))
    pictures = list(source.pictures())
    assert len(pictures) == source.count == len(dataset)
    assert all(picture.content.dtype == np.uint8 for picture in pictures)
    return [picture.content for picture in pictures], [picture.label for picture in pictures]


def source_of(dataset):
    return find_source(DataConfig(source=hold(dataset)))


def refusal(dataset) -> DataError:
    with pytest.raises(DataError) as caught:
        hold(dataset)
    return caught.value


class Items(Dataset):
    """A data set of whatever is given."""

    def __init__(self, items, classes=None):
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def channels_first(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


FORMS = {
    "bytes": lambda pixels: pixels,
    "a list of bytes": list,
    "bytes, channels first": lambda pixels: np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)),
    "a tensor of bytes": lambda pixels: torch.from_numpy(pixels),
    "a tensor of bytes, channels first": channels_first,
    "floats from 0 to 255": lambda pixels: pixels.astype(np.float64),
    "floats from 0 to 1": lambda pixels: pixels / 255,
    "floats from -1 to 1": lambda pixels: pixels / 127.5 - 1,
    "a tensor from 0 to 1, as ToTensor makes it": lambda pixels: channels_first(pixels).float() / 255,
    "a tensor from -1 to 1": lambda pixels: channels_first(pixels).float() / 127.5 - 1,
    "a tensor of doubles": lambda pixels: channels_first(pixels).double() / 127.5 - 1,
    "a tensor that has gradients": lambda pixels: (channels_first(pixels).float() / 255).requires_grad_(),
    "half precision from 0 to 255": lambda pixels: channels_first(pixels).half(),
    "bfloat16 from 0 to 255": lambda pixels: channels_first(pixels).bfloat16(),
    "Pillow": lambda pixels: [Image.fromarray(picture) for picture in pixels],
    "a data set": lambda pixels: Items(list(pixels)),
    "tuples of one": lambda pixels: TensorDataset(channels_first(pixels)),
    "dicts": lambda pixels: [{"image": picture} for picture in pixels],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bytes(form, pixels):
    if "bfloat16" in form:
        pixels &= 0xF0  # it has 8 bits only
    pictures, labels = held(FORMS[form](pixels))
    np.testing.assert_array_equal(pictures, pixels)
    assert labels == [None] * COUNT
    assert source_of(FORMS[form](pixels)).channels == 3


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1), (1, HEIGHT, WIDTH)])
def test_grey_pictures(shape, as_float, noise):
    pixels = noise(COUNT, *shape)
    expected = pixels.reshape(COUNT, HEIGHT, WIDTH, 1)
    pictures, _ = held(pixels / 255 if as_float else pixels)
    np.testing.assert_array_equal(pictures, expected)
    assert source_of(pixels).channels == 1


def test_pictures_of_several_sizes(noise):
    pixels = [noise(8 + index, 20 - index, 3) for index in range(4)]
    pictures, _ = held(pixels)
    for picture, expected in zip(pictures, pixels, strict=True):
        np.testing.assert_array_equal(picture, expected)


def test_a_picture_as_wide_as_it_has_channels_is_read_as_numpy_and_pillow_have_it(noise):
    pixels = noise(3, 8, 3)  # (H, W, C) and (C, H, W)
    (picture,), _ = held([pixels])
    np.testing.assert_array_equal(picture, pixels)


# Pillow, as in files


def test_pillow_images_become_what_files_of_them_become(pixels, write_folder, open_pack):
    colour = Image.fromarray(pixels[0])
    grey = colour.convert("L")
    transparent = grey.copy()
    transparent.info["transparency"] = 0
    cases = {
        "1.png": colour.convert("1"),
        "L.png": grey,
        "LA.png": Image.merge("LA", [grey, grey.rotate(180)]),
        "RGB.png": colour,
        "RGBA.png": Image.merge("RGBA", [*colour.split(), grey]),
        "P.png": colour.quantize(7),
        "I;16.png": Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 601),
    }
    for name, image in cases.items():
        settings = {"size": (HEIGHT, WIDTH), "allow_few": True, "crop": "stretch"}
        expected = open_pack(write_folder({name: image}, root=name), **settings)
        pack = open_pack(hold([image]), **settings)
        np.testing.assert_array_equal(pack.pictures, expected.pictures, err_msg=name)


def test_a_mode_that_is_no_picture_is_refused():
    error = refusal([Image.new("L", (8, 8)), Image.new("F", (8, 8))])
    assert (error.where, error.got) == ("dataset[1]", "Image: pictures of mode F are not supported")


def test_an_image_that_cannot_be_decoded_is_named(encode, tmp_path, noise):
    path = tmp_path / "cut.png"
    path.write_bytes(encode(noise(64, 64, 3))[:2000])
    with Image.open(path) as image:
        error = refusal([Image.new("L", (8, 8)), image])
    assert error.where == "dataset[1]"
    assert "truncated" in error.got


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([1, 1], 1),
        ([1, 1, 3], 3),
        ([3, 3, 4], 3),
        ([4, 4, 3], 4),
        ([4, 3], 3),
    ],
)
@pytest.mark.parametrize("scale", [None, 1.0, 255.0])
def test_channels_are_told_as_for_files(channels, expected, scale, noise):
    dataset = [noise(8, 8, number) for number in channels]
    if scale:
        dataset = [picture / 255.0 * scale for picture in dataset]
    assert source_of(dataset).channels == expected


@pytest.mark.parametrize("scale", [None, (0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_pictures_that_only_could_be_transparent_do_not_count(scale, noise):
    pixels = noise(3, 8, 8, 4)
    pixels[..., 3] = 255
    pixels[:, 0, 0, :3] = 0
    dataset = pixels if scale is None else pixels / 255 * (scale[1] - scale[0]) + scale[0]
    assert source_of(dataset).channels == 3


# Scales of floats


def test_bright_and_dark_pictures_are_on_the_scale_of_the_others(pixels):
    pixels = np.concatenate([np.full((80, HEIGHT, WIDTH, 3), 200, np.uint8), pixels.repeat(4, axis=0)])
    pixels[3] = 0
    for dataset in (pixels / 127.5 - 1, pixels / 255, pixels.astype(np.float32)):
        np.testing.assert_array_equal(held(dataset)[0], pixels)


def test_rounding_does_not_change_the_scale(pixels):
    nearly = (pixels / 255).astype(np.float32)
    nearly[0, 0, 0], nearly[0, 0, 1] = -1e-6, 1 + 1e-6
    np.testing.assert_array_equal(held(nearly)[0], pixels)


@pytest.mark.parametrize("where", [0, 3, 90])
@pytest.mark.parametrize(
    ("scale", "odd", "got", "expected"),
    [
        (255, -0.5, "floats in [-1, 1]", "floats in [0, 1], as in most pictures"),
        (255, 200.0, "floats in [0, 255]", "floats in [0, 1], as in most pictures"),
        (255, np.nan, "values from nan to nan", "floats in [0, 1], [-1, 1], [0, 255]"),
        (255, -2.0, "values from -2 to -2", "floats in [0, 1], [-1, 1], [0, 255]"),
        (1, 300.0, "values from 300 to 300", "floats in [0, 1], [-1, 1], [0, 255]"),
        (1, -0.5, "floats in [-1, 1]", "floats in [0, 255], as in most pictures"),
    ],
)
def test_a_picture_on_another_scale_is_named(where, scale, odd, got, expected, noise):
    dataset = noise(100, 8, 8, 3) / scale
    dataset[where] = odd
    error = refusal(dataset)
    assert error.what == "An item is no picture."
    assert (error.where, error.got, error.expected) == (f"dataset[{where}]", got, expected)


# Labels


LABELS = [2, 0, 1, 0, 2]


@pytest.mark.parametrize("make", [int, np.int64, torch.tensor, np.array])
def test_labels_in_tuples_and_dicts(make, pixels):
    items = [(picture, make(label)) for picture, label in zip(pixels, LABELS, strict=True)]
    for dataset in (
        items,
        Items(items),
        [list(item) for item in items],
        [{"image": picture, "label": label} for picture, label in items],
        [{"id": "x", "img": picture, "fine_label": label} for picture, label in items],
    ):
        pictures, labels = held(dataset)
        np.testing.assert_array_equal(pictures, pixels)
        assert labels == LABELS
        assert all(type(label) is int for label in labels)
        assert source_of(dataset).label_names == ("0", "1", "2")


def test_a_data_set_of_tensors_with_labels(pixels):
    dataset = TensorDataset(channels_first(pixels), torch.tensor(LABELS))
    assert held(dataset)[1] == LABELS
    assert held(Subset(dataset, [4, 1]))[1] == [1, 0]  # of labels 2 and 0


def test_classes_give_the_names(pixels):
    items = list(zip(pixels, LABELS, strict=True))
    source = source_of(Items(items, classes=["cat", "dog", "hen", "owl"]))
    assert source.label_names == ("cat", "dog", "hen", "owl")
    assert [picture.label for picture in source.pictures()] == LABELS


@pytest.mark.parametrize("classes", [["cat"], ["cat", "cat", "hen"], "cat", 3, {"cat": 0}])
def test_classes_that_do_not_fit_the_labels_are_no_names(classes, pixels):
    assert source_of(Items(list(zip(pixels, LABELS, strict=True)), classes)).label_names == ("0", "1", "2")


def test_numbers_that_do_not_occur_are_no_classes(pixels):
    dataset = list(zip(pixels, [10**12, -7, 5, -7, 5], strict=True))
    source = source_of(dataset)
    assert source.label_names == ("-7", "5", "1000000000000")
    assert held(dataset)[1] == [2, 0, 1, 0, 1]


@pytest.mark.parametrize("label", ["cat", 1.5, [1, 0], torch.tensor([1, 0]), torch.tensor(1.0), object()])
def test_a_label_that_is_no_whole_number_is_named(label, pixels):
    error = refusal([(pixels[0], 1), (pixels[1], label)])
    assert (error.what, error.where) == ("A label is no whole number.", "dataset[1]")
    assert error.got


def test_a_picture_without_a_label_among_others_is_named(pixels):
    error = refusal([{"image": pixels[0], "label": 1}, {"image": pixels[1], "label": 1}, {"image": pixels[2]}])
    assert (error.what, error.where) == ("A picture has no label, and others have one.", "dataset[2]")
    assert refusal([pixels[0], (pixels[1], 1)]).where == "dataset[0]"


def test_labels_reach_the_pack(pixels, open_pack):
    pack = open_pack(hold(Items(list(zip(pixels, LABELS, strict=True)), ["cat", "dog", "hen"])), size=(HEIGHT, WIDTH))
    expected = {picture.tobytes(): label for picture, label in zip(pixels, LABELS, strict=True)}
    assert [expected[picture.tobytes()] for picture in pack.pictures] == pack.labels.tolist()
    assert pack.label_names == ("cat", "dog", "hen")
    assert pack.summary["classes"] == {"cat": 2, "dog": 1, "hen": 2}


# What is no picture


WRONG = {
    "nothing": (None, "NoneType"),
    "a path": ("a.png", "str, <U5 ()"),
    "a number": (3, "int, int64 ()"),
    "whole numbers that are no bytes": (np.zeros((8, 8, 3), np.int64), "ndarray, int64 (8, 8, 3)"),
    "truth": (np.zeros((8, 8), bool), "ndarray, bool (8, 8)"),
    "16 bits": (np.zeros((8, 8), np.uint16), "ndarray, uint16 (8, 8)"),
    "complex": (np.zeros((8, 8), complex), "ndarray, complex128 (8, 8)"),
    "two channels": (np.zeros((8, 9, 2), np.uint8), "ndarray, uint8 (8, 9, 2)"),
    "five channels": (torch.zeros(5, 8, 9), "Tensor, float32 (5, 8, 9)"),
    "a row": (np.zeros(8, np.uint8), "ndarray, uint8 (8,)"),
    "several pictures": (np.zeros((2, 8, 8, 3), np.uint8), "ndarray, uint8 (2, 8, 8, 3)"),
    "no pixels": (np.zeros((0, 8, 3), np.uint8), "ndarray, uint8 (0, 8, 3)"),
    "three parts": ((np.zeros((8, 8)), 1, 2), "tuple: "),
    "a dict without a picture": ({"text": "a", "label": 1}, "a dict of text, label"),
    "a dict of another thing": ({"image": "a.png"}, "str, <U5 ()"),
    "a ragged list": ([[1, 2], [3], [4]], "list: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_item_that_is_no_picture_is_named_with_its_index(case, pixels):
    item, got = WRONG[case]
    error = refusal([*pixels, item])
    assert (error.what, error.where) == ("An item is no picture.", f"dataset[{COUNT}]")
    assert str(error.got).startswith(got)
    assert error.expected.startswith("a Pillow image, or uint8 or float numbers")
    assert refusal([item]).where == "dataset[0]"


@pytest.mark.parametrize(
    ("dataset", "what"),
    [
        (3, "These are no pictures."),
        (None, "These are no pictures."),
        (iter([]), "These are no pictures."),
        ({0: np.zeros((8, 8))}, "These are no pictures."),
        (np.zeros(()), "These are no pictures."),
        (torch.zeros(()), "These are no pictures."),
        (Image.new("L", (8, 8)), "These are no pictures."),
        (torch.utils.data.DataLoader(TensorDataset(torch.zeros(4, 3, 8, 8))), "These are no pictures."),
        ([], "There are no pictures."),
        (np.zeros((0, 8, 8, 3)), "There are no pictures."),
        (Items([]), "There are no pictures."),
        (np.zeros((64, 48, 3), np.uint8), "This is one picture."),
        (torch.zeros(64, 48, 4), "This is one picture."),
        (np.zeros((64, 48), np.uint8), "This is one picture."),
    ],
)
def test_what_is_no_data_set_is_refused(dataset, what):
    error = refusal(dataset)
    assert (error.what, error.where) == (what, "dataset")
    assert error.expected


def test_a_data_set_with_a_shape_of_its_own_is_no_array(pixels):
    class Table(Items):
        shape = (COUNT, 2)  # rows and columns

    np.testing.assert_array_equal(held(Table(list(pixels)))[0], pixels)


def test_what_a_data_set_raises_itself_is_left_alone():
    class Failing(Items):
        def __getitem__(self, index):
            raise FileNotFoundError("b.png")

    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        hold(Failing([1, 2]))


def test_a_data_set_that_changes_is_refused(noise):
    class Flipping(Items):
        calls = 0

        def __getitem__(self, index):
            Flipping.calls += 1
            return self.items[index][:, :: 1 if Flipping.calls % 3 else -1]

    error = refusal(Flipping(list(noise(COUNT, 8, 8, 3))))
    assert error.what == "The data set gives another picture each time it is read."
    assert error.where.startswith("dataset[")


# What a data set is called


def test_the_name_tells_pictures_labels_and_their_names_apart(pixels):
    other = pixels.copy()
    other[-1, -1, -1, -1] ^= 1
    labels, exchanged = LABELS, [0, 2, 1, 0, 2]
    datasets = [
        pixels,
        other,
        pixels[::-1],
        pixels[:-1],
        list(zip(pixels, labels, strict=True)),
        list(zip(pixels, exchanged, strict=True)),
        Items(list(zip(pixels, labels, strict=True)), classes=["cat", "dog", "hen"]),
        Items(list(zip(pixels, labels, strict=True)), classes=["cat", "dog", "owl"]),
    ]
    names = [hold(dataset) for dataset in datasets]
    assert len(set(names)) == len(names)
    assert all(name.startswith(MEMORY) for name in names)
    assert hold(pixels.copy()) == hold(torch.from_numpy(pixels)) == names[0]


def test_other_names_of_the_same_labels_are_another_pack(pixels, open_pack):
    items = list(zip(pixels, LABELS, strict=True))
    for classes in (["cat", "dog", "hen"], ["ant", "bee", "fly"]):
        assert open_pack(hold(Items(items, classes)), size=8).label_names == tuple(classes)


def test_paths_and_names_stay_what_they_are(tmp_path):
    assert hold("smileys") == "smileys"
    assert hold(tmp_path) == str(tmp_path)


def test_a_source_of_another_process_is_told():
    with pytest.raises(DataError, match="handed in from Python, and are not in this process") as caught:
        find_source(DataConfig(source=f"{MEMORY}0123"))
    assert caught.value.got == f"{MEMORY}0123"
    assert "dataset=" in caught.value.expected


# Through the front door


def test_a_data_set_of_ganlet_is_one_too(pixels):
    dataset = ganlet.data.open_images(pixels, size=(HEIGHT, WIDTH))
    again = ganlet.data.open_images(dataset, size=(HEIGHT, WIDTH))
    assert again.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(again.pictures, dataset.pictures)
    named = ganlet.data.open_images(Items(list(zip(pixels, LABELS, strict=True)), ["a", "b", "c"]), size=8)
    assert ganlet.data.open_images(named, size=8).classes == ("a", "b", "c")


def test_every_form_gives_the_same_pack(pixels, write_folder):
    folder = write_folder({f"{index}.png": picture for index, picture in enumerate(pixels)})
    fingerprint = ganlet.data.open_images(folder, size=8).fingerprint
    for form, make in FORMS.items():
        if "bfloat16" not in form:
            assert ganlet.data.open_images(make(pixels), size=8).fingerprint == fingerprint, form


def test_settings_of_the_pictures_hold(pixels, open_pack):
    pack = open_pack(hold(pixels), size=8, channels=1, num_images=3, holdout=0.34)
    assert pack.pictures.shape == (2, 8, 8, 1)
    assert json.dumps(pack.summary)


def test_a_resolved_config_may_be_packed_again(pixels):
    config = DataConfig(source=hold(pixels), size=8)
    assert open_source(config).fingerprint == open_source(config).fingerprint


def test_arrays_are_held_without_torch():
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from ganlet.data.memory import hold\n"
        "print(hold(np.zeros((4, 8, 8, 3))))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(MEMORY)


def test_an_array_of_another_library_is_read_by_numpy(pixels):
    """Whatever has numpy's protocol."""

    class Array(SimpleNamespace):
        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.pixels, dtype)

    np.testing.assert_array_equal(held([Array(pixels=picture) for picture in pixels])[0], pixels)
