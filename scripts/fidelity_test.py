"""Tests of fidelity.py: python3 -m unittest discover -s scripts -p '*_test.py'"""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import fidelity
from fidelity import OPS, P50, P99, Cell, Run

MEASURED = Path(__file__).parent.parent / "reports/validation/flink-measured.csv"


def cell(*ops, regimes=None, memory=64, config="r64"):
    """A cell whose runs have these throughputs, and latencies that go with them."""
    regimes = regimes or "-" * len(ops)
    values = [{"ops_per_s": one, "p50_ns": 1e9 / one, "p99_ns": 4e9 / one} for one in ops]
    return Cell([Run("main", "w", config, v, None if r == "?" else r, memory) for v, r in zip(values, regimes)])


def trial(configuration, ops, slow, **more):
    finished = {
        "throughput_events_per_s": ops,
        "event_latency": {"count": 9, "p50_ns": 1e9 / ops, "p99_ns": None},
        "slow_event_share": slow,
        **more,
    }
    return {"configuration": configuration, "companion": False, "outcome": {"finished": finished}}


def result(name, trials):
    build = {"statebench": "1.2", "rocksdb": "3.4", "profile": "release"}
    manifest = {"quick": False, "started_epoch_s": 86_400, "build": build}
    return {"name": name, "manifest": manifest, "trials": trials}


class Reading(unittest.TestCase):
    def test_regimes_of_flink_follow_from_the_percentiles(self):
        cells = fidelity.cells_of(fidelity.read_flink(MEASURED))
        self.assertEqual(fidelity.shares(cells["value-rmw-uni"]["r64"]), "3 of 9 t T")
        self.assertEqual(fidelity.shares(cells["map-rmw-uni"]["r64"]), "4 of 4 T")
        self.assertEqual(len(cells["value-rmw-uni"]["r64-part"].runs), 6, "`part` is the same configuration")
        self.assertEqual(next(iter(cells["counter-zipf"])), "heap")
        calm = (47_272.7 + 50_022.9) / 2  # the middle two of six
        self.assertAlmostEqual(cells["value-rmw-uni"]["r64"].value(OPS), calm)

    def test_a_result_gives_runs_with_regimes(self):
        trials = [trial("r64", 50_000, 0.001), trial("r64", 2_000, 0.3), trial("r64", 600, 0.9), trial("r64", 5, None)]
        failed = {"configuration": "heap", "companion": False, "outcome": {"failed": {"reason": "?"}}}
        interrupted = {**failed, "outcome": "interrupted"}
        counting = {**trial("r64", 9, 0.0), "companion": True}
        runs, note = fidelity.runs_of(result("value-rmw-uni-knobs", [*trials, failed, interrupted, counting]))
        self.assertEqual([run.regime for run in runs], ["-", "t", "T", None])
        self.assertEqual((runs[0].group, runs[0].workload), ("knobs", "value-rmw-uni"))
        self.assertNotIn("p99_ns", runs[0].values)
        made = "1970-01-02 00:00 UTC, statebench 1.2, RocksDB 3.4"
        self.assertEqual(note, "value-rmw-uni-knobs: 4 of 6 trials finished, " + made)
        manifest = {**result("w", [])["manifest"], "quick": True}
        self.assertIn("its figures mean nothing", fidelity.origin(manifest))

    def test_what_is_no_result_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.json")
            for text in ("{", "[]", '{"name": 3}'):
                path.write_text(text)
                with contextlib.redirect_stderr(io.StringIO()) as err:
                    self.assertEqual(fidelity.main([str(MEASURED), str(path)]), 2)
                self.assertTrue(err.getvalue().startswith("error: "), err.getvalue())


