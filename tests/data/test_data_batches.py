from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganlet.data.batches import Batches
from ganlet.data.labels import LabelVectors
from ganlet.data.spec import Pack


def pack_of(pictures):
    return Pack(pictures, None, (), None, "", {})


def numbered(count, height=8, width=8, channels=1):
    """Pictures that each show their index in every pixel."""
    return pack_of(
        np.arange(count, dtype=np.uint8).repeat(height * width * channels).reshape(-1, height, width, channels)
    )


def batches_of(pack, seed=0, size=(8, 8), **options):
    return Batches(pack, size=size, seed=seed, **options)


def shown(images):
    return images[:, 0, 0, 0].tolist()


def test_batches_have_the_packed_form():
    batch = batches_of(numbered(10, channels=3)).images(0, 4)
    assert batch.shape == (4, 8, 8, 3)
    assert batch.dtype == torch.uint8
    assert batch.is_contiguous()


def test_every_epoch_shows_each_picture_once_in_another_order():
    batches = batches_of(numbered(50))
    epochs = [shown(batches.images(start, 50)) for start in (0, 50, 100)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(50))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_batches_run_on_across_the_end_of_an_epoch():
    batches = batches_of(numbered(10))
    whole = shown(batches.images(0, 30))
    assert [index for start in range(0, 28, 4) for index in shown(batches.images(start, 4))] == whole[:28]
    assert sorted(whole[:10]) == sorted(whole[10:20]) == sorted(whole[20:]) == list(range(10))


