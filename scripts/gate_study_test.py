"""Tests of gate_study.py: python3 -m unittest discover -s scripts -p '*_test.py'"""

import contextlib
import csv
import io
import json
import tempfile
import unittest
from pathlib import Path

import gate_study

COLUMNS = "workload,configuration,block,position,began_s,took_s,seed,companion,handicap_percent,latency_p50_ns"


def comparison(verdicts, pairs, seconds):
    metrics = [{"metric": name, "verdict": verdict, "noise_percent": 2.0} for name, verdict in verdicts.items()]
    return {"groups": [{"metrics": metrics}], "interleaved": {"looks": [pairs], "took_s": seconds}}


def add(folder, name, verdicts, pairs=13, seconds=10.0, handicap="0"):
    (folder / f"{name}.json").write_text(json.dumps(comparison(verdicts, pairs, seconds)))
    rows = [f",heap,0,0,0.1,0.5,7,false,,100", f",heap handicap={handicap}%,0,1,0.6,0.5,7,false,{handicap},110"]
    (folder / f"{name}.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")


class Study(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def printed(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(gate_study.main(self.folder), 0)
        return out.getvalue()

    def test_gates_are_counted_by_what_was_done(self):
        add(self.folder, "heap.0.1", {"p50": "no-change", "cpu": "no-change", "shown": None}, pairs=11)
        add(self.folder, "heap.0.2", {"p50": "regressed", "cpu": "inconclusive"}, pairs=17, seconds=20.0)
        add(self.folder, "heap.10.1", {"p50": "regressed", "cpu": "regressed"}, handicap="10")
        add(self.folder, "heap.10.2", {"p50": "inconclusive", "cpu": "no-change"}, handicap="10")
        (self.folder / "heap.0.1.result.json").write_text("{}")
        text = self.printed()
        self.assertIn("| heap | nothing | 2 | 1 (50 %) | p50 1 | 1 | 0 | 14 | 15, 20 |", text)
        self.assertIn("| heap | 10 % | 2 | 1 (50 %) | cpu 1, p50 1 | 0 | 1 | 13 | 10, 10 |", text)
        self.assertIn("- false alarms: 1 of 2 gates; with 95 % confidence at most 97.5 %", text)
        self.assertIn("- noise of a pair, heap p50: 2.0 % (median of 2 gates)", text)
        self.assertIn("- slower by 10 %, least noise of a metric's pairs at or below 8 %: 1 of 2 gates red", text)
        self.assertNotIn("above", text)

    def test_every_trial_is_kept_with_its_arm(self):
        add(self.folder, "heap.0.1", {"p50": "no-change"})
        add(self.folder, "rocksdb.2.5.3", {"p50": "no-change"}, handicap="2.5")
        self.printed()
        with (self.folder / "runs.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["arm"] for row in rows], ["A0", "A1", "A0", "B2.5"])
        self.assertEqual([row["session"] for row in rows], ["0.1", "0.1", "2.5.3", "2.5.3"])
        self.assertEqual(list(rows[0]), "session bench block pos t arm took_s latency_p50_ns".split())

    def test_a_folder_without_gates_is_told(self):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(gate_study.main(self.folder), 2)
        self.assertIn("has no gates", err.getvalue())

    def test_the_bound_of_a_share_is_that_of_the_tables(self):
        # The rule of three, and Clopper and Pearson's one-sided bound for 1 of 20.
        self.assertAlmostEqual(gate_study.upper_bound(0, 60), 1 - 0.05 ** (1 / 60), places=6)
        self.assertAlmostEqual(gate_study.upper_bound(1, 20), 0.2161, places=4)
        self.assertEqual(gate_study.upper_bound(3, 3), 1.0)


if __name__ == "__main__":
    unittest.main()
