import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ganlet.data.archive import open_zip
from ganlet.data.attributes import find_table, read_table
from ganlet.data.folder import open_folder
from ganlet.data.labels import label_names
from ganlet.data.layout import Wanted
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.errors import DataError

MAX_BYTES = 2**20
SMALL = ["6 of 6 pictures are enlarged more than twice: a smaller data.size fits better"]
NAMES = ["img/a.png", "img/b c.png"]
CSV = "file,hat,grin\nimg/a.png,1,0\nimg/b c.png,0,0\n"
CELEBA = "2\nhat grin\na.png  1 -1\nb c.png -1 -1\n"


def rows_of(text, table="attributes.csv", names=NAMES):
    data = text if isinstance(text, bytes) else text.encode()
    rows = read_table("here", table, names, lambda _: data)
    return rows.attribute_names, dict(zip(names, map(list, rows.of_pictures), strict=True))


EXPECTED = (("hat", "grin"), {"img/a.png": [1, 0], "img/b c.png": [0, 0]})


@pytest.mark.parametrize(("there", "listed"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")])
def test_a_name_is_the_same_in_each_unicode_form(there, listed):
    text = CSV.replace("img/a", listed)
    assert rows_of(text, names=[f"{there}.png", "img/b c.png"])[1] == {f"{there}.png": [1, 0], "img/b c.png": [0, 0]}


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        CSV.replace(",0", ",-1"),
        CSV.replace("1", "True").replace("0", "FALSE"),
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV,
        CSV.replace("img/a.png", " ./img//a.png "),
        CSV.replace("img/", ""),
        CSV.replace("/", "\\"),
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace(",", "|"),
        "sep=;\n" + CSV.replace(",", ";"),
        CSV.encode("utf-16"),
        "\ufeff".encode("utf-16-be") + CSV.encode("utf-16-be"),
        CSV + ",,\n\n , ,\n",
        CSV.replace("\n", ",,\n"),
        CSV.replace("1", "1.0").replace("0", "0.0").replace("1.0.0", "1.0"),
        CSV.replace("1", "yes").replace("0", "No"),
        '"file name","hat", grin\n"img/b c.png", 0 ,0\n\nimg/a.png,"1",0',
        ",file,hat,grin\n0,img/a.png,1,0\n1,img/b c.png,0,0\n",
        ",hat,grin\nimg/a.png,1,0\nimg/b c.png,0,0\n",
    ],
)
def test_a_table_is_read_however_it_is_written(text):
    assert rows_of(text) == EXPECTED


@pytest.mark.parametrize(
    "text", [CELEBA, CELEBA.replace("\n", "\r\n"), "\ufeff" + CELEBA, CELEBA.replace("a.png", "img/a.png") + "\n"]
)
def test_a_table_of_celeba_is_read(text):
    assert rows_of(text, "list_attr_celeba.txt") == EXPECTED


def test_without_a_table_there_are_no_attributes():
    rows = read_table("here", None, NAMES, lambda _: pytest.fail("read"))
    assert (rows.attribute_names, list(rows.of_pictures)) == (None, [None, None])


def test_a_table_in_another_encoding_says_which_is_read():
    with pytest.raises(DataError, match="cannot be read") as caught:
        rows_of("file,chapeau \u00e9l\u00e9gant\n".encode("latin-1"))
    assert "save it as UTF-8" in caught.value.hint


def refused(text, table="attributes.csv", names=NAMES):
    with pytest.raises(DataError, match="table of attributes") as caught:
        rows_of(text, table, names)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("", 1, "no names of attributes"),
        ("file\nimg/a.png\n", 1, "no names of attributes: file"),
        (CSV.partition("\n")[2], 1, "a picture in place of names: img/a.png,1,0"),
        (CSV.replace("grin", " "), 1, "column 3 without a name"),
        (CSV.replace("grin", "hat"), 1, "2 columns named hat"),
        (CSV.replace("0,0", "0"), 3, "1 value"),
        (CSV.replace("0,0", "0,0,1"), 3, "3 values"),
        (CSV.replace("1,0", "2,0"), 2, "the value '2'"),
        (CSV.replace("1,0", ",0"), 2, "the value ''"),
        (CSV.replace("1,0", "\u202e,0"), 2, r"the value '\u202e'"),
        (CSV.replace("0,0", "-1,0"), 3, "both 0 and -1 in one table"),
        (CSV.replace("0,0", "-1,-1"), 3, "both 0 and -1 in one table"),
        (CSV + "a.png,0,0\n", 4, "a.png for a second time"),
        (CSV + 'img/a.png,"0\n', 4, "unexpected end of data"),
        (CSV + "x" * 200_000, 4, "field larger than field limit (131072)"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, line, got):
    error = refused(text)
    assert (error.where, error.got) == (f"here, attributes.csv, line {line}", got)
    assert error.expected


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("", 2, "no names of attributes"),
        ("2\n\n", 2, "no names of attributes"),
        (CELEBA.replace("grin", "hat"), 2, "2 columns named hat"),
        (CELEBA.replace("2\n", "3\n"), 1, "3"),
        (CELEBA.replace("2\n", "many\n"), 1, "many"),
        (CELEBA.replace("a.png  1 -1", "a.png 1"), 3, "1 value"),
        (CELEBA.replace(" 1 -1", " 1 x"), 3, "the value 'x'"),
    ],
)
def test_what_is_wrong_in_a_table_of_celeba_is_told_with_its_line(text, line, got):
    error = refused(text, "list_attr_celeba.txt")
    assert (error.where, error.got) == (f"here, list_attr_celeba.txt, line {line}", got)


