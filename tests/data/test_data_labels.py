from dataclasses import replace

import numpy as np
import pytest

from ganlet.data import smileys
from ganlet.data.labels import LabelVectors, label_names, label_notes, label_vectors
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Pack
from ganlet.errors import DataError


def pack_of(labels=None, names=(), attributes=None, attribute_names=(), files=None):
    count = len(labels if labels is not None else attributes if attributes is not None else files)
    return Pack(
        np.zeros((count, 8, 8, 1), np.uint8),
        None if labels is None else np.array(labels, np.int64),
        names,
        files,
        "",
        {"source": "here\n"},
        None if attributes is None else np.array(attributes, np.uint8),
        attribute_names,
    )


ANIMALS = pack_of([2, 0, 1, 1, 2, 2], ("cat", "dog", "hen"))
LOOKS = pack_of(attributes=[[1, 0, 0], [0, 0, 1], [1, 0, 1]], attribute_names=("hat", "beard", "grin"))


def refused(pack, match, **settings):
    with pytest.raises(DataError, match=match) as caught:
        label_names(pack, DataConfig(**settings))
    return caught.value


def test_without_labels_there_are_no_names_and_no_vectors():
    assert label_names(ANIMALS, DataConfig()) == ()
    assert label_vectors(ANIMALS, DataConfig()) is None
    assert label_notes(ANIMALS, DataConfig()) == []


def test_a_class_is_one_place_of_the_vector():
    assert label_names(ANIMALS, DataConfig(labels="classes")) == ("cat", "dog", "hen")
    vectors = label_vectors(ANIMALS, DataConfig(labels="classes", label_names=("cat", "dog", "hen")))
    assert (len(vectors), vectors.num_labels) == (6, 3)
    found = vectors[np.array([0, 3, 3, 1])]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0]])


def test_classes_may_be_given_in_another_order():
    config = DataConfig(labels="classes", label_names=("hen", "cat", "dog"))
    assert label_names(ANIMALS, config) == ("hen", "cat", "dog")
    np.testing.assert_array_equal(label_vectors(ANIMALS, config)[np.arange(3)], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_picture_has_any_number_of_attributes():
    assert label_names(LOOKS, DataConfig(labels="attributes")) == ("hat", "beard", "grin")
    vectors = label_vectors(LOOKS, DataConfig(labels="attributes", label_names=LOOKS.attribute_names))
    assert (len(vectors), vectors.num_labels) == (3, 3)
    found = vectors[np.array([2, 0, 2])]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 0, 1], [1, 0, 0], [1, 0, 1]])


def test_some_attributes_may_be_chosen_and_ordered():
    config = DataConfig(labels="attributes", label_names=("grin", "hat"))
    assert label_names(LOOKS, config) == ("grin", "hat")
    np.testing.assert_array_equal(label_vectors(LOOKS, config)[np.arange(3)], [[0, 1], [1, 0], [1, 1]])


def test_many_classes_are_kept_as_numbers():
    classes = np.arange(60_000) % 1_000
    vectors = LabelVectors(tuple(map(str, range(1_000))), classes=classes)
    assert vectors.classes.nbytes < 10**6
    assert vectors[np.array([1_234])].nonzero()[1].tolist() == [234]


@pytest.mark.parametrize("labels", ["classes", "attributes"])
def test_names_of_a_resolved_config_stay_as_they_are(labels):
    pack = replace(LOOKS, labels=np.array([0, 1, 1]), label_names=("a", "b"))
    names = label_names(pack, DataConfig(labels=labels))
    assert label_names(pack, DataConfig(labels=labels, label_names=names)) == names


def test_held_out_pictures_may_lack_classes():
    config = DataConfig(labels="classes", label_names=("hen", "cat", "dog"))
    others = pack_of([1, 0], ("dog", "hen"))
    np.testing.assert_array_equal(label_vectors(others, config)[np.arange(2)], [[1, 0, 0], [0, 0, 1]])
    with pytest.raises(DataError, match="not the classes of the source"):
        label_vectors(pack_of([0, 1], ("dog", "cow")), config)


def test_pictures_without_classes_are_refused():
    error = refused(pack_of(files=("a.png", "b.png")), "Pictures have no class", labels="classes")
    assert (error.where, error.got) == (r"here\n", "no labels, such as those of a.png")
    assert "data.labels=none" in error.hint
    with pytest.raises(DataError, match="Pictures have no class"):
        label_vectors(pack_of(files=("a.png",)), DataConfig(labels="classes", label_names=("a", "b")))


def test_pictures_beside_the_classes_are_named():
    files = (*(f"animals/{i:02}.png" for i in range(12)), "animals/cat/x.png", "animals/dog/y\n.png")
    error = refused(pack_of(files=files), "Pictures have no class", labels="classes")
    assert error.got.startswith("12 of 14 pictures lie beside the sub-folders: animals/00.png, animals/01.png")
    assert error.got.endswith("animals/09.png and 2 more")


def test_pictures_in_one_sub_folder_are_a_single_class():
    error = refused(
        pack_of(files=("animals/cat/a.png", "animals/cat/b.png")), "Pictures have no class", labels="classes"
    )
    assert error.got == "all of them in one folder, animals/cat"