class Cells(unittest.TestCase):
    def test_regimes_are_never_averaged(self):
        mixed = cell(50, 60, 1, 70, regimes="--T-")
        self.assertEqual((mixed.is_slow, mixed.value(OPS)), (False, 60))
        slow = cell(50, 1, 2, 3, regimes="-TTt")
        self.assertEqual((slow.is_slow, slow.value(OPS)), (True, 2))
        self.assertEqual(cell(50, 1, regimes="??").value(OPS), 25.5)
        self.assertEqual(fidelity.shares(cell(50, 1, regimes="??")), "–")

    def test_a_single_run_that_may_be_in_the_other_regime_is_not_scored(self):
        self.assertFalse(cell(1).scored())
        self.assertTrue(cell(1, 2).scored())
        self.assertTrue(cell(1, memory=128).scored())
        self.assertTrue(cell(1, config="part-r16", memory=16).scored())
        self.assertTrue(cell(1, config="heap", memory=None).scored())


class Comparing(unittest.TestCase):
    def test_flink_tells_apart_what_is_beyond_its_noise(self):
        heap = cell(100, config="heap", memory=None)
        self.assertFalse(fidelity.separated(cell(100), cell(145), OPS))
        self.assertTrue(fidelity.separated(cell(100), cell(147), OPS))
        self.assertFalse(fidelity.separated(cell(145), heap, OPS), "a pair has the larger factor of its cells")
        self.assertTrue(fidelity.separated(heap, cell(138, config="heap", memory=None), OPS))
        self.assertFalse(fidelity.separated(cell(100), cell(200), P99))
        self.assertFalse(fidelity.separated(cell(1, regimes="T"), cell(10, regimes="T"), OPS))
        self.assertTrue(fidelity.separated(cell(1, regimes="T"), cell(18, regimes="T"), OPS))

    def test_a_regime_tells_apart_where_throughput_says_the_same(self):
        slow = cell(100, regimes="t")
        self.assertTrue(fidelity.separated(slow, cell(200), OPS))
        self.assertTrue(fidelity.separated(cell(200), slow, OPS))
        self.assertFalse(fidelity.separated(slow, cell(50), OPS))
        self.assertFalse(fidelity.separated(slow, cell(1000), P50))

    def test_order_goes_by_regime_and_then_by_value(self):
        slow, calm = cell(100, regimes="t"), cell(50)
        self.assertEqual(fidelity.better(slow, calm, OPS), -1)
        self.assertEqual(fidelity.better(calm, slow, OPS), 1)
        self.assertEqual(fidelity.better(cell(100), cell(50), OPS), 1)
        self.assertEqual(fidelity.better(cell(100), cell(50), P50), 1, "less is better")
        self.assertEqual(fidelity.better(cell(100, regimes="?"), cell(50, regimes="?"), OPS), 1)
        self.assertIsNone(fidelity.better(cell(100), Cell(), OPS))

    def test_rank_correlations(self):
        self.assertAlmostEqual(fidelity.spearman([1, 2, 3, 4], [10, 20, 40, 30]), 0.8)
        self.assertAlmostEqual(fidelity.kendall([1, 2, 3, 4], [10, 20, 40, 30]), 4 / 6)
        self.assertAlmostEqual(fidelity.kendall([1, 2, 3], [3, 2, 1]), -1)
        self.assertEqual(fidelity.ranks([5, 1, 5]), [2.5, 1, 2.5])
        self.assertAlmostEqual(fidelity.kendall([1, 1, 2], [1, 2, 3]), 2 / 6**0.5)
        self.assertIsNone(fidelity.spearman([1, 2], [1, 2]))
        self.assertIsNone(fidelity.kendall([1, 1, 1], [1, 2, 3]))

    def test_shares_of_slow_runs(self):
        self.assertAlmostEqual(fidelity.fisher(3, 9, 3, 9), 1)
        self.assertAlmostEqual(fidelity.fisher(0, 4, 4, 4), 2 / 70)
        self.assertAlmostEqual(fidelity.fisher(0, 5, 0, 9), 1)


