"""Reads the gates of scripts/gate-study.sh: prints a table of them as Markdown, and writes all trials into one CSV.

    python3 scripts/gate_study.py DIR

`DIR` has, of each gate, CONFIGURATION.SLOWDOWN.NUMBER.json, what `statebench ab --format json` printed, and the same with .csv,
what `statebench show --runs` printed. `DIR/runs.csv` gets every trial: session (the gate), bench (the configuration), block, pos
(in the run), t (seconds since the run began), arm (A0, and A1 or Bx where it is slowed down by x %), then every metric.
"""

import csv
import json
import math
import re
import statistics
import sys
from pathlib import Path

GATE = re.compile(r"(?P<configuration>.+?)\.(?P<slowdown>[0-9]+(?:\.[0-9]+)?)\.(?P<number>[0-9]+)\.json")


class Gate:
    """One gate: what was done, and what it said."""

    def __init__(self, configuration, slowdown, number, comparison):
        self.configuration = configuration
        self.slowdown = float(slowdown)
        self.number = int(number)
        (group,) = comparison["groups"]
        self.verdicts = {m["metric"]: m["verdict"] for m in group["metrics"] if m["verdict"] is not None}
        self.noise = {m["metric"]: m["noise_percent"] for m in group["metrics"] if m["verdict"] is not None}
        looks = comparison["interleaved"]["looks"]
        self.pairs = looks[-1] if looks else 0
        self.seconds = comparison["interleaved"]["took_s"]

    @property
    def is_red(self):
        return "regressed" in self.verdicts.values()

    @property
    def is_cleared(self):
        return set(self.verdicts.values()) <= {"no-change", "improved"}


def read_gates(folder):
    """The gates of a folder, in order."""
    gates = []
    for path in sorted(folder.glob("*.json")):
        match = GATE.fullmatch(path.name)
        if match and not path.name.endswith(".result.json"):
            gates.append(Gate(**match.groupdict(), comparison=json.loads(path.read_text())))
    return sorted(gates, key=lambda gate: (gate.configuration, gate.slowdown, gate.number))


def upper_bound(count, of, level=0.05):
    """The share that lies above `count / of` but for `level` (Clopper and Pearson), by bisection."""
    if of == 0 or count == of:
        return 1.0

    def at_most(share):
        terms = (math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(count + 1))
        return sum(terms)

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(middle) > level else (low, middle)
    return high


def percent(share):
    return f"{100 * share:.0f} %"


def table(gates):
    """Lines of Markdown: each configuration and slowdown with what its gates came to."""
    kinds = {}
    for gate in gates:
        kinds.setdefault((gate.configuration, gate.slowdown), []).append(gate)
    lines = [
        "| configuration | slower by | gates | red | red by | cleared | left open | pairs, median | seconds, median and most |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (configuration, slowdown), own in kinds.items():
        red = sum(gate.is_red for gate in own)
        cleared = sum(gate.is_cleared for gate in own)
        metrics = sorted({m for gate in own for m, verdict in gate.verdicts.items() if verdict == "regressed"})
        red_by = [f"{m} {sum(gate.verdicts.get(m) == 'regressed' for gate in own)}" for m in metrics]
        seconds = [gate.seconds for gate in own]
        cells = [
            configuration,
            f"{slowdown:g} %" if slowdown else "nothing",
            str(len(own)),
            f"{red} ({percent(red / len(own))})",
            ", ".join(red_by) or "-",
            str(cleared),
            str(len(own) - red - cleared),
            f"{statistics.median(gate.pairs for gate in own):g}",
            f"{statistics.median(seconds):.0f}, {max(seconds):.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def noise_lines(gates):
    """The noise of pairs in the gates in which nothing changed, by configuration and metric."""
    noise = {}
    for gate in gates:
        if gate.slowdown == 0:
            for metric, value in gate.noise.items():
                if value is not None:
                    noise.setdefault((gate.configuration, metric), []).append(value)
    return [
        f"- noise of a pair, {configuration} {metric}: {statistics.median(values):.1f} % (median of {len(values)} gates)"
        for (configuration, metric), values in noise.items()
    ]


# A slowdown, and the noise of a pair up to which 95 % of its gates are to be red; both in percent.
PROMISED = ((5, 5), (10, 8))


def power_lines(gates):
    """How many gates of a slowdown were red where a metric's pairs were quiet enough for it, and where none's were."""
    lines = []
    for slowdown, most in PROMISED:
        own = [gate for gate in gates if gate.slowdown == slowdown]
        quiet = [gate for gate in own if any(noise is not None and noise <= most for noise in gate.noise.values())]
        for name, some in ((f"at or below {most} %", quiet), ("above", [gate for gate in own if gate not in quiet])):
            if some:
                red = sum(gate.is_red for gate in some)
                lines.append(f"- slower by {slowdown} %, least noise of a metric's pairs {name}: {red} of {len(some)} gates red")
    return lines


def arm(row):
    """A0, A1 or Bx."""
    handicap = row["handicap_percent"]
    if handicap == "":
        return "A0"
    return "A1" if float(handicap) == 0 else f"B{float(handicap):g}"


def write_runs(folder, gates):
    """Writes every trial of all gates into one CSV; how many there are."""
    rows = []
    for gate in gates:
        name = f"{gate.configuration}.{gate.slowdown:g}.{gate.number}"
        with (folder / f"{name}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                about = {
                    "session": f"{gate.slowdown:g}.{gate.number}",
                    "bench": gate.configuration,
                    "block": row["block"],
                    "pos": row["position"],
                    "t": row["began_s"],
                    "arm": arm(row),
                }
                skip = ("workload", "configuration", "block", "position", "began_s", "handicap_percent", "companion", "seed")
                rows.append({**about, **{key: value for key, value in row.items() if key not in skip}})
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def main(folder):
    gates = read_gates(folder)
    if not gates:
        print(f"error: {folder} has no gates", file=sys.stderr)
        return 2
    trials = write_runs(folder, gates)
    print("# Gates of short trials\n")
    print("\n".join(table(gates)) + "\n")
    unchanged = [gate for gate in gates if gate.slowdown == 0]
    if unchanged:
        red = sum(gate.is_red for gate in unchanged)
        bound = upper_bound(red, len(unchanged))
        print(f"- false alarms: {red} of {len(unchanged)} gates; with 95 % confidence at most {100 * bound:.1f} %")
    print("\n".join(power_lines(gates) + noise_lines(gates)))
    print(f"- {trials} trials, each with its metrics, are in runs.csv")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