def test_pictures_that_the_table_lacks_are_named():
    names = NAMES + [f"img/{i:02}.png" for i in range(12)]
    error = refused(CSV, names=names)
    assert error.what == "12 of 14 pictures have no line in the table of attributes."
    assert error.got.startswith("img/00.png, img/01.png, ")
    assert error.got.endswith("img/09.png ...")


def test_lines_about_other_pictures_are_counted():
    more = CSV + "img/c.png,0,0\n../img/a.png,2,x\n"
    rows = read_table("here", "attributes.csv", NAMES, lambda _: more.encode())
    assert rows.num_unused == 2
    assert [list(row) for row in rows.of_pictures] == [[1, 0], [0, 0]]


def test_a_line_that_may_be_meant_for_a_missing_picture_is_named():
    error = refused(CSV.replace("img/a.png", "img/A.png"))
    assert error.got == "img/a.png"
    assert error.expected == "a line for every picture; there is one for img/A.png, which is no picture here"


def test_words_are_classes():
    error = refused("file,animal\nimg/a.png,polar bear\nimg/b c.png,dog\n")
    assert (error.where, error.got) == ("here, attributes.csv, line 2", "the value 'polar bear'")
    assert error.hint.endswith("--set data.labels=classes")
    assert refused(CSV.replace("1", "0.5")).hint is None


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("sep=;\nfile;hat\nimg/a.png;2\n", 3, "the value '2'"),
        (CSV.replace("grin\n", "grin,\n").replace("0,0", "0,0,1"), 1, "column 4 without a name"),
    ],
)
def test_lines_are_counted_as_an_editor_does(text, line, got):
    error = refused(text)
    assert (error.where, error.got) == (f"here, attributes.csv, line {line}", got)


def test_text_that_is_none_is_refused():
    assert refused(b"file,hat\nimg/a.png,\xff\n").got == "byte 19 is not UTF-8 text"


@given(st.text(st.sampled_from('file,hat\n\r"01-;  a.png/\0\ufeff\u2028'), max_size=60))
@example("file,hat\n" + "a.png,1")
def test_any_text_is_read_or_refused(text):
    for table in ("attributes.csv", "list_attr_celeba.txt"):
        with suppress(DataError):
            names, rows = rows_of(text, table, ["a.png"])
            assert len(rows["a.png"]) == len(names) > 0
            assert set(rows["a.png"]) <= {0, 1}


@given(st.data())
def test_a_damaged_table_is_read_or_refused(data):
    table = data.draw(st.sampled_from(["attributes.csv", "list_attr_celeba.txt"]))
    damaged = bytearray((CSV if table == "attributes.csv" else CELEBA).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DataError):
        names, rows = rows_of(bytes(damaged), table)
        assert {len(row) for row in rows.values()} == {len(names)}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], None),
        (["attributes.csv", "notes.txt"], "attributes.csv"),
        (["celeba/list_attr_celeba.txt"], "celeba/list_attr_celeba.txt"),
        (["celeba/img/attributes.csv"], "celeba/img/attributes.csv"),
        (["celeba/img/x/attributes.csv", "else/attributes.csv", "celeba/Attributes.csv"], None),
    ],
)
def test_the_table_lies_in_the_folder_of_all_pictures_or_above(others, expected):
    assert find_table("here", ["celeba/img/x/1.png", "celeba/img/y/1.png"], others) == expected


def test_several_tables_are_refused():
    with pytest.raises(DataError, match="several tables") as caught:
        find_table("here", ["a.png"], ["list_attr_celeba.txt", "attributes.csv"])
    assert caught.value.got == "attributes.csv, list_attr_celeba.txt"


