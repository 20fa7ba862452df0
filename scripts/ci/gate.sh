#!/usr/bin/env bash
# Runs `statebench gate` in a build and keeps everything that it writes. From the environment:
#
#   BINARY       the statebench that is judged and that judges
#   BASE_BINARY  a second one to compare with; empty: configurations are compared, or a baseline is named in ARGUMENTS
#   SUBJECT      the workload, or the result
#   POLICY       the policy
#   ARGUMENTS    further arguments, parted by blanks
#   OUTPUT       the folder for gate.md, gate.json, gate.xml, gate.txt (annotations) and the result
#   NAME         the name by which a later run finds its comment
#
# Prints the annotations. In GitHub's actions it writes the step summary, and the exit code as an output, since the comment has to
# be written before the job fails; elsewhere it ends with that exit code.
set -euo pipefail
: "${BINARY:?}" "${SUBJECT:?}" "${POLICY:?}"
output=${OUTPUT:-statebench-gate}
name=${NAME:-statebench}
mkdir -p "$output"

read -ra arguments <<<"${ARGUMENTS:-}"
if [[ $SUBJECT == *.toml ]]; then
    arguments+=(--quiet --force --output "$output/result.json")
    if [ -n "${BASE_BINARY:-}" ]; then
        arguments+=(--binary "$BASE_BINARY" --binary "$BINARY")
    fi
fi
status=0
"$BINARY" gate "$SUBJECT" --policy "$POLICY" ${arguments[@]+"${arguments[@]}"} --format table \
    --write "markdown=$output/gate.md" --write "json=$output/gate.json" --write "junit=$output/gate.xml" \
    --write "github=$output/gate.txt" || status=$?

if [ ! -e "$output/gate.md" ]; then
    # Nothing was judged: an error of the input or the machine, which the log tells of.
    printf '**statebench gate: exit code %d**, the log says why\n' "$status" >"$output/gate.md"
fi
# The marker that a later run finds its comment by; the gate's own names the workload, which two gates may share.
{ printf '<!-- statebench-gate:%s -->\n' "$name"; grep -v '^<!-- statebench:' "$output/gate.md" || true; } >"$output/comment.md"
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    [ ! -e "$output/gate.txt" ] || cat "$output/gate.txt"
    cat "$output/comment.md" >>"$GITHUB_STEP_SUMMARY"
    printf 'exit-code=%d\n' "$status" >>"$GITHUB_OUTPUT"
    exit 0
fi
exit "$status"
