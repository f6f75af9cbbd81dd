import os
import pickle
import struct

import numpy as np
import pytest

from ganlet.data.cifar_pickles import read_batch, read_names, read_pickle
from ganlet.errors import DataError


def python_2_batch(labels, data):
    """The very bytes that Python 2.7 and NumPy 1 wrote, as the official files begin; put together by hand."""

    def text(value, long=False):
        return (b"T" + struct.pack("<I", len(value)) if long else b"U" + bytes([len(value)])) + value

    def number(value):
        return b"J" + struct.pack("<i", value)

    return b"".join(
        [
            b"\x80\x02}(",
            text(b"batch_label"),
            text(b"training batch 1 of 5"),
            text(b"labels"),
            b"](" + b"".join(map(number, labels)) + b"e",
            text(b"data"),
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R",
            b"(K\x01" + number(len(data)) + number(data.shape[1]) + b"\x86",
            b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN",
            number(-1) * 2 + b"K\x00tb\x89" + text(data.tobytes(), long=True) + b"tb",
            text(b"filenames"),
            b"](" + text(b"leptodactylus_pentadactylus_s_000004.png") + b"e",
            b"u.",
        ]
    )


@pytest.fixture
def write(tmp_path):
    """Write bytes, or pickle something, as a file."""

    def write(content, protocol=2):
        path = tmp_path / "data_batch_1"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
        return path

    return write


def test_files_of_python_2_are_read(write, noise):
    data = noise(3, 3072)
    content = python_2_batch([6, 9, 0], data)
    assert np.array_equal(pickle.loads(content, encoding="bytes")[b"data"], data)  # as every other program reads it
    batch = read_batch(write(content))
    np.testing.assert_array_equal(batch.records, data.reshape(3, 3, 32, 32))
    assert batch.labels == {"labels": [6, 9, 0]}


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_files_of_python_3_are_read(write, noise, protocol):
    data = noise(2, 3072)
    batch = read_batch(write({"data": data, "fine_labels": [3, 4], "coarse_labels": [0, 1]}, protocol))
    np.testing.assert_array_equal(batch.records, data.reshape(2, 3, 32, 32))
    assert batch.labels == {"fine_labels": [3, 4], "coarse_labels": [0, 1]}


def test_names_of_labels_are_read(write):
    assert read_names(write({"label_names": ["frog", b"truck"]}), "label_names") == ("frog", "truck")
    with pytest.raises(DataError, match="no fine_label_names"):
        read_names(write({"label_names": ["frog"]}), "fine_label_names")


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


