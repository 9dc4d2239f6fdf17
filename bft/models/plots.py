"""Plots of an evaluation: PNG files and one page without scripts. Titles state the finding.

Equal input gives equal bytes: no creation date, no software name.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from bft.domain import sessions
from bft.domain.runs import Json

Draw = Callable[[Figure, Json, Sequence[Mapping[str, Any]]], str]
"""Draws one figure; returns its title, empty where there is nothing to draw."""

_STYLE: Any = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True}
_BLUE, _ORANGE, _GREY = "#1f5f99", "#d9730d", "#7a7a7a"

_NOTES = {
    "simulated": "Simulated data: no market did this.",
    "survivors_only": "Survivors only: results flatter.",
}


def write_plots(
    folder: Path,
    history: Sequence[Mapping[str, Any]],
    evaluation: Json,
    *,
    names: Iterable[str] | None = None,
) -> list[str]:
    """Write the plots named (all by default) and `index.html`; return the files' names.

    `history` are the epochs of the newest fold: epoch, train_loss, valid_loss.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images: dict[str, tuple[str, bytes]] = {}
    for name in names if names is not None else PLOTS:
        drawn = _render(PLOTS[name], evaluation, history)
        if drawn is not None:
            images[name] = drawn
            (folder / f"{name}.png").write_bytes(drawn[1])
    (folder / "index.html").write_text(_page(evaluation, images), encoding="utf-8")
    return [*(f"{name}.png" for name in images), "index.html"]


def _render(
    draw: Draw, evaluation: Json, history: Sequence[Mapping[str, Any]]
) -> tuple[str, bytes] | None:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.2), dpi=110, layout=ConstrainedLayoutEngine(wspace=0.08))
        title = draw(figure, evaluation, history)
        if not title:
            return None
        figure.suptitle(f"{evaluation['name']}: {title}", fontsize=10)
        _stamp(figure, evaluation)
        sink = io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(sink, format="png", metadata={"Software": None})
    return title, sink.getvalue()


def _stamp(figure: Figure, evaluation: Json) -> None:
    if evaluation["simulated"]:
        style: dict[str, Any] = {"fontsize": 26, "color": "red", "alpha": 0.25, "rotation": 25}
        figure.text(0.5, 0.5, "simulated", ha="center", va="center", **style)
    if evaluation["survivors_only"]:
        figure.text(0.995, 0.005, "survivors only", ha="right", va="bottom", fontsize=7)


def _loss(figure: Figure, _: Json, history: Sequence[Mapping[str, Any]]) -> str:
    if not history:
        return ""
    ax = _axes(figure, "epoch", "loss")
    epochs = [row["epoch"] for row in history]
    for key, color in (("train_loss", _GREY), ("valid_loss", _BLUE)):
        name = key.replace("_", " ").replace("valid", "validation")
        ax.plot(epochs, [row[key] for row in history], color=color, marker=".", label=name)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    best = min(history, key=lambda row: float(row["valid_loss"]))
    return f"lowest validation loss {best['valid_loss']:.4f} in epoch {best['epoch']}"


def _rank_ic(figure: Figure, evaluation: Json, _: Any) -> str:
    daily = evaluation["daily"]
    values = np.array([np.nan if v is None else v for v in daily["rank_ic"]])
    if not np.isfinite(values).any():
        return ""
    left, right = figure.subplots(1, 2)
    days = [sessions.session(day) for day in daily["day"]]
    _label(left, "day", "RankIC")
    left.bar(days, values, width=1.0, color=np.where(values >= 0, _BLUE, _ORANGE))
    _label(right, "day", "cumulative RankIC")
    right.plot(days, np.nancumsum(values), color=_BLUE)
    for ax in (left, right):
        _dates(ax, 4)
    found = evaluation["intervals"]["rank_ic"]
    return f"mean RankIC {np.nanmean(values):+.4f} {_interval(found)} over {len(days)} test days"


def _deciles(figure: Figure, evaluation: Json, _: Any) -> str:
    values = evaluation["curves"]["deciles"]
    if any(value is None for value in values):
        return ""
    ax = _axes(figure, "tenth by score (10 = best)", "mean return, %")
    ax.bar(range(1, 11), [100 * value for value in values], color=_BLUE)
    gap = 1e4 * (values[-1] - values[0])
    return f"the best tenth returns {gap:+.0f} bp more than the worst, gross"


def _reliability(figure: Figure, evaluation: Json, _: Any) -> str:
    curves = evaluation["curves"]["reliability"]
    if not curves:
        return ""
    for ax, (k, bins) in zip(
        np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True
    ):
        _label(ax, f"forecast of class {k}", "share seen")
        ax.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
        ax.ticklabel_format(axis="x", useOffset=False)
        x, seen = ([b[key] for b in bins] for key in ("forecast", "seen"))
        bands = np.array([(b["seen"] - b["lo"], b["hi"] - b["seen"]) for b in bins])
        ax.errorbar(x, seen, yerr=np.maximum(bands.T, 0), fmt="o", color=_BLUE, capsize=2)
        ax.plot([min(x), max(x)], [min(x), max(x)], color=_GREY, linestyle="--")
    return f"probabilities are off by {evaluation['metrics']['ece']:.3f} on average (95 % bands)"