def test_a_source_of_arrays_without_labels_is_refused():
    assert refused(pack_of(attributes=[[1]]), "Pictures have no class", labels="classes").got == "no labels"


@pytest.mark.parametrize("names", [("cat",), ("cat", "dog")])
def test_a_single_class_is_refused(names):
    assert refused(pack_of([0, 0], names), "single class", labels="classes").got == "cat"


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "dog"),
        ("cat", "dog", "hen", "cow"),
        ("cat", "dog", "dog"),
        ("cat", "dog", "hen", "hen"),
        ("cat", "dog", "cow"),
    ],
)
def test_other_classes_than_those_of_the_source_are_refused(names):
    error = refused(ANIMALS, "not the classes of the source", labels="classes", label_names=names)
    assert (error.got, error.expected) == (", ".join(names), "cat, dog, hen, in any order")


@pytest.mark.parametrize(
    ("pack", "what", "hint"),
    [
        (ANIMALS, "The source has classes but no attributes.", "--set data.labels=classes"),
        (pack_of(files=("a.png",)), "The source has no attributes.", "--set data.labels=none"),
    ],
)
def test_attributes_that_the_source_lacks_are_refused(pack, what, hint):
    error = refused(pack, "no attributes", labels="attributes")
    assert (error.what, error.hint) == (what, hint)
    with pytest.raises(DataError, match="no attributes"):
        label_vectors(pack, DataConfig(labels="attributes", label_names=("hat",)))


def test_an_unknown_attribute_is_refused_with_the_nearest_one():
    error = refused(LOOKS, "no such attribute", labels="attributes", label_names=("hat", "bread"))
    assert (error.got, error.expected, error.hint) == ("bread", "hat, beard, grin", "did you mean beard?")
    assert refused(LOOKS, "no such attribute", labels="attributes", label_names=("qqq",)).hint is None
    with pytest.raises(DataError, match="no such attribute"):
        label_vectors(LOOKS, DataConfig(labels="attributes", label_names=("qqq",)))


@pytest.mark.parametrize("names", [("hat", "grin", "hat"), ()])
def test_attributes_are_chosen_once_and_at_least_one(names):
    refused(LOOKS, "data.label_names cannot be used", labels="attributes", label_names=names)


def test_attributes_none_of_which_tells_pictures_apart_are_refused():
    constant = pack_of(attributes=[[1, 0], [1, 0]], attribute_names=("here", "never"))
    assert refused(constant, "No attribute tells", labels="attributes").got == "here, never"
    refused(LOOKS, "No attribute tells", labels="attributes", label_names=("beard",))


def test_an_attribute_that_says_nothing_is_told():
    always = replace(LOOKS, attributes=np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], np.uint8))
    config = DataConfig(labels="attributes", label_names=LOOKS.attribute_names)
    assert label_notes(always, config) == [
        "no picture has beard: nothing can be learned from that",
        "every picture has grin: nothing can be learned from that",
    ]


def test_empty_and_rare_classes_are_told():
    pack = pack_of([0] * 30 + [1] * 3, ("cat", "dog", "hen"))
    config = DataConfig(labels="classes", label_names=pack.label_names)
    empty, uneven = label_notes(pack, config)
    assert empty == "without a single picture: hen"
    assert uneven.startswith("classes of 3 to 30 pictures: --set data.balance=true")
    assert label_notes(pack, config.model_copy(update={"balance": True})) == [empty]
    assert label_notes(ANIMALS, config) == []


def test_balance_needs_classes():
    error = refused(pack_of(files=("a.png",)), "data.balance", balance=True)
    assert "data.balance=false" in error.hint
    refused(LOOKS, "data.balance", labels="attributes", balance=True)
    assert label_names(ANIMALS, DataConfig(balance=True)) == ()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_faces_have_attributes(open_pack, channels):
    pack = open_pack("smileys", num_images=200, labels="attributes", channels=channels)
    shown = [name for name in smileys.ATTRIBUTE_NAMES if channels != 4 or not name.startswith("background")]
    assert label_names(pack, DataConfig(labels="attributes")) == tuple(shown)
    faces = smileys.attributes_from_label(pack.labels)
    column = dict(zip(pack.attribute_names, pack.attributes.T, strict=True))
    hat, sad = list(smileys.ACCESSORIES).index("hat"), list(smileys.EXPRESSIONS).index("sad")
    np.testing.assert_array_equal(column["hat"], faces.accessory == hat)
    np.testing.assert_array_equal(column["sad"], faces.expression == sad)
    np.testing.assert_array_equal(column["no accessory"], faces.accessory == 0)
    assert set(pack.attributes.sum(axis=1)) == {4 if channels == 4 else 5}


def test_faces_have_no_attributes_unless_asked_for(open_pack):
    pack = open_pack("smileys", num_images=20)
    assert (pack.attributes, pack.attribute_names) == (None, ())
    asked = open_pack("smileys", num_images=20, labels="attributes")
    assert asked.fingerprint == pack.fingerprint
    assert asked.attributes.shape == (20, 18)


def test_names_of_attributes_of_faces_are_different():
    assert len(set(smileys.ATTRIBUTE_NAMES)) == len(smileys.ATTRIBUTE_NAMES) == sum(smileys.RADICES)
