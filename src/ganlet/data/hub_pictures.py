"""Sets of pictures on the Hugging Face hub: hf:OWNER/NAME[/SUBSET][@REVISION].

`datasets` (the extra of that name) finds the files, fetches them into its own cache and knows their columns; it runs no
code of a repository. Pictures stay bytes there: they are decoded here, as those of every other source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ganlet.data.decode import BrokenPicture
from ganlet.data.hub_columns import choose_columns, read_attributes, read_labels
from ganlet.data.parts import part_of
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture
from ganlet.errors import DataError, EnvironmentProblem, GanletError
from ganlet.hub import SHOWN, HubName, NoAnswer, hub_library, hub_problems, is_hub_name, is_offline
from ganlet.paths import printable, shortened

TIMEOUT = 20
BATCH = 256
LISTED = 8


def open_hub_pictures(config: DataConfig) -> Source:
    """The pictures of a set on the hub, of the splits that `data.split` asks for.

    Raises DataError for a set that is not there, or has no pictures; EnvironmentProblem without `datasets`, without a
    network where nothing was fetched before, and where the hub wants to know who asks.
    """
    name = HubName.of(config.source, "data.source", subsets=True)
    library = _datasets_library()
    builder, told = _prepared(library, name)
    with _library_problems(name):
        found: Mapping[str, Any] = builder.as_dataset()
    splits = _splits(name, config.split, list(found))
    columns = choose_columns(library, name, found[splits[0]].features, config)
    with _library_problems(name):
        pictures = {split: found[split].cast_column(columns.image, library.Image(decode=False)) for split in splits}
        labels, label_names = read_labels(library, columns, pictures)
        rows = read_attributes(name, columns, pictures) if columns.attributes else None
    roots = _roots(library)

    def walk() -> Iterator[SourcePicture]:
        for split, dataset in pictures.items():
            only = dataset.select_columns([columns.image])
            for start in range(0, len(only), BATCH):
                for number, item in enumerate(only[start : start + BATCH][columns.image], start):
                    read = partial(_read, item, roots, config.max_bytes)
                    label = labels[split][number] if labels else None
                    yield SourcePicture(read, f"{split}/{number}", label, rows[split][number] if rows else None)

    others = [split for split in found if split not in splits]
    notes = [
        f"of the hub: {name.repo} at {str(builder.hash)[:SHOWN]}, split {' and '.join(splits)}"
        + (f"; not read: {', '.join(others)}" if others else ""),
        *told,
        *([f"not read: columns {', '.join(map(printable, columns.others))}"] if columns.others else []),
    ]
    identity = " ".join([name.repo, str(builder.hash), builder.config.name, *splits, *map(str, columns[:3])])
    return Source(
        "hub",
        identity,
        sum(map(len, pictures.values())),
        walk,
        label_names,
        attribute_names=columns.attributes or None,
        notes=tuple(notes),
        has_test=any(part_of(split) == "test" for split in found),
    )


def _datasets_library() -> Any:
    hub_library()
    try:
        import datasets
    except Exception as error:  # a broken one raises whatever it likes
        raise EnvironmentProblem(
            "Sets of pictures on the hub are read by the library datasets, which cannot be imported.",
            got=shortened(printable(error)),
            hint="pip install 'ganlet[datasets]'",
        ) from error
    return datasets


def _prepared(library: Any, name: HubName) -> tuple[Any, list[str]]:
    """The builder of a set at one commit, with all of its files fetched, and what is to be told about it.

    Where the hub does not answer, what was fetched before serves.
    """
    told: list[str] = []
    try:
        if is_offline():
            raise NoAnswer("The hub is not to be asked (HF_HUB_OFFLINE).")
        with hub_problems(name, "set of pictures", DataError):
            info = hub_library().HfApi().dataset_info(name.repo, revision=name.revision, timeout=TIMEOUT)
        builder = _builder(library, name, info.sha)
        with _library_problems(name), hub_problems(name, "set of pictures", DataError):
            builder.download_and_prepare()
    except NoAnswer as problem:
        builder = _kept(library, name, problem)
        told.append(f"{problem.what} The pictures are those that were fetched before.")
    return builder, told


def _builder(library: Any, name: HubName, revision: str | None) -> Any:
    """The library's builder of a set, whose `hash` is the commit. Raises DataError, naming the subsets where one is to
    be chosen."""
    address = f"hf://datasets/{name.repo}"  # so that no folder of that name is taken for it
    try:
        with hub_problems(name, "set of pictures", DataError):
            return library.load_dataset_builder(address, name.subset, revision=revision)
    except ValueError as error:
        if name.subset is None and "onfig name" not in str(error):
            raise _unreadable(name, error) from error
        with _library_problems(name):
            subsets = library.get_dataset_config_names(address, revision=revision)
        close = ", ".join(str(name._replace(subset=subset)) for subset in subsets[:LISTED])
        raise DataError(
            "This set has several subsets, and one is to be chosen." if name.subset is None else "No such subset.",
            where=str(name),
            expected=close + (", ..." if len(subsets) > LISTED else ""),
        ) from error
    except GanletError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def _kept(library: Any, name: HubName, problem: NoAnswer) -> Any:
    """The builder of what was fetched before. Raises EnvironmentProblem where that is nothing, or another commit."""
    before = library.config.HF_HUB_OFFLINE
    library.config.HF_HUB_OFFLINE = True  # else it asks the hub again and again, for half a minute
    try:
        builder = library.load_dataset_builder(f"hf://datasets/{name.repo}", name.subset, revision=name.revision)
    except Exception as error:
        raise EnvironmentProblem(
            problem.what.removesuffix(".") + ", and nothing was fetched from there before.",
            where=str(name),
            got=problem.got or shortened(printable(error)),
            hint=problem.hint or "unset HF_HUB_OFFLINE",
        ) from error
    finally:
        library.config.HF_HUB_OFFLINE = before
    if name.revision and not str(builder.hash).startswith(name.revision):
        raise EnvironmentProblem(
            problem.what.removesuffix(".") + ", and what was fetched before is of another revision.",
            where=str(name),
            got=str(builder.hash)[:SHOWN],
            expected=name.revision,
            hint=problem.hint or "unset HF_HUB_OFFLINE",
        )
    return builder


def _splits(name: HubName, wanted: str, splits: Sequence[str]) -> list[str]:
    """The splits that `data.split` means: all of them, or those of their kind; a single one serves for training."""
    if wanted == "all":
        return list(splits)
    meant = [split for split in splits if part_of(split) == wanted]
    if not meant and wanted == "train" and len(splits) == 1 and part_of(splits[0]) is None:
        return list(splits)
    if not meant:
        raise DataError(
            f"The set has no split for data.split {wanted}.",
            where=str(name),
            got=", ".join(map(printable, splits)),
            expected="train" if wanted == "train" else "test, validation or the like",
            hint="--set data.split=all",
        )
    return meant


def _roots(library: Any) -> list[str]:
    """The folders in which the libraries keep what they fetch."""
    from huggingface_hub import constants

    kept = (constants.HF_HUB_CACHE, library.config.HF_DATASETS_CACHE, library.config.DOWNLOADED_DATASETS_PATH)
    return [os.path.realpath(folder) for folder in kept]


def _read(item: Mapping[str, Any] | None, roots: Sequence[str], max_bytes: int) -> bytes:
    """The bytes of a picture: in its row, or in a file that was fetched. A path to anywhere else is not followed."""
    data, path = (item.get("bytes"), item.get("path")) if item else (None, None)
    if data is None and path:
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(root) for root in roots):
            raise BrokenPicture("its row has no bytes but a path, to a file that was not fetched from the hub")
        try:
            size = real.stat().st_size
            data = real.read_bytes() if size <= max_bytes else bytes(0)
        except OSError as error:
            raise BrokenPicture(f"cannot be read: {error.strerror}") from error
    else:
        size = len(data or b"")
    if data is None:
        raise BrokenPicture("its row is empty")
    if size > max_bytes:
        raise BrokenPicture(f"{size} bytes, more than data.max_bytes = {max_bytes}")
    return data


@contextmanager
def _library_problems(name: HubName) -> Iterator[None]:
    """Turn whatever the library stumbles on into one error."""
    try:
        yield
    except (GanletError, ConnectionError, TimeoutError):
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def _unreadable(name: HubName, error: Exception) -> DataError:
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    lines = [(str(one).strip() or type(one).__name__).splitlines()[0] for one in causes]
    got = dict.fromkeys(shortened(printable(line)) for line in lines)
    return DataError(
        "This set of the hub cannot be read.",
        where=str(name),
        got="; ".join(list(got)[:3]),
        expected="pictures in parquet files, in folders, or in tar or zip archives of pictures",
        hint="download its files, and give the folder",
    )


KIND = SourceKind(
    "hf:OWNER/NAME[/SUBSET][@REVISION], a set of pictures on the Hugging Face hub, fetched once",
    matches=is_hub_name,
    open=open_hub_pictures,
    absolute=lambda text: text,
)
