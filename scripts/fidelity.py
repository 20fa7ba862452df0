#!/usr/bin/env python3
"""Lays Flink's measured figures and statebench's results side by side, as Markdown on standard output.

usage: fidelity.py MEASURED.csv RESULT.json ...
       fidelity.py --checkpoint-cells MEASURED.csv

The second prints a line for each cell whose checkpoint Flink has weighed: workload, configuration, and the operations
that Flink had done by then.

Words: a *run* is one measurement; a *cell* is all runs of one workload under one configuration, on one side. A run is
slow where more than 1 % of its operations took over 0.3 ms (`t`) or more than half did (`T`); else it is calm. A cell
is slow where more than half of its runs are. Its value is the median over the runs of that regime, so that two regimes
are never averaged. Files and columns are described in reports/validation/README.md.
"""

import csv
import json
import math
import re
import statistics
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import combinations
from pathlib import Path

GROUPS = ("main", "knobs", "knobs-read", "noise", "repeats")  # the others were run under other conditions
KNOB_GROUPS = {"value-rmw-uni-knobs": "knobs", "value-read95-zipf8-knobs": "knobs-read"}
SAME = {"part": "r64-part", "bloom10": "r64-bloom"}  # one configuration that two groups call differently
LONGS = ("counter-zipf", "reducing-sum-uni", "aggregating-avg-zipf")  # state so small that its index always fits
SLOW_NS = 300_000
GOAL = 0.95


@dataclass(frozen=True)
class Metric:
    """A figure that both sides have, and the factors beyond which Flink tells two cells apart (see README.md)."""

    name: str
    column: str  # of the CSV file, and of Run.values
    more_is_better: bool
    heap: float
    calm: float
    any_regime: float


OPS = Metric("ops/s", "ops_per_s", True, 1.37, 1.46, 17.53)
P50 = Metric("p50", "p50_ns", False, 1.28, 1.47, 24.37)
P99 = Metric("p99", "p99_ns", False, 1.18, 2.19, 18.79)
METRICS = (OPS, P50, P99)
# Bytes are compared where a result has them: column of the CSV file, title.
BYTES = (("ckpt_first_bytes", "first checkpoint"), ("savepoint_bytes", "canonical savepoint"))
# A trial with checkpoints is compared by their bytes alone: its other figures were taken beside them.
BYTES_GROUP = "bytes"
CHANGING = ("list-buffer-uni", "dedup-ttl")  # what their state holds depends on how many operations there were
HEADER_BYTES = 4096  # serializers and names: what equal states may differ by
BYTES_FACTOR = 1.4  # for RocksDB, whose files depend on what compactions have done by then
BUSY_S = 5.5  # warm-up and measured part of a run on Flink, before its first checkpoint


@dataclass
class Run:
    """One measurement. A figure that was not taken is missing from `values`; `regime` is `-`, `t`, `T` or unknown."""

    group: str
    workload: str
    config: str
    values: dict
    regime: str | None
    memory_mb: int | None = None  # managed memory of RocksDB, known on Flink's side


@dataclass
class Cell:
    """All runs of one workload under one configuration."""

    runs: list = field(default_factory=list)

    @property
    def known(self):
        return bool(self.runs) and all(run.regime is not None for run in self.runs)

    @property
    def slow_runs(self):
        return sum(run.regime in ("t", "T") for run in self.runs)

    @property
    def is_slow(self):
        return self.known and 2 * self.slow_runs > len(self.runs)

    def value(self, metric):
        """Median over the runs of the cell's regime; None where no run has the figure."""
        of_regime = [run for run in self.runs if not self.known or (run.regime != "-") == self.is_slow]
        values = [run.values[metric.column] for run in of_regime if metric.column in run.values]
        return statistics.median(values) if values else None

    def scored(self):
        """Whether Flink's cell can be held against another: not one run that might have been in the other regime."""
        run = self.runs[0]
        risky = run.memory_mb is not None and run.memory_mb <= 64 and "part" not in run.config
        return not (len(self.runs) == 1 and risky)