def _confusion(figure: Figure, evaluation: Json, _: Any) -> str:
    counts = np.array(evaluation["curves"]["confusion"])
    ax = _axes(figure, "forecast class", "true class")
    ax.grid(visible=False)
    ax.imshow(counts, cmap="Blues")
    ax.set_xticks(range(len(counts)))
    ax.set_yticks(range(len(counts)))
    for (row, column), count in np.ndenumerate(counts):
        dark = "white" if count > counts.max() / 2 else "black"
        ax.text(column, row, f"{count:,}", ha="center", va="center", color=dark)
    found = evaluation["metrics"]
    share, majority = 100 * found["accuracy"], 100 * found["majority_accuracy"]
    return f"{share:.1f} % right, always the majority class {majority:.1f} %"


def _histogram(figure: Figure, evaluation: Json, _: Any) -> str:
    data = evaluation["curves"]["histogram"]
    edges = 100 * np.array(data["edges"])
    middle = (edges[1:] + edges[:-1]) / 2
    ax = _axes(figure, "return, %", "share of samples")
    spreads = []
    for key, color in (("label", _GREY), ("forecast", _BLUE)):
        share = np.array(data[key]) / max(1, sum(data[key]))
        ax.stairs(share, edges, color=color, fill=key == "label", alpha=0.8, label=key)
        spreads.append(float(np.sqrt(max(0.0, share @ middle**2 - (share @ middle) ** 2))))
    ax.legend()
    return f"forecasts spread {spreads[1]:.2f} %, labels {spreads[0]:.2f} %"


def _equity(figure: Figure, evaluation: Json, _: Any) -> str:
    daily = evaluation["daily"]
    days = [sessions.session(day) for day in daily["session"]]
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    _label(top, "", "equity (start = 1)")
    for key, color in (("gross", _GREY), ("net", _BLUE)):
        top.plot(days, np.cumprod(1 + np.array(daily[key])), color=color, label=key)
    top.legend()
    equity = np.cumprod(np.concatenate([[1.0], 1 + np.array(daily["net"])]))
    fall = 100 * (equity / np.maximum.accumulate(equity) - 1)[1:]
    _label(bottom, "session", "drawdown, %")
    _dates(bottom, 8)
    bottom.fill_between(days, fall, 0, color=_ORANGE, alpha=0.6)
    found = evaluation["metrics"]
    sharpe = "-" if found["sharpe_net"] is None else f"{found['sharpe_net']:+.2f}"
    return f"net Sharpe {sharpe}, deepest fall {100 * found['max_drawdown']:.1f} % (long-short)"


def _coverage(figure: Figure, evaluation: Json, _: Any) -> str:
    found = evaluation["coverage"]
    if found is None:
        return ""
    ax = _axes(figure, "month", "share inside the 90 % interval, %")
    months = list(found["by_month"])
    ax.plot(months, [100 * found["by_month"][m] for m in months], color=_BLUE, marker="o")
    ax.axhline(90, color=_GREY, linestyle="--")
    ax.tick_params(axis="x", rotation=45)
    return f"{100 * found['all']:.1f} % of returns fell inside the 90 % interval"


def _drift(figure: Figure, evaluation: Json, _: Any) -> str:
    worst = sorted(evaluation["drift"].items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    if not worst:
        return ""
    ax = _axes(figure, "PSI of test against training", "")
    ax.barh([name for name, _ in worst][::-1], [value for _, value in worst][::-1], color=_BLUE)
    ax.axvline(0.2, color=_ORANGE, linestyle="--")
    moved = sum(value > 0.2 for value in evaluation["drift"].values())
    return f"{moved} of {len(evaluation['drift'])} features moved by more than 0.2"


PLOTS: dict[str, Draw] = {
    "loss": _loss,
    "rank_ic": _rank_ic,
    "deciles": _deciles,
    "reliability": _reliability,
    "confusion": _confusion,
    "histogram": _histogram,
    "equity": _equity,
    "coverage": _coverage,
    "drift": _drift,
}
"""Plot name -> what draws it, in the order of the page."""


def _axes(figure: Figure, x: str, y: str) -> Axes:
    ax = figure.subplots()
    _label(ax, x, y)
    return ax


def _label(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)


def _dates(ax: Axes, most: int) -> None:
    """Few dates across, the year told once."""
    places = AutoDateLocator(maxticks=most)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(places)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(places))  # type: ignore[no-untyped-call]


def _interval(found: Json) -> str:
    if found["lo"] is None:
        return f"(no interval: {found['reason'].replace('_', ' ')})"
    return f"({found['lo']:+.4f} to {found['hi']:+.4f})"


def _page(evaluation: Json, images: Mapping[str, tuple[str, bytes]]) -> str:
    name = html.escape(evaluation["name"])
    notes = [text for key, text in _NOTES.items() if evaluation[key]]
    figures = "\n".join(
        f'<figure><figcaption>{html.escape(title)}</figcaption><img alt="{html.escape(title)}" '
        f'src="data:image/png;base64,{base64.b64encode(image).decode()}"></figure>'
        for title, image in images.values()
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>\n'
        "<style>body{font-family:sans-serif;max-width:60rem;margin:2rem auto}"
        "img{max-width:100%}figcaption{font-weight:bold}</style></head>\n"
        f"<body><h1>{name}</h1><p><b>{' '.join(notes)}</b> The loss is of training, all else of "
        f"test sessions.</p>\n{figures}\n"
        "</body></html>\n"
    )