@given(
    count=st.integers(1, 40),
    position=st.integers(0, 10**12),
    first=st.integers(1, 90),
    second=st.integers(1, 90),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_order_is_a_function_of_the_position_alone(count, position, first, second, seed):
    pack = numbered(count)
    whole = batches_of(pack, seed).indices(position, first + second)
    other = batches_of(pack, seed)
    np.testing.assert_array_equal(other.indices(position + first, second), whole[first:])
    np.testing.assert_array_equal(other.indices(position, first), whole[:first])
    epoch = position // count * count
    assert sorted(other.indices(epoch, count)) == list(range(count))


def test_seeds_give_other_orders():
    assert shown(batches_of(numbered(50)).images(0, 50)) != shown(batches_of(numbered(50), seed=1).images(0, 50))


def test_the_pictures_of_the_pack_are_shown(noise):
    pictures = noise(20, 8, 8, 3)
    batches = batches_of(pack_of(pictures))
    np.testing.assert_array_equal(batches.images(7, 16).numpy(), pictures[batches.indices(7, 16)])


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("options", [{}, {"flip": True}, {"random_crop": True}, {"flip": True, "random_crop": True}])
def test_slices_of_ranks_together_are_the_batch_of_one(noise, world, options):
    pack = pack_of(noise(20, 9, 9, 3))
    size = (8, 8) if "random_crop" in options else (9, 9)
    whole = batches_of(pack, size=size, **options).images(36, 12)
    parts = [batches_of(pack, size=size, **options).images(36, 12, rank, world) for rank in range(world)]
    assert {len(part) for part in parts} == {12 // world}
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("options", [{}, {"flip": True, "random_crop": True}])
def test_what_is_shown_does_not_depend_on_what_was_shown_before(noise, options):
    pack = pack_of(noise(20, 9, 9, 1))
    size = (8, 8) if options else (9, 9)
    old = batches_of(pack, size=size, **options)
    for position in range(0, 64, 8):
        batch = old.images(position, 8)
    assert torch.equal(batch, batches_of(pack, size=size, **options).images(56, 8))


def test_half_of_the_pictures_are_mirrored_and_others_in_the_next_batch(noise):
    pictures = noise(200, 8, 8, 3)
    plain, batches = batches_of(pack_of(pictures)), batches_of(pack_of(pictures), flip=True)
    mirrored = []
    for position in (0, 200):
        before, after = plain.images(position, 200), batches.images(position, 200)
        same = (before == after).flatten(1).all(1)
        assert torch.equal(after[~same], before[~same].flip(2))
        assert 70 < same.sum() < 130  # binomial: 100 +- 4.2 standard deviations
        mirrored.append(same.tolist())
    assert mirrored[0] != mirrored[1]


def test_random_cuts_are_windows_of_the_picture_anywhere():
    rows, columns = np.indices((12, 14), dtype=np.uint8)
    batches = batches_of(
        pack_of(np.stack([rows, columns, rows], axis=2)[None].repeat(3, axis=0)), size=(8, 9), random_crop=True
    )
    batch = batches.images(0, 600).numpy()
    assert batch.shape == (600, 8, 9, 3)
    tops, lefts = batch[:, 0, 0, 0], batch[:, 0, 0, 1]
    for picture, top, left in zip(batch, tops, lefts, strict=True):
        np.testing.assert_array_equal(picture[..., 0], rows[top : top + 8, left : left + 9])
        np.testing.assert_array_equal(picture[..., 1], columns[top : top + 8, left : left + 9])
    assert not np.array_equal(tops[:300], batches.images(600, 300).numpy()[:, 0, 0, 0])
    assert set(zip(tops.tolist(), lefts.tolist(), strict=True)) == {(y, x) for y in range(5) for x in range(6)}


def test_a_pack_on_disk_is_shown_and_left_as_it_is(tmp_path, noise):
    np.save(tmp_path / "pictures.npy", noise(20, 8, 8, 3))
    pictures = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    batches = batches_of(pack_of(pictures), flip=True)
    batches.images(0, 40).zero_()
    np.testing.assert_array_equal(pictures, noise(20, 8, 8, 3))


def labelled(counts=(7, 4, 1)):
    """Pictures that show their index, of as many classes, and their label vectors."""
    classes = np.repeat(np.arange(len(counts)), counts)
    pack = replace(numbered(len(classes)), labels=classes, label_names=tuple("abcdef"[: len(counts)]))
    return pack, LabelVectors(pack.label_names, classes=classes)


def test_without_labels_there_are_none():
    assert batches_of(numbered(10)).labels(0, 4) is None


@pytest.mark.parametrize("balance", [False, True])
def test_labels_are_those_of_the_pictures_shown(balance):
    pack, vectors = labelled()
    batches = batches_of(pack, labels=vectors, balance=balance, flip=True)
    labels = batches.labels(9, 18)
    assert (labels.shape, labels.dtype, labels.device) == ((18, 3), torch.float32, torch.device("cpu"))
    np.testing.assert_array_equal(labels.numpy(), vectors[np.array(shown(batches.images(9, 18)))])


def test_labels_may_be_attributes():
    pack = numbered(5)
    attributes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 0]], np.uint8)
    batches = batches_of(pack, labels=LabelVectors(("hat", "tie"), attributes=attributes))
    np.testing.assert_array_equal(batches.labels(3, 20).numpy(), attributes[shown(batches.images(3, 20))])


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("balance", [False, True])
def test_ranks_share_the_labels_as_they_share_the_pictures(world, balance):
    pack, vectors = labelled()
    whole = batches_of(pack, labels=vectors, balance=balance)
    for rank in range(world):
        batches = batches_of(pack, labels=vectors, balance=balance)
        share = slice(rank * 12 // world, (rank + 1) * 12 // world)
        assert torch.equal(batches.labels(36, 12, rank, world), whole.labels(36, 12)[share])
        assert torch.equal(batches.images(36, 12, rank, world), whole.images(36, 12)[share])


def test_labels_change_nothing_about_the_pictures(noise):
    pack = replace(pack_of(noise(12, 9, 9, 3)), labels=np.arange(12) % 3, label_names=("a", "b", "c"))
    options = {"size": (8, 8), "flip": True, "random_crop": True}
    plain = batches_of(pack, **options)
    with_labels = batches_of(pack, **options, labels=LabelVectors(pack.label_names, classes=pack.labels))
    for position in (0, 8, 40):
        with_labels.labels(position, 8)
        assert torch.equal(plain.images(position, 8), with_labels.images(position, 8))


def test_balanced_classes_are_shown_equally_often():
    pack, vectors = labelled()
    batches = batches_of(pack, labels=vectors, balance=True)
    assert batches.labels(0, 300).sum(0).tolist() == [100, 100, 100]
    counts = np.bincount(shown(batches.images(0, 3 * 28)), minlength=12)
    np.testing.assert_array_equal(counts, [4] * 7 + [7] * 4 + [28])
    assert batches_of(pack, labels=vectors).labels(0, 1_200).sum(0).tolist() == [700, 400, 100]


def test_classes_can_be_balanced_without_labels():
    pack, vectors = labelled()
    batches = batches_of(pack, balance=True)
    assert vectors[np.array(shown(batches.images(0, 300)))].sum(0).tolist() == [100, 100, 100]
    assert batches.labels(0, 300) is None


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_gpu_shows_what_a_cpu_shows(noise, monkeypatch, share):
    monkeypatch.setattr("ganlet.data.batches.SHARE_OF_FREE_MEMORY", share)
    monkeypatch.setattr("ganlet.data.batches.UPLOAD_BYTES", 1000)
    pack = pack_of(noise(20, 9, 9, 3))
    for options in ({"flip": True, "random_crop": True}, {"flip": True, "size": (9, 9)}, {"size": (9, 9)}):
        on_gpu = batches_of(pack, device="cuda", **options).images(36, 12, 1, 3)
        assert on_gpu.device.type == "cuda"
        assert torch.equal(on_gpu.cpu(), batches_of(pack, **options).images(36, 12, 1, 3))


@pytest.mark.gpu
def test_a_gpu_is_given_the_same_labels():
    pack, vectors = labelled()
    on_gpu = batches_of(pack, labels=vectors, balance=True, device="cuda").labels(36, 12, 1, 3)
    assert on_gpu.device.type == "cuda"
    assert torch.equal(on_gpu.cpu(), batches_of(pack, labels=vectors, balance=True).labels(36, 12, 1, 3))
