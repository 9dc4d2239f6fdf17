"""What an earlier run of a failed night left, told apart from what a good night leaves (ADR 0060).

Build and score decide whether a night may be trusted. Where the build fails nothing after it runs,
so that lists and pages of an earlier run of the day would stand as if they were good; where scoring
ends without a word, what follows would take the forecasts of that run for its own.
"""

import argparse
import csv
import io
from datetime import date

from bft.domain.errors import BftError
from bft.ports import Ports, Store, Tick
from bft.steps import screen
from bft.steps.failures import REASON, note_node


def withhold(store: Store, asof: date, node: str) -> dict[str, str]:
    """Note the failure, remove the day's pages, tag entries of its lists as only shown.

    The pages are made again at once; should that fail, none that looks good is left. The lists
    are what programs read, and what `bft execute --signals` takes at its word; exits stay.
    """
    noted = note_node(store, asof, node)
    folder = f"reports/{asof}"
    for page in ("day.html", "day.md", f"screener_{asof}.pdf"):
        store.delete(f"{folder}/{page}")
    for key in store.keys(f"{folder}{screen.PART}/"):
        store.delete(key)
    keys = [key for key in store.keys(f"{folder}/signals") if key.endswith(".csv")]
    picks = f"{folder}/portfolio_picks.csv"
    keys += [picks] if store.digest(picks) is not None else []
    return noted | {key: store.put(key, _shown_only(store.get(key))) for key in keys}


def _shown_only(data: bytes) -> bytes:
    """A list whose entries to execute are watched; every other cell as it was."""
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    for row in rows:
        if row["tag"] == "execute" and row.get("kind", "entry") == "entry":
            row["tag"], row["tag_reason"] = "watch", REASON
    out = io.StringIO(newline="")
    made = csv.DictWriter(out, rows[0] if rows else (), lineterminator="\n")
    made.writeheader()
    made.writerows(rows)
    return out.getvalue().encode() if rows else data


def screened_again(ports: Ports, args: argparse.Namespace, tick: Tick) -> dict[str, str]:
    """Draw the day's screener with the failure on every page, if it was ever screened.

    What failed may be what it is drawn from: then there is none.
    """
    table = f"reports/{args.asof}/screener_results_{args.asof}.csv"
    if ports.store.digest(table) is None:
        return {}
    parser = argparse.ArgumentParser()
    screen.arguments(parser)
    asked = parser.parse_args([])
    asked.asof, asked.root = args.asof, getattr(args, "root", None)
    asked.screen_max_charts = args.screen_max_charts
    try:
        return dict(screen.run(ports, asked, tick).objects)
    except BftError:
        return {}
