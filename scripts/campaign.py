"""Campaigns against checkpoints: processes killed at random moments, bytes changed at random places.

    python3 scripts/campaign.py crash PROGRAM --kills 200
    python3 scripts/campaign.py corruption PROGRAM --flips 1000

`crash` kills a run with checkpoints (with its trial's process) at random moments: while it processes, uploads, deletes old
checkpoints or restores. Each time the last complete checkpoint must be whole, must restore to the digest that it carries,
and must lead to the digests of a run that was never interrupted.

`corruption` changes or cuts bytes of a checkpoint's files. Each time it must be refused with an error that names the file.

Both print counts and exit with 1 where anything failed. The seed fixes every choice but the moments of the kills.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

WORKLOAD = """
description = "a job that is killed"
operator = "{operator}"
[keys]
cardinality = 5_000
[run]
events = {events}
warm-up = 4_096
repeats = 1
counters = false
parallelism = {parallelism}
max-parallelism = 128
[checkpoint]
every-events = 8_192
digests = true
restore-check = false
latency = "2 ms"
[[configuration]]
name = "heap"
state.backend.type = "hashmap"
execution.checkpointing.data-inline-threshold = "{inline}"
execution.checkpointing.num-retained = {retained}
[[configuration]]
name = "rocksdb"
state.backend.type = "rocksdb"
execution.checkpointing.incremental = true
execution.checkpointing.data-inline-threshold = "{inline}"
execution.checkpointing.num-retained = {retained}
[[configuration]]
name = "heap-changelog"
state.backend.type = "hashmap"
state.changelog.enabled = true
state.changelog.storage = "filesystem"
state.changelog.periodic-materialize.interval = "100 ms"
dstl.dfs.preemptive-persist-threshold = "64 kb"
execution.checkpointing.data-inline-threshold = "{inline}"
execution.checkpointing.num-retained = {retained}
[[configuration]]
name = "rocksdb-changelog"
state.backend.type = "rocksdb"
execution.checkpointing.incremental = true
state.changelog.enabled = true
state.changelog.storage = "filesystem"
state.changelog.periodic-materialize.interval = "100 ms"
dstl.dfs.preemptive-persist-threshold = "64 kb"
execution.checkpointing.data-inline-threshold = "{inline}"
execution.checkpointing.num-retained = {retained}
"""

CONFIGURATIONS = ["heap", "rocksdb", "heap-changelog", "rocksdb-changelog"]
OPERATORS = ["counter", "average", "tumbling-window"]
EVENTS = 400_000


class Failed(Exception):
    """What went wrong, for the count and the reader."""


def workload(path, choice, parallelism=1):
    operator = {"average": "aggregate"}.get(choice["operator"], choice["operator"])
    text = WORKLOAD.format(
        operator=operator,
        events=EVENTS,
        parallelism=parallelism,
        inline=choice["inline"],
        retained=choice["retained"],
    )
    path.write_text(text)


def run(program, *arguments, cwd):
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True)


def digests(result):
    """What the one trial of a result emitted, and the state that it left."""
    trials = json.loads(result.read_text())["trials"]
    measured = [trial["outcome"]["finished"] for trial in trials if "finished" in trial["outcome"]]
    if len(measured) != 1:
        raise Failed(f"{result.name} has {len(measured)} finished trials")
    return measured[0]["emitted"], measured[0]["state"]


def finish(program, folder, configuration, output, *more):
    arguments = ["run", "job.toml", "-q", "--force", "-o", output, "--configuration", configuration, *more]
    ran = run(program, *arguments, "--state-dir", str(folder / "state"), cwd=folder)
    if ran.returncode != 0:
        raise Failed(f"exit code {ran.returncode}: {ran.stderr.strip()}")
    return digests(folder / output)


def kill_at_random(program, folder, arguments, seconds):
    """Starts a run and kills it with everything that it has started. Whether it was still running."""
    process = subprocess.Popen(
        [program, "run", "job.toml", "-q", "--force", "--state-dir", str(folder / "state"), *arguments],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    running = process.poll() is None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    shutil.rmtree(folder / "state", ignore_errors=True)
    (folder / "state").mkdir()
    return running


def jobs(folder):
    return [job for job in folder.iterdir() if job.is_dir()] if folder.is_dir() else []


def complete_checkpoints(job):
    found = [path.parent for path in job.glob("chk-*/_metadata")]
    return sorted(found, key=lambda path: int(path.name.rsplit("-", 1)[1]))


def one_kill(program, folder, rng, configuration, expected, seconds):
    """One kill; how far the job had come."""
    checkpoints = folder / "checkpoints"
    shutil.rmtree(checkpoints, ignore_errors=True)
    arguments = ["--configuration", configuration, "-o", "killed.json", "--checkpoint-dir", str(checkpoints)]
    kill_at_random(program, folder, arguments, rng.uniform(0.02, seconds))
    found = [job for job in jobs(checkpoints) if complete_checkpoints(job)]
    if not found:
        return "no checkpoint yet"
    job = found[0]
    verified = run(program, "checkpoint", "verify", str(job), cwd=folder)
    if verified.returncode != 0:
        raise Failed(f"verify: {verified.stderr.strip()}")
    last = complete_checkpoints(job)[-1]
    restore = ["--restore-from", str(last)]
    if rng.random() < 0.3:
        # Killed while it restores: the checkpoint is not touched by that.
        kill_at_random(program, folder, ["--configuration", configuration, "-o", "killed.json", *restore], rng.uniform(0.01, 0.2))
    # At another parallelism now and then.
    parallelism = rng.choice([1, 1, 2, 3])
    got = finish(program, folder, configuration, "restored.json", *restore, "--parallelism", str(parallelism))
    if got != expected:
        raise Failed(f"restored from {last.name} at parallelism {parallelism}: {got} in place of {expected}")
    collected = run(program, "checkpoint", "gc", str(job), cwd=folder)
    if collected.returncode != 0:
        raise Failed(f"gc: {collected.stderr.strip()}")
    again = run(program, "checkpoint", "verify", str(job), cwd=folder)
    if again.returncode != 0 or "belong to no complete checkpoint" in again.stdout:
        raise Failed(f"after gc: {again.stdout.strip()} {again.stderr.strip()}")
    return "restored, with orphans" if not collected.stdout.startswith("0 orphans") else "restored"


def crash(program, kills, rng, folder):
    counts, failures = {}, []
    (folder / "state").mkdir()
    expected = {}
    for kill in range(kills):
        configuration = rng.choice(CONFIGURATIONS)
        choice = {
            "operator": rng.choice(OPERATORS),
            "inline": rng.choice(["0 b", "20 kb"]),
            "retained": rng.choice([1, 3]),
        }
        parallelism = rng.choice([1, 2])
        workload(folder / "job.toml", choice, parallelism)
        key = (choice["operator"], configuration)
        try:
            if key not in expected:
                began = time.monotonic()
                base = finish(program, folder, configuration, "base.json")
                expected[key] = base, time.monotonic() - began
            digest, seconds = expected[key]
            outcome = one_kill(program, folder, rng, configuration, digest, 1.2 * seconds)
        except Failed as failure:
            outcome = "FAILED"
            failures.append(f"kill {kill + 1}, {choice['operator']} on {configuration}: {failure}")
            print(failures[-1], file=sys.stderr)
        counts[outcome] = counts.get(outcome, 0) + 1
        if (kill + 1) % 20 == 0:
            print(f"{kill + 1} kills: {counts}", file=sys.stderr)
    return "kills", kills, counts, failures


def damage(rng, content):
    """The bytes changed: some flipped, or the end cut off."""
    if content and rng.random() < 0.2:
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    start = rng.randrange(len(changed))
    for place in range(start, min(len(changed), start + rng.choice([1, 1, 1, 16, 400]))):
        changed[place] ^= rng.randrange(1, 256)
    return bytes(changed)


def refused(program, folder, checkpoint, path, arguments):
    ran = run(program, *arguments, cwd=folder)
    if ran.returncode != 2:
        raise Failed(f"{path.name}: exit code {ran.returncode} from {arguments[0]}, {ran.stderr.strip()}")
    if path.name not in ran.stderr:
        raise Failed(f"{path.name}: the error does not name it: {ran.stderr.strip()}")
    if re.search(r"panicked|RUST_BACKTRACE", ran.stderr):
        raise Failed(f"{path.name}: {ran.stderr.strip()}")


def corruption(program, flips, rng, folder):
    counts, failures = {}, []
    (folder / "state").mkdir()
    workload(folder / "job.toml", {"operator": "average", "inline": "1 kb", "retained": 1}, 2)
    for configuration in CONFIGURATIONS:
        checkpoints = folder / f"checkpoints-{configuration}"
        finish(program, folder, configuration, "base.json", "--checkpoint-dir", str(checkpoints))
        job = jobs(checkpoints)[0]
        last = complete_checkpoints(job)[-1]
        files = [path for path in [*last.iterdir(), *job.glob("shared/*")] if path.is_file()]
        for flip in range(flips // len(CONFIGURATIONS)):
            path = rng.choice(files)
            whole = path.read_bytes()
            path.write_bytes(damage(rng, whole))
            try:
                refused(program, folder, last, path, ["checkpoint", "verify", str(last)])
                outcome = f"refused by verify ({configuration})"
                if flip % 20 == 0:
                    restore = ["run", "job.toml", "-q", "--force", "-o", "damaged.json", "--configuration", configuration]
                    state = ["--state-dir", str(folder / "state"), "--restore-from", str(last)]
                    refused(program, folder, last, path, restore + state)
                    outcome = f"refused by verify and restore ({configuration})"
            except Failed as failure:
                outcome = "FAILED"
                failures.append(str(failure))
                print(failures[-1], file=sys.stderr)
            path.write_bytes(whole)
            counts[outcome] = counts.get(outcome, 0) + 1
        verified = run(program, "checkpoint", "verify", str(last), cwd=folder)
        if verified.returncode != 0:
            failures.append(f"the checkpoint was not put back: {verified.stderr}")
    return "changes", len(CONFIGURATIONS) * (flips // len(CONFIGURATIONS)), counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=["crash", "corruption"])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program = str(arguments.program.resolve())
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="statebench-campaign-") as folder:
        folder = pathlib.Path(folder)
        if arguments.campaign == "crash":
            what, done, counts, failures = crash(program, arguments.kills, rng, folder)
        else:
            what, done, counts, failures = corruption(program, arguments.flips, rng, folder)
    print(f"{done} {what}, {len(failures)} failures")
    for outcome, count in sorted(counts.items()):
        print(f"  {outcome}: {count}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
