"""The accuracy harness (tools/ulp) finds what is wrong, and goes on where it was stopped."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from reference import DTYPES, LARGEST_ULP, PUBLIC, logsumexp_error, longdouble_is_wider, longdouble_reason

pytest.importorskip("gmpy2", reason="the harness judges with MPFR, through gmpy2")
pytest.importorskip("tqdm", reason="the harness shows its progress with tqdm")
pytestmark = [
    pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason),
    pytest.mark.once,
]

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from ulp import bounds, campaign, loss_exhaustion, losses, mpfr, promises  # noqa: E402
from ulp.findings import WORST, Errors  # noqa: E402
from ulp.oracle import Oracle  # noqa: E402
from ulp.tasks import FUNCTIONS, count_unordered, measure  # noqa: E402

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_FUNCTION = pytest.mark.parametrize("name", PUBLIC)


def inputs(name, dtype):
    if name == "logit":
        return np.linspace(0.01, 0.99, 4000, dtype=dtype)
    return np.linspace(-700 if dtype == "float64" else -100, 30, 4000, dtype=dtype)


@EVERY_DTYPE
@EVERY_FUNCTION
def test_oracle_rounds_correctly(name, dtype):
    x = inputs(name, dtype)
    oracle = Oracle(name, x, np.random.default_rng(1))
    np.testing.assert_array_equal(oracle.nearest, [mpfr.nearest(name, value) for value in x])
    errors, largest, _ = measure(oracle, oracle.nearest, -np.inf)
    assert (errors.inputs, errors.finite, errors.misrounded, errors.failed) == (x.size, x.size, 0, 0)
    assert errors.worst[0]["ulp"] <= 0.5
    assert largest <= 0.5 + oracle.uncertainty


@EVERY_DTYPE
@EVERY_FUNCTION
def test_planted_error_is_found(name, dtype):
    """A result that is one ulp beside the correctly rounded one is up to 1.5 ulp off."""
    x = inputs(name, dtype)
    oracle = Oracle(name, x, np.random.default_rng(1))
    got = oracle.nearest.copy()
    planted = 1234
    got[planted] = np.nextafter(got[planted], np.inf, dtype=dtype)
    errors, _, where = measure(oracle, got, -np.inf)
    assert errors.misrounded == 1
    assert float.fromhex(where) == x[planted]
    worst = errors.worst[0]
    assert float.fromhex(worst["input"]) == x[planted]
    assert float.fromhex(worst["got"]) == got[planted]
    assert float.fromhex(worst["want"]) == oracle.nearest[planted]
    assert worst["ulp"] == pytest.approx(mpfr.error(name, x[planted], got[planted]))
    assert 0.5 <= worst["ulp"] <= 1.5


def test_result_that_is_not_finite_is_found():
    x = inputs("expit", "float64")
    oracle = Oracle("expit", x, np.random.default_rng(1))
    got = oracle.nearest.copy()
    got[7] = np.nan
    errors, _, _ = measure(oracle, got, -np.inf)
    assert (errors.failed, errors.failed_at, errors.misrounded) == (1, float(x[7]).hex(), 1)


def test_special_values():
    x = np.array([np.nan, -np.inf, -1, -0.0, 0, 5e-324, 0.5, 1, 2, np.inf])
    oracle = Oracle("logit", x, np.random.default_rng(1))
    exact = [np.nan, np.nan, np.nan, -np.inf, -np.inf, oracle.nearest[5], 0, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(oracle.nearest, exact)
    np.testing.assert_array_equal(oracle.error(oracle.nearest)[[0, 1, 2, 3, 4, 6, 7, 8, 9]], 0)


def test_wrong_order_is_counted():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    got = np.array([0.1, 0.3, 0.2, 0.4])
    assert count_unordered(x, got) == 1
    assert count_unordered(x[::-1], got[::-1]) == 1


def test_lists_of_worst_inputs_merge():
    def errors(*ulps):
        return Errors(worst=[{"input": float(ulp).hex(), "ulp": ulp} for ulp in ulps])

    total = errors(0.9, 0.7, 0.5)
    total.add(errors(0.8, 0.7, 0.6, 0.4))
    assert [entry["ulp"] for entry in total.worst] == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert total.threshold() == -np.inf
    total.add(errors(*(i / 100 for i in range(WORST))))
    assert [entry["ulp"] for entry in total.worst][6:] == [0.09, 0.08, 0.07, 0.06]
    assert total.threshold() == 0.06


def measured(dtype, ulp=0.25, misrounded=0, libraries=("fastlogit v3",)):
    """Results of all elementwise functions in which expit alone is as bad as is said."""
    rows = {
        name: {"inputs": 9, "failed": 0, "unordered": 0, "misrounded": 0, "worst": []} for name in FUNCTIONS
    }
    for name in ("expit", "log_expit"):
        rows[name] = rows[name] | {"misrounded": misrounded, "worst": [{"input": "0x1p+0", "ulp": ulp}]}
    return {
        "settings": {"parts": [dtype], "libraries": list(libraries), "functions": FUNCTIONS},
        "errors": {f"{dtype} {name}": dict.fromkeys(libraries, row) for name, row in rows.items()},
        "comparisons": {dtype: {f"{name}: the bits of v4 and v3": BITS_AGREE for name in FUNCTIONS}},
    }


BITS_AGREE = {"inputs": 9, "differing": 0, "largest": None, "where": None}


@EVERY_DTYPE
def test_broken_promise_is_named(dtype):
    largest = LARGEST_ULP["expit", dtype]
    results = measured(dtype, ulp=largest + 1e-3, libraries=("fastlogit v3", "SciPy"))
    del results["errors"][f"{dtype} log_expit"]["fastlogit v3"]["worst"][:]
    results["errors"][f"{dtype} expit"]["fastlogit v3"]["worst"].append(
        {"input": "0x1p+0", "ulp": largest + 1e-3}
    )
    assert promises.broken(results) == [f"expit {dtype}, fastlogit v3: {largest + 1e-3:.4f} ulp at 0x1p+0"]
    assert promises.broken(measured(dtype)) == []


def test_logit_that_becomes_worse_breaks_a_promise():
    """0.99 ulp is below the bound of the contract, and still not what logit has."""
    results = measured("float64")
    results["errors"]["float64 logit"]["fastlogit v3"]["worst"] = [{"input": "0x1p-1", "ulp": 0.99}]
    assert promises.broken(results) == ["logit float64, fastlogit v3: 0.9900 ulp at 0x1p-1"]


def test_correct_rounding_is_a_promise():
    assert promises.broken(measured("float32", misrounded=3)) == [
        "log_expit float32, fastlogit v3: 3 results are not correctly rounded"
    ]
    assert promises.broken(measured("float64", misrounded=3)) == []


def test_nothing_measured_is_no_promise_kept():
    results = measured("float32")
    results["errors"] = {}
    assert promises.broken(results) == [
        f"{name} float32, fastlogit v3: not measured" for name in sorted(FUNCTIONS)
    ]
    results = measured("float32")
    results["errors"]["float32 logit"]["fastlogit v3"]["inputs"] = 0
    assert promises.broken(results) == ["logit float32, fastlogit v3: not measured"]
    results = measured("float32", libraries=("SciPy",))
    assert promises.broken(results) == ["no build of fastlogit was measured"]


def test_missing_build_is_no_promise_kept():
    results = measured("float64", libraries=("fastlogit v3", "fastlogit v4"))
    assert promises.broken(results) == []
    del results["errors"]["float64 expit"]["fastlogit v4"]
    del results["comparisons"]["float64"]["expit: the bits of v4 and v3"]
    assert promises.broken(results) == [
        "expit float64, fastlogit v4: not measured",
        "expit float64: the bits of v4 and v3 were not compared",
    ]


@EVERY_DTYPE
def test_logsumexp_just_below_a_power_of_two_is_measured_in_its_own_units(dtype):
    """The exact result rounds to 2, whose unit is twice as large."""
    real = np.dtype(dtype).type
    below = np.nextafter(real(2), real(0))
    unit = np.longdouble(2) - below
    exact = np.array([2 - unit / 4])
    error = logsumexp_error(np.array([below - real(unit)]), exact, np.array([np.longdouble(0)]))
    assert error.tolist() == [1.75]


@pytest.fixture
def settings():
    build = next(reversed(campaign.builds()))
    return campaign.Settings(("float32",), (build,), "1/4096", points=2000, climbs=1, rounds=1)


def counted(results):
    """All but the sums of errors, whose last bits depend on the order of the chunks."""
    rows = [
        {key: value for key, value in row.items() if key not in ("sum", "mean")}
        for libraries in results["errors"].values()
        for row in libraries.values()
    ]
    return rows, results["comparisons"]


def test_interrupted_campaign_goes_on(settings, tmp_path, monkeypatch):
    whole = campaign.run(tmp_path / "whole", settings, jobs=1)
    assert promises.broken(whole) == []

    keep, kept = campaign.Record.keep, []

    def keep_some(record, chunk, findings):
        if len(kept) == 5:
            raise KeyboardInterrupt
        kept.append(chunk)
        keep(record, chunk, findings)

    monkeypatch.setattr(campaign.Record, "keep", keep_some)
    with pytest.raises(KeyboardInterrupt):
        campaign.run(tmp_path / "parts", settings, jobs=1)
    (record,) = (tmp_path / "parts").glob("*.jsonl")
    with record.open("a") as file:
        file.write('{"chunk": 77, "findi')  # what a killed process leaves
    monkeypatch.setattr(campaign.Record, "keep", keep)
    assert counted(campaign.run(tmp_path / "parts", settings, jobs=1)) == counted(whole)
    assert len({json.loads(line)["chunk"] for line in record.read_text().splitlines()}) > 5


def test_folder_of_another_campaign_is_left_alone(settings, tmp_path):
    campaign.open_folder(tmp_path, settings, fresh=False)
    other = campaign.Settings(settings.parts, settings.libraries, settings.fraction, seed=settings.seed + 1)
    with pytest.raises(SystemExit, match=r"chunks of another campaign.*seed.*--fresh"):
        campaign.open_folder(tmp_path, other, fresh=False)
    campaign.open_folder(tmp_path, other, fresh=True)


def test_results_of_two_campaigns_are_combined():
    """Counts are of the one that tried more; a worst input counts wherever it was found."""
    pytest.importorskip("matplotlib", reason="the report has plots")
    from ulp import report

    def campaign_of(inputs, ulp, peer, code="same"):
        row = {"inputs": inputs, "misrounded": inputs // 2, "worst": [{"input": f"{ulp}", "ulp": ulp}]}
        return [
            {
                "settings": {},
                "source": {"commit": f"{inputs}", "uncommitted changes": False},
                "code": {"float32 expit": code},
                "subject": {"peers": {peer: "1"}},
                "errors": {"float32 expit": {"fastlogit v3": row, peer: row}},
                "comparisons": {"float32": {"expit: the bits of v4 and v3": BITS_AGREE | {"inputs": inputs}}},
            },
            {"float32 expit": {"fastlogit v3": inputs}},
        ]

    results, profiles = report.combined([campaign_of(100, 0.7, "SciPy"), campaign_of(200, 0.6, "JAX")])
    errors = results["errors"]["float32 expit"]
    assert sorted(errors) == ["JAX", "SciPy", "fastlogit v3"]
    assert errors["fastlogit v3"]["misrounded"] == 100
    assert [entry["ulp"] for entry in errors["fastlogit v3"]["worst"]] == [0.7, 0.6]
    assert errors["SciPy"]["inputs"] == 100
    assert profiles["float32 expit"]["fastlogit v3"] == 200
    assert results["comparisons"]["float32"]["expit: the bits of v4 and v3"]["inputs"] == 200
    assert results["subject"]["peers"] == {"SciPy": "1", "JAX": "1"}
    (added,) = results["added"]
    assert added["libraries"] == ["JAX"]
    assert added["counted"] == ["float32 expit"]
    assert report.commit_of(added["source"]) == "commit ``200``"

    changed = campaign_of(50, 0.5, "numexpr", "other")
    results, _ = report.combined([campaign_of(100, 0.7, "SciPy"), changed])
    errors = results["errors"]["float32 expit"]
    assert [entry["ulp"] for entry in errors["fastlogit v3"]["worst"]] == [0.5]  # of the code of today
    assert (errors["fastlogit v3"]["inputs"], errors["SciPy"]["inputs"]) == (50, 100)
    assert results["code"] == {"float32 expit": "other"}


def test_row_in_a_table():
    pytest.importorskip("matplotlib", reason="the report has plots")
    from ulp import report

    entry = {"input": "family, row 3", "row": "0x1.0000000000000p+0, -0x1.8000000000000p-1 x 9", "element": 1}
    assert report.row_of(entry) == "``0x1p+0, -0x1.8p-1 x 9``, element 1"
    assert report.row_of(entry | {"row": ", ".join(["0x1p+0"] * 20)}) == "family, row 3"
    assert report.row_of(entry | {"row": None}) == "family, row 3"


# The results of the last campaign


def last_results():
    path = Path(__file__).parents[1] / "docs" / "measured" / "results.json"
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("matplotlib", reason="the report draws plots")
    from ulp import report

    return report


def test_worst_inputs_of_the_last_campaign_are_literals(report):
    assert list(report.new_literals(last_results())) == []


def test_exhaustions_and_proofs_are_of_the_present_code():
    assert list(bounds.stale(last_results(), bounds.saved_proofs())) == []


def test_table_of_bounds_is_that_of_the_saved_results(report):
    path = Path(__file__).parents[1] / "docs" / "measured" / "bounds.inc"
    table = bounds.lines(last_results(), bounds.saved_proofs(), report.table, report.row_of)
    assert table in path.read_text("utf-8")
    rows = list(bounds.rows(last_results(), bounds.saved_proofs()))
    assert len(rows) == 2 * len(DTYPES) * (len(PUBLIC) + 3)
    rows = list(bounds.loss_rows(last_results(), bounds.saved_proofs()))
    assert len(rows) == 2 * len(DTYPES) * len(losses.QUANTITIES)


def test_report_of_the_saved_results_is_what_is_saved(report, tmp_path):
    """Without the folders that they came from: the plots are left as they are."""
    from ulp.command import main

    measured = Path(__file__).parents[1] / "docs" / "measured"
    main(["report", "--results", str(measured), "--docs", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bounds.inc", "results.json", "tables.inc"]
    for path in tmp_path.iterdir():
        assert path.read_text("utf-8") == (measured / path.name).read_text("utf-8"), path.name


def spoilt(results, key="float32 expit", **changes):
    errors = {library: row | changes for library, row in results["errors"][key].items()}
    return results | {"errors": results["errors"] | {key: errors}}


def test_no_bound_without_a_proof_or_all_inputs():
    results, proofs = last_results(), bounds.saved_proofs()
    with pytest.raises(LookupError, match="float32, fastlogit v3: 4,294,967,295 inputs"):
        list(bounds.rows(spoilt(results, inputs=2**32 - 1), proofs))
    without_softmax = [row for row in proofs if row["formula"] != "softmax"]
    for rows in (bounds.rows, bounds.loss_rows):
        with pytest.raises(LookupError, match="no proof of softmax"):
            list(rows(results, without_softmax))
    for part in ("loss", "lesser"):
        without_one = spoilt(results, f"float32 {loss_exhaustion.CALL}/{part}", inputs=2**32 - 1)
        with pytest.raises(LookupError, match=f"{part}, fastlogit v3: 4,294,967,295 inputs"):
            list(bounds.loss_rows(without_one, proofs))
    beyond = [row | {"proven": 0.5} if row["formula"] == "logit" else row for row in proofs]
    with pytest.raises(LookupError, match=r"beyond 0\.5"):
        list(bounds.rows(results, beyond))


def test_exhaustion_of_other_code_is_none():
    results = last_results()
    results["code"] = results["code"] | {"float32 expit": "another", bounds.LOGISTIC: "another"}
    assert list(bounds.stale(results, bounds.saved_proofs())) == [
        "float32 expit has changed since all its inputs were tried",
        f"{bounds.LOGISTIC} has changed since all its inputs were tried",
    ]