@pytest.fixture
def labelled(write_folder, noise):
    """A folder of six pictures in two sub-folders of one, with a table beside it."""
    files = {f"faces/{'ab'[i % 2]}/{i}.png": noise(9, 9, 3, seed=i) for i in range(6)}
    lines = ["file,hat,grin,tie"] + [f"{name},{i % 2},{i // 3},{int(i == 4)}" for i, name in enumerate(files)]
    return write_folder({**files, "attributes.csv": "\n".join(lines).encode()})


def told(pack):
    return {name: tuple(row.tolist()) for name, row in zip(pack.names, pack.attributes, strict=True)}


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_and_an_archive_have_the_attributes_of_their_table(labelled, tmp_path, open_pack, no_decoding, packed):
    source = shutil.make_archive(str(tmp_path / "faces"), "zip", labelled) if packed else labelled
    assert open_pack(source).attributes is None
    pack = open_pack(source, labels="attributes")
    assert pack.attribute_names == ("hat", "grin", "tie")
    assert pack.attributes.dtype == np.uint8
    assert told(pack) == {f"faces/{'ab'[i % 2]}/{i}.png": (i % 2, i // 3, int(i == 4)) for i in range(6)}
    assert pack.label_names == ("a", "b")
    no_decoding()
    assert told(open_pack(source, labels="attributes")) == told(pack)
    assert len(told(open_pack(source, labels="attributes", holdout=0.5)).items() & told(pack).items()) == 3


def test_the_table_that_kaggle_has_is_read(labelled, open_pack):
    before = told(open_pack(labelled, labels="attributes"))
    table = labelled / "attributes.csv"
    text = table.read_text().replace(",0", ",-1")
    table.unlink()
    (labelled / "list_attr_celeba.csv").write_text(text)
    assert told(open_pack(labelled, labels="attributes")) == before


def test_a_table_of_another_name_is_named(labelled):
    (labelled / "attributes.csv").rename(labelled / "labels.csv")
    config = DataConfig(source=str(labelled), labels="attributes")
    with pytest.raises(DataError, match="no attributes") as caught:
        label_names(open_source(config), config)
    assert caught.value.got == "files of other names beside the pictures: labels.csv"
    assert caught.value.hint == "call the table attributes.csv, or --set data.labels=classes"


def test_lines_that_are_not_used_are_told(labelled, open_pack):
    with (labelled / "attributes.csv").open("a") as table:
        table.write("\nelse.png,0,0,0\n")
    assert open_pack(labelled, labels="attributes").summary["notes"] == [
        "1 lines of attributes.csv are about pictures that are not here",
        *SMALL,
    ]
    assert open_pack(labelled).summary["notes"] == ["not read: 1 .csv", *SMALL]


def test_other_tables_are_told_apart_and_pictures_are_shared(labelled, open_pack, cache):
    before = open_pack(labelled, labels="attributes")
    table = labelled / "attributes.csv"
    table.write_text(table.read_text().replace("a/0.png,0", "a/0.png,1"))
    after = open_pack(labelled, labels="attributes")
    assert told(after)["faces/a/0.png"] == (1, 0, 0) != told(before)["faces/a/0.png"]
    assert after.fingerprint == before.fingerprint
    assert len(list((cache / "packs").iterdir())) == 1


def test_a_table_is_looked_at_only_on_request(labelled, open_pack):
    (labelled / "attributes.csv").write_text("broken")
    pack = open_pack(labelled)
    assert pack.attributes is None
    assert pack.summary["ignored"] == {".csv": 1}
    with pytest.raises(DataError, match="table of attributes is wrong"):
        open_pack(labelled, labels="attributes")


def test_equal_pictures_are_sorted_by_their_attributes(write_folder, open_pack, noise):
    def told_of(order, root):
        files = {name: noise(8, 8, 1) for name in ("a.png", "b.png", "c.png")}
        lines = "".join(f"{name},{value}\n" for name, value in zip(files, order, strict=True))
        folder = write_folder({**files, "attributes.csv": f"f,hat\n{lines}".encode()}, root)
        pack = open_pack(folder, labels="attributes")
        return pack.attributes[:, 0].tolist()

    assert told_of((1, 0, 1), "one") == told_of((0, 1, 1), "two") == [0, 1, 1]


@pytest.mark.parametrize("open_source", [open_folder, open_zip])
def test_a_table_that_is_too_large_is_refused(labelled, tmp_path, open_source):
    (labelled / "attributes.csv").write_bytes(np.random.default_rng(0).bytes(9_000))
    source = labelled
    if open_source is open_zip:
        source = Path(shutil.make_archive(str(tmp_path / "faces"), "zip", labelled))
    with pytest.raises(DataError, match=r"refused|cannot be read") as caught:
        open_source(source, 8_000, Wanted(attributes=True))
    assert "9000 bytes" in caught.value.got
