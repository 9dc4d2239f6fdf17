"""One instrument under several names: tickers change, the broker's contract id stays.

Source: executor specification, sections 4 (limits by symbol) and 6 (ticker change).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

_OPTION = re.compile(r"(?P<root>.+)(?P<tail>\d{6}[CP]\d{8})")  # OCC symbology


Links = Mapping[str, Collection[str]]
"""By name the names beside it that renamings bind to it."""


def links_of(renames: Mapping[str, str], *, listed: Collection[str]) -> Links:
    """What renamings bind; `renames` are old names with their new ones.

    An old name that is `listed` again is another company's now: the renaming binds no more.
    """
    links = defaultdict[str, set[str]](set)
    for old, new in renames.items():
        if old not in listed:
            links[old].add(new)
            links[new].add(old)
    return dict(links)


def names_of(name: str, *, told: Iterable[tuple[int, str]], links: Links) -> frozenset[str]:
    """Every name under which the instrument `name` is or was known, itself among them.

    `told` are contract ids with the symbol (of an option its root) each was seen under: an id binds
    always, `links` as `links_of` says. `name` may be an option's.
    """
    root, tail = parted(name)
    by_id, beside = defaultdict[int, set[str]](set), defaultdict[str, set[str]](set)
    for con_id, symbol in told:
        by_id[con_id].add(symbol)
    for group in (group for con_id, group in by_id.items() if con_id and len(group) > 1):
        for each in group:
            beside[each] |= group
    found, waiting = {root}, [root]
    while waiting:
        each = waiting.pop()
        more = {*beside.get(each, ()), *links.get(each, ())} - found
        found |= more
        waiting += more
    return frozenset(each + tail for each in found)


def parted(name: str) -> tuple[str, str]:
    """The root of a name and what follows it: of an option its OCC tail, of all else nothing."""
    option = _OPTION.fullmatch(name)
    return (option["root"], option["tail"]) if option else (name, "")


def name_now(name: str, *, renames: Mapping[str, str], listed: Collection[str]) -> str:
    """The name a symbol bears today; one that is `listed` bears its own."""
    seen = {name}
    while name not in listed and name in renames and renames[name] not in seen:
        name = renames[name]
        seen.add(name)
    return name