# Reading


def regime_of_share(share):
    return None if share is None else "T" if share > 0.5 else "t" if share > 0.01 else "-"


def read_flink(path):
    """The runs of the CSV file that are comparable; the regime follows from the percentiles."""
    runs = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["group"] not in GROUPS:
                continue
            columns = [metric.column for metric in METRICS] + [column for column, _ in BYTES]
            values = {column: float(row[column]) for column in columns if row[column]}
            regime = "T" if values["p50_ns"] > SLOW_NS else "t" if values["p99_ns"] > SLOW_NS else "-"
            memory = int(row["memory"].rstrip("m")) if row["memory"] else None
            runs.append(Run(row["group"], row["workload"], row["config"], values, regime, memory))
    return runs


def read_result(path):
    """The runs of one result file, and what is to be said about the file."""
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    try:
        return runs_of(result)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a statebench result: {error!r}") from error


def runs_of(result):
    """As `read_result`, of the parsed file."""
    name = result["name"]
    group = KNOB_GROUPS.get(name, "main")
    workload = name.removesuffix("-knobs")
    runs = []
    # A companion trial counts what RocksDB does, and is slower for it.
    trials = [trial for trial in result["trials"] if not trial["companion"]]
    for trial in trials:
        finished = trial["outcome"].get("finished") if isinstance(trial["outcome"], dict) else None
        if finished:
            taken = finished.get("checkpoints")
            values = bytes_of(taken) if taken else values_of(finished)
            regime = regime_of_share(finished.get("slow_event_share"))
            runs.append(Run(BYTES_GROUP if taken else group, workload, trial["configuration"], values, regime))
    return runs, f"{name}: {len(runs)} of {len(trials)} trials finished, {origin(result['manifest'])}"


def origin(manifest):
    """When and by what program a result was made, and whether its figures mean anything."""
    build = manifest["build"]
    started = datetime.fromtimestamp(manifest["started_epoch_s"], timezone.utc)
    text = f"{started:%Y-%m-%d %H:%M} UTC, statebench {build['statebench']}, RocksDB {build['rocksdb']}"
    if manifest["quick"] or build["profile"] != "release":
        text += "; **a quick run or a debug build: its figures mean nothing**"
    return text


def values_of(finished):
    latency = finished["event_latency"]
    values = {
        "ops_per_s": finished["throughput_events_per_s"],
        "p50_ns": latency.get("p50_ns"),
        "p99_ns": latency.get("p99_ns"),
    }
    return {column: value for column, value in values.items() if value is not None}


def bytes_of(checkpoints):
    """Bytes of all files of the first checkpoint and of the savepoint, the metadata file included, as Flink's are."""
    values = {}
    for record in checkpoints["records"]:
        kind = record["kind"]
        column = "savepoint_bytes" if kind == "canonical savepoint" else "ckpt_first_bytes"
        if record["failure"] is None and kind != "native savepoint":
            values.setdefault(column, record["written_bytes"] + record["metadata_bytes"])
    return values


def cells_of(runs):
    """Cells by workload and configuration; a configuration with two names is one cell."""
    cells = {}
    for run in runs:
        config = SAME.get(run.config, run.config)
        cells.setdefault(run.workload, {}).setdefault(config, Cell()).runs.append(run)
    return {workload: dict(sorted(cells[workload].items(), key=by_name)) for workload in sorted(cells)}


def by_name(item):
    """The heap first, then names with their numbers by size."""
    parts = re.split(r"(\d+)", item[0])
    return item[0] != "heap", [int(part) if part.isdigit() else part for part in parts]


# Comparing


