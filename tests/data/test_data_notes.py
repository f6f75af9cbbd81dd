"""What is known of pictures once they are packed is told, and what is not read is told or stops."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from ganlet.data.folder import open_folder
from ganlet.data.notes import size_notes, value_notes, white_level
from ganlet.data.settings import DataConfig
from ganlet.errors import DataError

WIDE = {(32, 355): 10}
CUT = "pictures lose more than 40% at their edges"


@pytest.mark.parametrize(
    ("sizes", "settings", "expected"),
    [
        ({(32, 32): 5}, {}, []),
        ({(28, 28): 5}, {}, []),
        ({(16, 16): 5}, {}, []),
        ({(15, 16): 5}, {}, ["5 of 5 pictures are enlarged more than twice: a smaller data.size fits better"]),
        ({(15, 16): 5, (32, 32): 5}, {}, []),
        (
            {(15, 16): 6, (32, 32): 5},
            {},
            ["6 of 11 pictures are enlarged more than twice: a smaller data.size fits better"],
        ),
        ({(60, 100): 9}, {}, []),  # loses exactly 40 %
        ({(59, 100): 9}, {}, ["9 of 9 pictures lose more than 40% at their edges: data.crop=pad keeps all of them"]),
        ({(59, 100): 5, (60, 100): 5}, {}, []),
        ({(59, 100): 9}, {"crop": "pad"}, []),
        ({(59, 100): 9}, {"crop": "stretch"}, []),
        (
            {(59, 100): 9},
            {"crop": "random"},
            ["9 of 9 pictures lose more than 40% at their edges: data.crop=pad keeps all of them"],
        ),
        (WIDE, {"size": "32x355"}, []),
        (
            WIDE,
            {"size": "355x32"},
            [
                f"10 of 10 {CUT}: data.size is height x width, did you mean 32x355?",
                "10 of 10 pictures are enlarged more than twice: a smaller data.size fits better",
            ],
        ),
        (
            {(100, 500): 3},
            {"size": "64x32"},
            ["3 of 3 pictures lose more than 40% at their edges: data.crop=pad keeps all of them"],
        ),
    ],
)
def test_what_cutting_and_enlarging_lose(sizes, settings, expected):
    assert size_notes(Counter(sizes), DataConfig(**settings)) == expected


@pytest.mark.parametrize(
    ("low", "high", "highest", "white", "start"),
    [
        (0, 128, None, None, None),
        (127, 255, None, None, None),
        (0, 127, None, None, "no value is above 127 of 255, so all pictures are nearly black"),
        (128, 255, None, None, "no value is below 128 of 255, so all pictures are pale"),
        (0, 14, 3700.0, None, "values end at 3700, so all pictures are nearly black: --set data.white=4095 stretches"),
        (0, 100, 0.4, None, "values end at 0.4, so all pictures are nearly black: --set data.white=0.4 stretches"),
        (0, 255, 3700.0, 4095, None),
        (0, 255, 3700.0, 1000, "values above data.white = 1000 become white: they reach up to 3700"),
        (0, 230, 59000.0, None, None),
    ],
)
def test_values_in_a_small_part_of_the_range(low, high, highest, white, start):
    notes = value_notes(low, high, highest, DataConfig(white=white))
    assert [note[: len(start)] for note in notes] == [start] if start else notes == []


@pytest.mark.parametrize(
    ("highest", "white"), [(3700, 4095), (4095, 4095), (4096, 8191), (255, 255), (0.5, 0.5), (1, 1)]
)
def test_the_white_level_is_the_end_of_a_range_of_bits(highest, white):
    assert white_level(highest) == white


def scans(write_folder, encode, highest=3700):
    values = np.linspace(0, highest, 256).astype(np.uint16).reshape(16, 16)
    return write_folder({f"{i}.png": encode(Image.fromarray(np.roll(values, i))) for i in range(4)})


def test_scans_of_12_bits_are_told_and_mended(write_folder, encode, open_pack):
    root = scans(write_folder, encode)
    dark = open_pack(root, size=16)
    assert dark.summary["notes"] == [
        "values end at 3700, so all pictures are nearly black: --set data.white=4095 stretches them"
    ]
    assert dark.pictures.max() == 14
    bright = open_pack(root, size=16, white=4095)
    assert bright.summary["notes"] == []
    assert bright.pictures.max() == round(3700 / 4095 * 255)


def test_one_bright_picture_is_enough(write_folder, noise, open_pack):
    dark = {f"{i}.png": noise(8, 8, 1, seed=i) // 4 for i in range(5)}
    root = write_folder(dark)
    assert open_pack(root, size=8).summary["notes"][0].startswith("no value is above 63 of 255")
    (root / "z.png").write_bytes((write_folder({"z.png": noise(8, 8, 1)}, "other") / "z.png").read_bytes())
    assert open_pack(root, size=8).summary["notes"] == []


def test_what_is_padded_does_not_hide_that_all_is_dark(write_folder, noise, open_pack):
    root = write_folder({f"{i}.png": noise(8, 4, 1, seed=i) // 4 for i in range(5)})
    assert open_pack(root, size=8, crop="pad").summary["notes"][0].startswith("no value is above 63 of 255")


HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


def test_few_files_that_are_not_read_are_told(write_folder, noise, open_pack):
    files = {f"{i:03}.png": noise(8, 8, 3, seed=i) for i in range(99)}
    root = write_folder({**files, "x.heic": HEIC, "y.npy": b"", "notes.txt": b""})
    note = "not read: 1 .heic (convert them to PNG or JPEG); 1 .npy (arrays go to open_images in Python); 1 .txt"
    assert open_pack(root, size=8).summary["notes"] == [note]
    assert open_pack(root, size=8).summary["notes"] == [note], "from the cache as well"
    (root / "z.txt").touch()
    assert open_pack(root, size=8).summary["notes"] == [note.replace("1 .txt", "2 .txt")], "as it is now"


def test_many_that_claim_to_be_pictures_stop_unless_that_is_wanted(write_folder, noise, open_pack):
    files = {f"{i:03}.png": noise(8, 8, 3, seed=i) for i in range(98)}
    root = write_folder({**files, "x.heic": HEIC})
    (root / "gone.jpg").symlink_to("nowhere")
    (root / "gone").symlink_to("nowhere")  # claims nothing
    with pytest.raises(DataError, match="2 of 100 files that claim to be pictures are not read") as caught:
        open_pack(root, size=8)
    assert [line.strip() for line in caught.value.got.splitlines()] == [
        "gone.jpg: link that leads nowhere",
        "x.heic: .heic is not read",
        "what is in the other 98 has not been looked at yet",
    ]
    assert caught.value.expected == "at most data.skip_bad_limit = 1.0% (0 to 1)"
    assert caught.value.hint.endswith(", or leave them out with --set data.skip_bad=true")
    assert len(open_pack(root, size=8, skip_bad=True)) == 98
    assert len(open_pack(root, size=8, skip_bad_limit=0.02)) == 98


def test_one_in_a_hundred_is_not_too_much(write_folder, noise, open_pack):
    files = {f"{i:03}.png": noise(8, 8, 3, seed=i) for i in range(99)}
    assert len(open_pack(write_folder({**files, "x.psd": b""}), size=8)) == 99
    with pytest.raises(DataError, match="1 of 99 files"):
        open_pack(write_folder({**dict(list(files.items())[1:]), "x.psd": b""}, "fewer"), size=8)


def test_nothing_but_files_that_are_not_read_says_what_to_do(write_folder):
    with pytest.raises(DataError, match="no pictures") as caught:
        open_folder(write_folder({"a.NEF": b"II*\0", "b.nef": b"II*\0", "c.txt": b""}), 2**20)
    assert caught.value.got == "3 other files (2 .nef, 1 .txt)"
    assert caught.value.hint == "develop them to JPEG"


@pytest.mark.parametrize(
    ("content", "settings", "hint"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            {},
            "fetch the files themselves: git lfs pull",
        ),
        (b"", {}, "mend or remove them"),
        (
            b"x" * 200,
            {"max_bytes": 100},
            "--set data.max_bytes=... allows more, up to 1099511627776; or make them smaller",
        ),
        (None, {"max_pixels": 10}, "--set data.max_pixels=... allows more, up to 1000000000; or make them smaller"),
    ],
)
def test_a_limit_or_a_pointer_says_what_to_do(write_folder, noise, open_pack, content, settings, hint):
    bad = {f"bad{i}.png": noise(8, 8, 3) if content is None else content for i in range(3)}
    with pytest.raises(DataError, match="3 of 3 pictures") as caught:
        open_pack(write_folder(bad), size=8, **settings)
    assert caught.value.hint == hint
    with pytest.raises(DataError, match="3 of 4 pictures") as caught:
        open_pack(root := write_folder({**bad, "good.png": np.zeros((1, 1, 1), np.uint8)}), size=8, **settings)
    leaving = "--set data.skip_bad=true --set data.skip_bad_limit=0.75"
    assert caught.value.hint == f"{hint}, or leave them out with {leaving}"
    with pytest.raises(DataError, match="more than may be skipped") as caught:
        open_pack(root, size=8, skip_bad=True, **settings)
    assert caught.value.hint == f"{hint}, or leave them out with {leaving}"
    assert len(open_pack(root, size=8, skip_bad=True, skip_bad_limit=0.75, allow_few=True, **settings)) == 1


def test_a_run_is_no_source(write_folder):
    root = write_folder({"samples/1.png": np.zeros((8, 8, 3), np.uint8), "config.yaml": b"", "environment.json": b""})
    with pytest.raises(DataError, match="folder of a run") as caught:
        open_folder(root, 2**20)
    assert caught.value.hint == f"what the run has drawn is in {root / 'samples'}"
    assert open_folder(root / "samples", 2**20).count == 1


def test_the_cache_is_not_looked_into(write_folder, noise, monkeypatch, open_pack):
    root = write_folder({f"{i}.png": noise(8, 8, 3, seed=i) for i in range(3)})
    monkeypatch.setenv("GANLET_CACHE", str(root / "cache"))
    first = open_pack(root, size=8)
    again = open_pack(root, size=8)
    assert first.fingerprint == again.fingerprint
    assert again.summary["left_out"] == {"cache": {"count": 1, "first": ["cache"]}}