class Report(unittest.TestCase):
    FLINK = [
        Run("main", "w", "heap", {"ops_per_s": 900.0}, "-"),
        Run("main", "w", "r64", {"ops_per_s": 100.0}, "-", 64),
        Run("noise", "w", "r64", {"ops_per_s": 90.0}, "-", 64),
        Run("main", "w", "r256", {"ops_per_s": 200.0, "ckpt_first_bytes": 1000.0}, "-", 256),
        Run("main", "w", "r16", {"ops_per_s": 9.0}, "t", 16),
    ]

    def report(self, trials):
        runs, note = fidelity.runs_of(result("w", trials))
        return fidelity.report(self.FLINK, runs, [note])

    def test_agreement_and_disagreement_are_counted_and_listed(self):
        trials = [trial("heap", 500, 0.0), trial("r64", 70, 0.0), trial("r256", 60, 0.0), trial("r16", 3, 0.6)]
        text = self.report(trials)
        self.assertIn("**Goal: ≥ 95 % of separated pairs ordered the same: 2 of 3 (66.7 %), not met.**", text)
        self.assertIn("With the cells that are not scored: 5 of 6.", text)
        self.assertIn("| w | ops/s | r64 | r256 | 0.475 | 1.17 | 0 of 2 / 0 of 1 | 0 of 1 / 0 of 1 |", text)
        self.assertIn("| r16 (not scored) | 9 | 3 | 1 of 1 t | 1 of 1 T | 0.0947 | 0.0429 | 0.01 | 0.006 |", text)
        self.assertIn("| w | 4 | 0.80 | 0.67 | 3 | 0.50 | 0.33 |", text)
        self.assertIn("Same regime in most runs: 3 of 3 scored cells.", text)
        self.assertIn("The results hold no checkpoints", text)

    def test_without_the_share_of_slow_events_regimes_are_not_derived(self):
        trials = [trial("heap", 500, None), trial("r64", 70, None), trial("r256", 99, None)]
        text = self.report(trials)
        self.assertIn("regimes are not compared", text)
        self.assertIn("| r64 | 95 | 70 | 0 of 2 | – |", text)
        self.assertIn("3 of 3 (100.0 %), met.", text)

    def test_bytes_are_compared_and_nothing_else_of_a_trial_with_checkpoints(self):
        def record(kind, written, failure=None):
            return {"kind": kind, "written_bytes": written, "metadata_bytes": 200, "failure": failure}

        records = [record("incremental checkpoint", 7, "gone"), record("incremental checkpoint", 1000)]
        records += [record("incremental checkpoint", 5), record("canonical savepoint", 9000)]
        text = self.report([trial("r256", 60, 0.0, checkpoints={"records": records})])
        self.assertIn("| w | r256 | 1,000 | 1,200 | 1.200 | ✓ |", text)
        self.assertIn("within a factor of 1.4: 1 of 1.", text)
        self.assertIn("no pair to compare", text)
        weighed = fidelity.bytes_of({"records": records})
        self.assertEqual(weighed, {"ckpt_first_bytes": 1200, "savepoint_bytes": 9200})

    def test_fixed_contents_are_equal_but_for_a_header(self):
        flink = [Run("main", "w", "heap", {"ops_per_s": 1.0, "ckpt_first_bytes": 100_000.0}, "-")]
        for written, mark in ((103_000, "✓"), (105_000, "✗")):
            ours = [Run("bytes", "w", "heap", {"ckpt_first_bytes": written}, "-")]
            self.assertIn(f"| {mark} |", fidelity.report(flink, ours, []))

    def test_cells_with_checkpoints_come_with_the_operations_before_them(self):
        cells = fidelity.checkpoint_cells(MEASURED)
        self.assertIn(("value-rmw-uni", "r64", 260_000), cells)
        self.assertEqual(len(cells), 60)

    def test_effects_of_knobs(self):
        flink = fidelity.read_flink(MEASURED)
        ops = {"r64": 100, "part": 100, "part-r256": 220, "r256": 90, "bs64k": 30}
        runs, _ = fidelity.runs_of(result("value-rmw-uni-knobs", [trial(c, v, 0.0) for c, v in ops.items()]))
        text = fidelity.report(flink, runs, [])
        row = {line.split(" | ")[0]: line for line in text.splitlines() if line.count("|") > 12}
        self.assertIn("**2.06** | 2.2 ✓", row["| part-r256"])
        self.assertIn("**2.01** | 0.9 ✗", row["| r256"])
        self.assertIn("**0.347** | 0.3 (✓)", row["| bs64k"])


if __name__ == "__main__":
    unittest.main()