def better(ours, other, metric):
    """1 if the first cell is better, -1 if the second is, 0 if neither, None if it cannot be told."""
    a, b = ours.value(metric), other.value(metric)
    regimes_differ = ours.known and other.known and ours.is_slow != other.is_slow
    if regimes_differ and (metric is OPS or a is None or b is None):
        return -1 if ours.is_slow else 1
    if a is None or b is None:
        return None
    sign = (a > b) - (a < b)
    return sign if metric.more_is_better else -sign


def factor(a, b, metric):
    """The factor beyond which Flink tells two cells apart."""
    if a.is_slow and b.is_slow:
        return metric.any_regime
    is_heap = [cell.runs[0].memory_mb is None for cell in (a, b)]
    return max(metric.heap if heap else metric.calm for heap in is_heap)


def separated(a, b, metric):
    """Whether Flink tells two cells apart. Where one is slow, throughput does if it says the same as the regime; a
    percentile of a slow cell says how many of its operations were slow, which is not compared."""
    x, y = a.value(metric), b.value(metric)
    if not x or not y or max(x / y, y / x) < factor(a, b, metric):
        return False
    if a.is_slow == b.is_slow:
        return True
    return metric is OPS and (x > y) == b.is_slow


@dataclass
class Pair:
    """Two cells that Flink tells apart."""

    workload: str
    metric: Metric
    names: tuple
    flink: tuple
    ours: tuple

    @property
    def same(self):
        """Whether statebench orders them as Flink does; None where it has no figure."""
        found = better(*self.ours, self.metric)
        return None if found is None else found == better(*self.flink, self.metric)


def separated_pairs(flink, ours, scored=True):
    """The pairs of cells within a workload that Flink tells apart and statebench has both cells of."""
    pairs = []
    for workload, cells in flink.items():
        names = [name for name in cells if name in ours.get(workload, {}) and (cells[name].scored() or not scored)]
        for a, b in combinations(names, 2):
            for metric in METRICS:
                if separated(cells[a], cells[b], metric):
                    mine = ours[workload]
                    pairs.append(Pair(workload, metric, (a, b), (cells[a], cells[b]), (mine[a], mine[b])))
    return pairs


def ranks(values):
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) + 1) / 2 for value in values]


def spearman(x, y):
    """Spearman's rank correlation; None for fewer than three pairs or where one side is all equal."""
    if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    return statistics.correlation(ranks(x), ranks(y))


def kendall(x, y):
    """Kendall's tau-b; None as for `spearman`."""
    if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    signs = [((a > b) - (a < b), (c > d) - (c < d)) for (a, c), (b, d) in combinations(zip(x, y), 2)]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    return sum(a * b for a, b in signs) / math.sqrt(untied[0] * untied[1])


def fisher(slow_a, n_a, slow_b, n_b):
    """Two-sided p of Fisher's exact test: how likely shares that differ this much are if both sides are alike."""
    slow, n = slow_a + slow_b, n_a + n_b
    chance = {
        k: math.comb(n_a, k) * math.comb(n_b, slow - k) / math.comb(n, slow)
        for k in range(max(0, slow - n_b), min(slow, n_a) + 1)
    }
    return min(1.0, sum(p for p in chance.values() if p <= chance[slow_a] * (1 + 1e-9)))


