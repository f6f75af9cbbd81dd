"""What a source holds that is not read, in one line; and when it is too much to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ganlet.data.formats import CLAIMED, CONTAINERS, suffix_of
from ganlet.data.parts import part_of
from ganlet.data.settings import DataConfig
from ganlet.data.spec import BY_SUFFIX, LeftOut, Source
from ganlet.data.tree import claiming
from ganlet.errors import DataError
from ganlet.paths import printable

NAMED = 3  # names of what is rare
LISTED = 10

# Why something is left out, by key, and in words for one and for several.
WORDS = {
    "dead link": ("link that leads nowhere", "links that lead nowhere"),
    "around": ("link to a folder around the source", "links to folders around the source"),
    "linked twice": ("link to a folder that is read already", "links to folders that are read already"),
    "special": ("pipe, socket or device", "pipes, sockets or devices"),
    "run": ("run of ganlet", "runs of ganlet"),
    "cache": ("cache of ganlet", "caches of ganlet"),
    "no pictures": ("sub-folder without pictures", "sub-folders without pictures"),
    "beside": ("picture beside files of another kind", "pictures beside files of another kind"),
    "part": ("picture of another part (data.split)", "pictures of other parts (data.split)"),
    "system": ("of the system or another program", "of the system or other programs"),
    "hidden": ("hidden", "hidden"),
    **dict.fromkeys(BY_SUFFIX, ("", "")),
}


def left_out_line(left_out: Sequence[LeftOut]) -> str | None:
    """All that is not read, by reason, in one line; None where everything is."""
    by_reason: dict[str, list[str]] = {}
    for one in left_out:
        by_reason.setdefault(one.why, []).append(one.name)
    parts = [*_by_suffix(by_reason.get("format", []), CLAIMED), *_by_suffix(by_reason.get("container", []), CONTAINERS)]
    if others := by_reason.get("other"):
        parts.append(_counted(others))
    for why, (one, several) in WORDS.items():
        if one and (names := by_reason.get(why)):
            told = _parts_of(names) if why == "part" else names
            named = ", ".join(map(printable, told[:NAMED])) + (", ..." if len(told) > NAMED else "")
            parts.append(f"{len(names):,} {one if len(names) == 1 else several}: {named}")
    return f"not read: {'; '.join(parts)}" if parts else None


def check_left_out(source: Source, config: DataConfig, where: str) -> None:
    """Stop where more than `data.skip_bad_limit` of what claims to be a picture is not read, unless that is wanted."""
    claimed = too_many(source, config)
    if config.skip_bad or not claimed:
        return
    advice = _advice(claimed)
    total = source.count + len(claimed)
    got = [f"{printable(one.name)}: {why_not(one)}" for one in claimed[:LISTED]]
    if source.count:
        got.append(f"what is in the other {source.count:,} has not been looked at yet")
    raise DataError(
        f"{len(claimed):,} of {total:,} files that claim to be pictures are not read.",
        where=where,
        got="\n            ".join([*got[:LISTED], *_more(len(claimed) - LISTED), *got[LISTED:]]),
        expected=f"at most data.skip_bad_limit = {config.skip_bad_limit:.1%} (0 to 1)",
        hint=f"{advice}, or leave them out with --set data.skip_bad=true",
    )


def too_many(source: Source, config: DataConfig) -> list[LeftOut]:
    """What claims to be pictures and is not read, where that is more than `data.skip_bad_limit` of all that does."""
    claimed = claiming(source.left_out)
    return claimed if len(claimed) > config.skip_bad_limit * (source.count + len(claimed)) else []


def no_pictures(where: str, left_out: Sequence[LeftOut], expected: str) -> DataError:
    """An error that says what there is instead."""
    ignored = [one for one in left_out if one.why in BY_SUFFIX]
    got = f"{len(ignored)} other files ({_counted([one.name for one in ignored], 5)})" if ignored else "no files"
    line = left_out_line([one for one in left_out if one.why not in BY_SUFFIX])
    claimed = [one for one in ignored if one.why in ("format", "container")]
    return DataError(
        "There are no pictures here.",
        where=where,
        got=f"{got}; {line}" if line else got,
        expected=expected,
        hint=_advice(claimed) if claimed else None,
    )


def _advice(claimed: Sequence[LeftOut]) -> str:
    """What to do with most of them."""
    known = Counter((CLAIMED | CONTAINERS).get(suffix_of(one.name), "mend or remove them") for one in claimed)
    return known.most_common(1)[0][0]


def why_not(one: LeftOut) -> str:
    """Why a file that claims to be a picture is not read."""
    return f"{suffix_of(one.name)} is not read" if one.why == "format" else WORDS[one.why][0]


def _more(count: int) -> list[str]:
    return [f"and {count:,} more"] if count > 0 else []


def _parts_of(names: Iterable[str]) -> list[str]:
    """The folders of the parts that pictures are in, each once."""
    return list(dict.fromkeys(next(filter(part_of, name.split("/")), name) for name in names))


def _by_suffix(names: Iterable[str], advices: dict[str, str]) -> list[str]:
    """Files of formats that are not read, those with the same advice together."""
    by_advice: dict[str, list[str]] = {}
    for name in names:
        # A file that is called like a suffix and nothing else has none of its own.
        suffix = suffix_of(name) or next(suffix for suffix in advices if name.lower().endswith(suffix))
        by_advice.setdefault(advices[suffix], []).append(name)
    return [f"{_counted(some)} ({advice})" for advice, some in by_advice.items()]


def _counted(names: Iterable[str], most: int | None = None) -> str:
    """'2 .txt, 1 without suffix', the most frequent first."""
    counts = Counter(map(suffix_of, names)).most_common(most)
    return ", ".join(f"{count:,} {printable(suffix) or 'without suffix'}" for suffix, count in counts)
