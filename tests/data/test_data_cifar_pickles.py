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


def test_no_file_of_any_size_is_read(write, monkeypatch):
    monkeypatch.setattr("ganlet.data.cifar_pickles.MAX_BYTES", 10)
    with pytest.raises(DataError, match="at most 10"):
        read_pickle(write({"data": 1}))
