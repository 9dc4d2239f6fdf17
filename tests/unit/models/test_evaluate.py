import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import Kind, ModelName
from bft.models import blocks, calibrate, card, evaluate, plots

DAYS, NAMES, FIRST = 130, 40, 4300
LABELS = {
    Kind.REGRESSION: {"s": 0.03, "mu_y": 0.001},
    Kind.BINARY: {"threshold": 0.015, "pi": 0.3, "class_means": [-0.01, 0.03], "mu_y": 0.001},
    Kind.BUCKETS: {
        "edges": [-0.01, 0.01],
        "shares": [0.35, 0.3, 0.35],
        "class_means": [-0.03, 0.0, 0.03],
        "mu_y": 0.001,
    },
}
SETTINGS = {"bootstrap_draws": 200, "top_names": 3, "min_names": 10, "seed": 1}


def case(kind: Kind, *, skill: float = 0.3) -> tuple[list[blocks.TestBlock], blocks.Prices]:
    """Two folds of 65 days whose forecasts know a share of the coming return."""
    rng = np.random.default_rng(4)
    moves = rng.normal(0, 0.02, (NAMES, DAYS + 12))
    opens = 100 * np.cumprod(1 + moves, axis=1)
    day, symbol = (x.ravel() for x in np.meshgrid(np.arange(DAYS), np.arange(NAMES), indexing="ij"))
    y = opens[symbol, day + 4] / opens[symbol, day + 1] - 1
    yhat = skill * y + 0.02 * rng.normal(size=len(y))
    calibrated = yhat
    if kind is not Kind.REGRESSION:
        edges = [-0.01, 0.01] if kind is Kind.BUCKETS else [0.015]
        bounds = [-np.inf, *edges, np.inf]
        steps = [stats.norm.cdf((bound - yhat) / 0.03) for bound in bounds]
        calibrated = np.diff(np.stack(steps, axis=1), axis=1)
    vol20 = rng.uniform(0.01, 0.03, len(y))
    parts = [
        blocks.judged(
            blocks.Forecasts(
                k=k,
                day=day[mine] + FIRST,
                symbol=symbol[mine],
                y=y[mine],
                calibrated=calibrated[mine],
                vol20=vol20[mine],
            ),
            kind,
            LABELS[kind],
            1.0 if kind is Kind.REGRESSION else np.nan,
        )
        for k, mine in enumerate([day < 65, day >= 65])
    ]
    return parts, blocks.Prices(first=FIRST, opens=opens)