# Printing


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "| --- " + "| ---: " * (len(columns) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def shares(cell):
    """How many runs are slow, and in which regimes they are."""
    if not cell.known:
        return "–"
    regimes = sorted({run.regime for run in cell.runs} - {"-"}, key="tT".index)
    return " ".join([f"{cell.slow_runs} of {len(cell.runs)}", *regimes])


def ratio(cell, base, metric):
    x, y = (one.value(metric) if one else None for one in (cell, base))
    return x / y if x and y else None


def throughput_table(flink, ours):
    """Throughput, regimes and ratios of the cells of a workload."""
    rows = []
    for name, cell in flink.items():
        mine = ours.get(name, Cell())
        ratios = [
            number(ratio(one, side.get(base), OPS))
            for base in ("r64", "heap")
            for one, side in ((cell, flink), (mine, ours))
        ]
        row = [name if cell.scored() else f"{name} (not scored)", number(cell.value(OPS)), number(mine.value(OPS))]
        rows.append([*row, shares(cell), shares(mine), *ratios])
    columns = ["configuration", "ops/s F", "ops/s s", "slow F", "slow s", "/r64 F", "/r64 s", "/heap F", "/heap s"]
    return table(columns, rows)


def latency_table(flink, ours):
    rows = [
        [name] + [number(side.value(metric)) for metric in (P50, P99) for side in (cell, ours.get(name, Cell()))]
        for name, cell in flink.items()
    ]
    return table(["configuration", "p50 ns F", "p50 ns s", "p99 ns F", "p99 ns s"], rows)


def bytes_section(flink, ours):
    """Checkpoint and savepoint bytes, where results have them: of the heap and of canonical savepoints equal where the
    content is fixed, of RocksDB's files within a factor."""
    lines, equal, near = ["## Bytes", ""], [], []
    for column, title in BYTES:
        metric, rows = Metric(title, column, False, 1, 1, 1), []
        for workload, cells in flink.items():
            for name, cell in cells.items():
                theirs, mine = cell.value(metric), ours.get(workload, {}).get(name, Cell()).value(metric)
                if not theirs or not mine:
                    continue
                is_fixed = workload not in CHANGING
                verdict = "–"
                if is_fixed and (name == "heap" or column == "savepoint_bytes"):
                    equal.append(abs(mine - theirs) <= HEADER_BYTES)
                    verdict = "✓" if equal[-1] else "✗"
                elif name != "heap" and column == "ckpt_first_bytes":
                    near.append(max(mine / theirs, theirs / mine) <= BYTES_FACTOR)
                    verdict = "✓" if near[-1] else "✗"
                rows.append([workload, name, number(theirs), number(mine), f"{mine / theirs:.3f}", verdict])
        if rows:
            lines += [f"### Bytes of the {title}", ""]
            lines += table(["workload", "configuration", "Flink", "statebench", "ratio", ""], rows)
    if not equal and not near:
        return ["The results hold no checkpoints: their bytes are not compared.", ""]
    summary = [
        f"Heap checkpoints and canonical savepoints of a fixed content, equal but for a header of at most "
        f"{HEADER_BYTES:,} bytes: {sum(equal)} of {len(equal)}.",
        f"First checkpoints of RocksDB, median over the runs, within a factor of {BYTES_FACTOR}: "
        f"{sum(near)} of {len(near)}.",
    ]
    return [*lines[:2], *[f"- {line}" for line in summary], "", *lines[2:]]


def checkpoint_cells(path):
    """Workload, configuration and operations before the first checkpoint of the cells that Flink's main group has."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == "main" and row["ckpt_first_bytes"]]
    return [(row["workload"], row["config"], round(float(row["ops_per_s"]) * BUSY_S)) for row in rows]


def workload_sections(flink, ours):
    lines = ["## Cell by cell", ""]
    lines += ["F is Flink, s is statebench; `slow` counts runs in the slow regimes `t` and `T`.", ""]
    for workload, cells in flink.items():
        if workload in ours:
            lines += [f"### {workload}", "", *throughput_table(cells, ours[workload])]
            lines += latency_table(cells, ours[workload])
    missing = [workload for workload in flink if workload not in ours]
    return lines + ([f"Not run: {', '.join(missing)}.", ""] if missing else [])


def rank_section(flink, ours):
    """Rank correlation of throughput over the configurations of each workload."""
    rows = []
    for workload, cells in flink.items():
        common = [name for name in cells if ours.get(workload, {}).get(name, Cell()).value(OPS)]
        row = [workload]
        for names in (common, [name for name in common if cells[name].scored()]):
            x, y = [cells[n].value(OPS) for n in names], [ours[workload][n].value(OPS) for n in names]
            row += [str(len(names))] + [f"{r:.2f}" if (r := f(x, y)) is not None else "–" for f in (spearman, kendall)]
        if common:
            rows.append(row)
    columns = ["workload", "all cells", "Spearman", "Kendall", "scored cells", "Spearman", "Kendall"]
    return ["## Rank correlation of throughput within each workload", "", *table(columns, rows)]


def regime_class(workload, run):
    if run.memory_mb is None or workload in LONGS:
        return None
    if "part" in run.config:
        return "index and filters partitioned"
    return "unpartitioned, 64 MB or less" if run.memory_mb <= 64 else "unpartitioned, more than 64 MB"


def regime_section(flink, ours):
    """Shares of slow runs: by class of configuration, and cells whose shares differ."""
    pooled, differing, alike, compared = {}, [], 0, 0
    for workload, cells in flink.items():
        for name, cell in cells.items():
            mine = ours.get(workload, {}).get(name, Cell())
            if not mine.known:
                continue
            if kind := regime_class(workload, cell.runs[0]):
                counts = pooled.setdefault(kind, [0, 0, 0, 0])
                for i, side in enumerate((cell, mine)):
                    counts[2 * i] += side.slow_runs
                    counts[2 * i + 1] += len(side.runs)
            if cell.scored():
                compared += 1
                alike += cell.is_slow == mine.is_slow
                p = fisher(cell.slow_runs, len(cell.runs), mine.slow_runs, len(mine.runs))
                if cell.is_slow != mine.is_slow or p < 0.05:
                    differing.append([workload, name, shares(cell), shares(mine), f"{p:.3g}"])
    lines = ["## Regimes", ""]
    if not compared:
        return lines + ["The results do not tell the share of slow events: regimes are not compared.", ""]
    rows = [[kind, f"{c[0]} of {c[1]}", f"{c[2]} of {c[3]}"] for kind, c in sorted(pooled.items())]
    lines += table(["state of records", "slow runs, Flink", "slow runs, statebench"], rows)
    lines += [f"Same regime in most runs: {alike} of {compared} scored cells.", ""]
    if differing:
        lines += ["Cells whose regime differs, or whose shares chance would bring about less than once in twenty:", ""]
        lines += table(["workload", "configuration", "Flink", "statebench", "p (Fisher)"], differing)
    return lines


def pair_section(pairs, unscored):
    """How many of the pairs that Flink tells apart statebench orders the same, and which it does not."""
    verdict = goal_line([pair.same for pair in pairs])
    rows = []
    for metric in METRICS:
        of_metric = [pair for pair in pairs if pair.metric is metric]
        slow = sum(pair.flink[0].is_slow != pair.flink[1].is_slow for pair in of_metric)
        rows.append([metric.name, str(len(of_metric)), str(sum(pair.same is True for pair in of_metric)), str(slow)])
    lines = ["## Pairs that Flink tells apart", "", verdict, ""]
    lines += table(["metric", "pairs", "ordered the same", "told apart by regime"], rows)
    same = sum(pair.same is True for pair in unscored)
    lines += [f"With the cells that are not scored: {same} of {len(unscored)}.", ""]
    different = [pair for pair in pairs if pair.same is not True]
    if different:
        lines += ["Ordered differently (ratios are first over second):", ""]
        columns = ["workload", "metric", "first", "second", "Flink", "statebench", "slow F", "slow s"]
        lines += table(columns, [pair_row(pair) for pair in different])
    return lines


def pair_row(pair):
    ratios = [number(ratio(*cells, pair.metric)) for cells in (pair.flink, pair.ours)]
    slow = [" / ".join(shares(cell) for cell in cells) for cells in (pair.flink, pair.ours)]
    return [pair.workload, pair.metric.name, *pair.names, *ratios, *slow]


def goal_line(same):
    if not same:
        return "**Goal: ≥ 95 % of separated pairs ordered the same: no pair to compare.**"
    agree = sum(one is True for one in same)
    met = "met" if agree >= GOAL * len(same) else "not met"
    share = 100 * agree / len(same)
    return f"**Goal: ≥ 95 % of separated pairs ordered the same: {agree} of {len(same)} ({share:.1f} %), {met}.**"


def knob_section(flink_runs, our_runs, flink_cells):
    """The effect of each knob on both sides, against r64 and against partitioned index and filters."""
    lines = ["## Knobs", "", "A ratio in bold is one that Flink tells apart from 1; ✓ and ✗ say whether statebench's"]
    lines += ["goes the same way, in brackets where Flink's row is not scored.", ""]
    scored = []
    for group, workload in (("knobs", "value-rmw-uni"), ("knobs-read", "value-read95-zipf8")):
        flink, ours = ({}, {})
        for runs, side in ((flink_runs, flink), (our_runs, ours)):
            for run in runs:
                if run.group == group:
                    side.setdefault(run.config, Cell()).runs.append(run)
        rows = []
        for name in flink:
            if name in ours and name != "r64":
                row, verdicts = knob_row(name, flink, ours, flink_cells[workload])
                rows.append(row)
                scored += verdicts
        if rows:
            bases = [f"{m.name} /{base} {side}" for base in ("r64", "part") for m in METRICS for side in "Fs"]
            lines += [f"### {workload}", "", *table(["knob", "slow F", "slow s", *bases], rows)]
    same = sum(verdict is True for verdict in scored)
    lines += [f"Effects of scored rows that Flink tells apart: {same} of {len(scored)} go the same way.", ""]
    return lines if any(run.group in KNOB_GROUPS.values() for run in our_runs) else []


def knob_row(name, flink, ours, cells):
    """One row of a table of knobs, and whether each scored effect that Flink tells apart goes the same way."""
    row, verdicts = [name, shares(flink[name]), shares(ours[name])], []
    for base in ("r64", "part"):
        scored = all(cells[SAME.get(one, one)].scored() for one in (name, base))
        for metric in METRICS:
            pairs = [(side[name], side.get(base, Cell())) for side in (flink, ours)]
            text = [number(ratio(*pair, metric)) for pair in pairs]
            if name != base and distinct(*pairs[0], metric):
                same = better(*pairs[1], metric) == better(*pairs[0], metric)
                mark = "✓" if same else "✗"
                text = [f"**{text[0]}**", f"{text[1]} {mark if scored else f'({mark})'}"]
                verdicts += [same] if scored else []
            row += text
    return row, verdicts


def distinct(cell, base, metric):
    """Whether a ratio to a base is beyond the noise of calm runs, whatever the regimes."""
    found = ratio(cell, base, metric)
    return found is not None and max(found, 1 / found) >= metric.calm


def report(flink_runs, our_runs, notes):
    weighed = [run for run in our_runs if run.group == BYTES_GROUP]
    our_runs = [run for run in our_runs if run.group != BYTES_GROUP]
    flink, ours = cells_of(flink_runs), cells_of(our_runs)
    lines = ["# Flink and statebench side by side", "", *[f"- {note}" for note in notes], ""]
    lines += pair_section(separated_pairs(flink, ours), separated_pairs(flink, ours, scored=False))
    lines += regime_section(flink, ours)
    lines += rank_section(flink, ours)
    lines += knob_section(flink_runs, our_runs, flink)
    lines += workload_sections(flink, ours)
    lines += bytes_section(flink, cells_of(weighed))
    return "\n".join(lines).rstrip() + "\n"


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if arguments[0] == "--checkpoint-cells":
            for cell in checkpoint_cells(arguments[1]):
                print(*cell)
            return 0
        flink_runs = read_flink(arguments[0])
        results = [read_result(path) for path in sorted(arguments[1:], key=lambda path: Path(path).name)]
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    our_runs = [run for runs, _ in results for run in runs]
    sys.stdout.write(report(flink_runs, our_runs, [note for _, note in results]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
