#!/usr/bin/env bash
# Writes OUTPUT/comment.md into a pull request, over the comment of an earlier run where there is one: it is found by the marker in
# its first line. Needs `gh`; from the environment: OUTPUT, NAME, PULL_REQUEST, GITHUB_REPOSITORY, GH_TOKEN. A token that may not
# comment, as that of a fork's pull request, is told of and fails nothing.
set -euo pipefail
: "${OUTPUT:?}" "${NAME:?}" "${PULL_REQUEST:?}" "${GITHUB_REPOSITORY:?}"
file=$OUTPUT/comment.md
[ -e "$file" ] || { echo "there is no $file: nothing to comment" >&2; exit 0; }
marker="<!-- statebench-gate:$NAME -->"
comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
cannot() { echo "::warning title=statebench::the verdict could not be written into the pull request: $1"; exit 0; }

known=$(MARKER=$marker gh api --paginate "$comments" \
    --jq '.[] | select(.body | startswith(env.MARKER)) | .id') || cannot "its comments cannot be read"
known=$(head -n 1 <<<"$known")
if [ -n "$known" ]; then
    gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" --field "body=@$file" >/dev/null ||
        cannot "its comment cannot be changed"
else
    gh api --method POST "$comments" --field "body=@$file" >/dev/null || cannot "it takes no comment"
fi