def run(kind: Kind, **more: object) -> dict:
    parts, prices = case(kind)
    evidence = evaluate.Evidence(valid=parts[0], **more)
    return evaluate.evaluate(
        ModelName(kind, 3),
        parts,
        prices=prices,
        settings=SETTINGS,
        evidence=evidence,
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_evaluation_is_plain_finite_json_with_folds_and_intervals(kind: Kind) -> None:
    found = json.loads(json.dumps(run(kind), allow_nan=False))
    assert [fold["k"] for fold in found["folds"]] == [0, 1]
    assert found["folds"][0]["first"] == str(sessions.session(FIRST))
    assert found["metrics"]["oos_days"] == DAYS
    band = found["intervals"]["rank_ic"]
    assert band["lo"] < found["metrics"]["rank_ic"] < band["hi"]
    assert found["metrics"]["output_psi"] < 0.1


def test_regression_figures_agree_with_other_implementations() -> None:
    parts, _ = case(Kind.REGRESSION)
    found = run(Kind.REGRESSION)
    pooled = blocks.pool(parts)
    daily = [
        stats.spearmanr(pooled.calibrated[pooled.day == d], pooled.y[pooled.day == d])[0]
        for d in np.unique(pooled.day)
    ]
    assert found["daily"]["rank_ic"] == pytest.approx(daily)
    assert found["metrics"]["rank_ic"] == pytest.approx(np.mean(daily))
    assert found["metrics"]["rank_icir"] == pytest.approx(np.mean(daily) / np.std(daily, ddof=1))
    assert found["metrics"]["mae"] == pytest.approx(np.abs(pooled.y - pooled.calibrated).mean())
    width = np.abs(pooled.y - pooled.calibrated) <= pooled.vol20 * np.sqrt(3)
    assert found["coverage"]["all"] == pytest.approx(width.mean())
    assert sum(len(v) for v in found["coverage"].values() if isinstance(v, dict)) > 3


def test_each_fold_is_judged_by_constants_of_its_own_training() -> None:
    """A newer fold's quantile was fitted on an older one's test days: it must not judge them."""
    parts, prices = case(Kind.REGRESSION)
    narrow, wide = parts[0], replace(parts[1], q=np.full(len(parts[1].y), 100.0))
    narrow = replace(narrow, q=np.zeros(len(narrow.y)))
    found = evaluate.evaluate(
        ModelName(Kind.REGRESSION, 3), [narrow, wide], prices=prices, settings=SETTINGS
    )
    assert found["coverage"]["all"] == pytest.approx(0.5, abs=1e-3)


def test_base_rate_of_each_fold_is_its_own() -> None:
    parts, prices = case(Kind.BINARY)
    rates = [
        np.broadcast_to([1 - pi, pi], p.base.shape) for p, pi in zip(parts, (0.2, 0.6), strict=True)
    ]
    own = [replace(part, base=base) for part, base in zip(parts, rates, strict=True)]
    found = evaluate.evaluate(ModelName(Kind.BINARY, 3), own, prices=prices, settings=SETTINGS)
    pooled = blocks.pool(parts)
    true, base = pooled.y >= 0.015, np.concatenate(rates)[:, 1]
    skill = 1 - oracle.brier_score_loss(true, pooled.calibrated[:, 1]) / np.mean((base - true) ** 2)
    assert found["metrics"]["brier_skill"] == pytest.approx(skill)


def test_probability_figures_agree_with_sklearn() -> None:
    pooled = blocks.pool(case(Kind.BUCKETS)[0])
    found = run(Kind.BUCKETS)["metrics"]
    true = np.digitize(pooled.y, [-0.01, 0.01])
    assert found["auc"] == pytest.approx(
        oracle.roc_auc_score(true, pooled.calibrated, multi_class="ovr")
    )
    base = np.tile(LABELS[Kind.BUCKETS]["shares"], (len(true), 1))
    brier = [
        oracle.brier_score_loss(true, p, scale_by_half=False) for p in (pooled.calibrated, base)
    ]
    assert found["brier_skill"] == pytest.approx(1 - brier[0] / brier[1])
    said = pooled.calibrated.argmax(axis=1)
    assert found["f1_macro"] == pytest.approx(oracle.f1_score(true, said, average="macro"))


def test_regime_delta_is_the_worst_terciles_distance() -> None:
    pooled = blocks.pool(case(Kind.BINARY)[0])
    true, said = pooled.y >= 0.015, pooled.calibrated[:, 1] >= 0.3
    edges = np.quantile(pooled.vol20, [1 / 3, 2 / 3])
    regime = np.digitize(pooled.vol20, edges)
    f1 = [oracle.f1_score(true[regime == n], said[regime == n], average="macro") for n in range(3)]
    whole = oracle.f1_score(true, said, average="macro")
    found = run(Kind.BINARY)["metrics"]["max_regime_delta"]
    assert found == pytest.approx(np.abs(np.array(f1) - whole).max())


def test_baseline_beaten_by_skill_and_one_that_is_absent_are_told() -> None:
    noise = np.random.default_rng(0).normal(size=DAYS * NAMES)
    truth = blocks.pool(case(Kind.REGRESSION)[0]).y
    found = run(Kind.REGRESSION, baselines={"ridge": noise, "oracle": truth, "lightgbm": None})
    rows = found["baselines"]
    assert rows["ridge"]["beaten"]
    assert rows["ridge"]["interval"]["lo"] > 0
    assert not rows["oracle"]["beaten"]
    assert "not installed" in rows["lightgbm"]["absent"]
    said = card.baseline_finding(found)
    assert said.startswith("Beats ridge: the 95 % interval of the difference in RankIC lies above")
    assert "**Worse than oracle**" in said


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.0134, 0.0864, "**Not shown to beat ridge**"),  # ahead by 0.04, yet zero is inside
        (0.0001, 0.08, "Beats ridge"),
        (0.0, 0.08, "**Not shown to beat ridge**"),
        (-0.08, -0.01, "**Worse than ridge**"),
        (None, None, "**Not compared with ridge**: too few test days"),
    ],
)
def test_card_says_of_a_baseline_what_the_interval_allows(
    low: float | None, high: float | None, words: str
) -> None:
    """Models specification, section 7: a difference is shown only by its interval."""
    row = {"beaten": True, "interval": {"lo": low, "hi": high}}
    assert card.baseline_finding({"baselines": {"ridge": row}}).startswith(words)