EVIL = {
    "system": lambda mark: Evil(os.system, f"touch {mark}"),
    "eval": lambda mark: Evil(eval, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Evil(open, str(mark), "w"),
    "getattr": lambda mark: Evil(getattr, "text", "join"),
    "numpy.load": lambda mark: Evil(np.load, str(mark)),
    "numpy.ufunc": lambda mark: Evil(np._core._internal._ctypes, np.zeros(3)),  # pyright: ignore
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", EVIL)
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(write, tmp_path, kind, protocol):
    mark = tmp_path / "mark"
    path = write({"data": EVIL[kind](mark), "labels": [0]}, protocol)
    with pytest.raises(DataError, match="was not run"):
        read_pickle(path)
    assert not mark.exists()


OPCODES = {
    "a name with dots": b"\x80\x04\x8c\x05numpy\x8c\x0bndarray.dot\x93.",
    "a name of ours": b"cganlet.data.cifar_pickles\nPath\n.",
    "an instance": b"(ios\nsystem\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "an object elsewhere": b"\x80\x02K\x01Q.",
}


@pytest.mark.parametrize("kind", OPCODES)
def test_other_ways_to_a_function_lead_nowhere(write, kind):
    with pytest.raises(DataError, match=r"was not run|is damaged"):
        read_pickle(write(OPCODES[kind]))


DAMAGED = {
    "cut off": lambda good: pickle.dumps(good, 2)[:-40],
    "empty": lambda good: b"",
    "text": lambda good: b"<html>not found</html>",
    "a list": lambda good: pickle.dumps([good], 2),
    "no array": lambda good: pickle.dumps(good | {"data": [1, 2]}, 2),
    "other pictures": lambda good: pickle.dumps(good | {"data": good["data"][:, :-1].copy()}, 2),
    "floats": lambda good: pickle.dumps(good | {"data": good["data"].astype(np.float32)}, 2),
    "other order": lambda good: pickle.dumps(good | {"data": np.asfortranarray(good["data"])}, 2),
    "objects": lambda good: pickle.dumps(good | {"data": np.array([[None] * 3072] * 2)}, 2),
    "too few labels": lambda good: pickle.dumps(good | {"labels": [1]}, 2),
    "labels of text": lambda good: pickle.dumps(good | {"labels": ["a", "b"]}, 2),
    "labels in an array": lambda good: pickle.dumps(good | {"labels": np.array([1, 2])}, 2),
    "fewer bytes": lambda good: python_2_batch([1, 2], good["data"]).replace(
        b"J\2\0\0\0J\0\x0c\0\0\x86", b"J\3\0\0\0J\0\x0c\0\0\x86"
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_told(write, noise, kind):
    path = write(DAMAGED[kind]({"data": noise(2, 3072), "labels": [0, 1]}))
    with pytest.raises(DataError, match="A file of CIFAR is damaged") as caught:
        read_batch(path)
    assert caught.value.where == str(path)


DAG = b")q\1h\1h\1\x86" + b"".join(b"q%ch%ch%c\x86" % (n, n, n) for n in range(2, 60))
LIST = b"]q\1" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(1, 60))
BOMBS = {
    "a deep key": b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"K\1s.",
    "a wide key": b"\x80\x02}" + b")" + b"2\x86" * 60 + b"K\1s.",
    "a key of one tuple, again and again": b"\x80\x02}" + DAG + b"K\1s.",
    "by another place": b"\x80\x04}" + b")\x85\x94h\0h\0\x86\x94h\1h\1\x86" + b"K\1s.",
    "by a place that is taken twice": b"\x80\x04}]q\0]q\0)\x85\x94h\1h\1\x86" + b"K\1s.",
    "a high place in memory": b"\x80\x02}r" + struct.pack("<I", 300_000_000) + b".",
    "a high place in memory, as text": b"}p300000000\n.",
    "an encoding of any size": b"\x80\x02c_codecs\nencode\nX\1\0\0\0a" + LIST + b"\x86R.",
    "a shape of any size": b"\x80\x02}U\4datacnumpy\nndarray\n)R(K\1" + LIST + b"K\1\x86NN)tbs.",
    "a side of many digits": b"\x80\x02}U\4datacnumpy\nndarray\n)R(K\1\x8b\xd0\7\0\0" + b"\1" * 2000
    + b"K\1\x86NN)tbs.",
    "sets": b"\x80\x04\x8f.",
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_what_would_take_all_memory_time_or_stack_is_refused(write, kind):
    path = write(BOMBS[kind])
    with pytest.raises(DataError, match="A file of CIFAR is damaged") as caught:
        read_batch(path)
    assert len(str(caught.value)) < 1000


def test_a_tuple_is_known_by_its_place_however_the_place_was_found(write):
    for kind in ("a key of one tuple, again and again", "by another place", "by a place that is taken twice"):
        with pytest.raises(DataError, match="used twice"):
            read_batch(write(BOMBS[kind]))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_names_of_files_may_be_many(write, noise, protocol):
    names = [f"name of a picture {number}.png" for number in range(2_000)]
    batch = {"data": noise(2, 3072), "labels": [0, 1], "filenames": names}
    assert read_batch(write(batch, protocol)).labels == {"labels": [0, 1]}


def test_no_file_of_any_size_is_read(write, monkeypatch):
    monkeypatch.setattr("ganlet.data.cifar_pickles.MAX_BYTES", 10)
    with pytest.raises(DataError, match="at most 10"):
        read_pickle(write({"data": 1}))