def test_evaluation_needs_labels() -> None:
    parts, prices = case(Kind.REGRESSION)
    empty = parts[0].taken(np.arange(0))
    with pytest.raises(DataError, match="no labelled test sample"):
        evaluate.evaluate(ModelName(Kind.REGRESSION, 3), [empty], prices=prices, settings={})


def test_blocks_survive_their_file(tmp_path) -> None:
    parts, _ = case(Kind.BUCKETS)
    names = [f"S{n}" for n in range(NAMES)]
    blocks.write_blocks(tmp_path / "test.npz", parts, names)
    read, symbols = blocks.read_blocks(tmp_path / "test.npz")
    assert symbols == names
    assert [block.k for block in read] == [0, 1]
    np.testing.assert_allclose(read[1].calibrated, parts[1].calibrated, rtol=1e-6)


def test_plots_and_page_have_equal_bytes_and_no_script(tmp_path) -> None:
    found = run(Kind.BINARY, drift={"rsi_14": 0.3, "month": 0.01}) | {"simulated": True}
    history = [
        {"epoch": n, "train_loss": 1 / (n + 1), "valid_loss": 1.1 / (n + 1)} for n in range(3)
    ]
    names = plots.write_plots(tmp_path / "a", history, found)
    assert names == plots.write_plots(tmp_path / "b", history, found)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {"loss.png", "rank_ic.png", "reliability.png", "equity.png", "drift.png"} <= set(names)
    assert "coverage.png" not in names  # a classifier has no interval
    page = (tmp_path / "a" / "index.html").read_text()
    assert "<script" not in page
    assert "Simulated data: no market did this." in page
    assert b"tIME" not in (tmp_path / "a" / "loss.png").read_bytes()


def test_plots_can_be_chosen_and_empty_history_is_left_out(tmp_path) -> None:
    found = run(Kind.REGRESSION)
    assert plots.write_plots(tmp_path, [], found, names=["loss", "rank_ic"]) == [
        "rank_ic.png",
        "index.html",
    ]


def test_card_names_data_results_and_warnings() -> None:
    model = {
        "name": "reg_3d",
        "type": "encoder",
        "created_utc": "2018-02-07T23:00:00+00:00",
        "lookback": 20,
        "feature_set": {"names": ["a", "b"]},
        "training": {"loss": "mse", "epochs": 2, "best_epoch": 1, "seed": 7, "device": "cpu"},
        "data": {
            "first": "2013-02-08",
            "last": "2018-02-07",
            "rows": 4100,
            "symbols": 40,
            "gold_digest": "ab" * 32,
        },
    }
    text = card.card(model, run(Kind.REGRESSION) | {"simulated": True, "survivors_only": True})
    assert text.startswith("# reg_3d\n")
    for words in ("Simulated data", "Survivors only", "| RankIC | +", "No baseline", "4,100 rows"):
        assert words in text


def test_constant_forecast_has_no_ranking_and_stays_valid_json() -> None:
    parts, prices = case(Kind.REGRESSION)
    flat = [
        replace(b, calibrated=0 * b.y, score=0 * b.y, expected=0 * b.y, said=0 * b.true)
        for b in parts
    ]
    found = evaluate.evaluate(
        ModelName(Kind.REGRESSION, 3),
        flat,
        prices=prices,
        settings=SETTINGS,
    )
    json.dumps(found, allow_nan=False)
    assert found["metrics"]["rank_ic"] is None
    assert found["metrics"]["slope"] is None
    assert found["intervals"]["rank_ic"]["reason"] == "few_days"


def test_expected_return_uses_class_means() -> None:
    parts, _ = case(Kind.BUCKETS)
    p = parts[0].calibrated
    found = calibrate.expected_return(Kind.BUCKETS, p, LABELS[Kind.BUCKETS])
    assert found == pytest.approx(0.03 * (p[:, 2] - p[:, 0]))
