"""Tests of ci/gate.sh and ci/comment.sh, with a program that plays statebench and one that plays gh."""

import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).parent / "ci"

STATEBENCH = """#!/bin/sh
echo "$@" >arguments
for argument in "$@"; do
    case $argument in
        markdown=*) printf '<!-- statebench:job -->\\n**gate failed**\\n' >"${argument#*=}" ;;
        github=*) echo "::error title=heap::worse" >"${argument#*=}" ;;
    esac
done
echo "the table"
exit %d
"""

GH = """#!/bin/sh
echo "$@" >>calls
case "$*" in *--paginate*) %s ;; esac
"""


class Kit(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def run_script(self, script, **environment):
        path = f"{self.folder}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(self.folder), **environment}
        command = ["bash", str(SCRIPTS / script)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def gate(self, code, **environment):
        binary = self.program("statebench", STATEBENCH % code)
        return self.run_script("gate.sh", BINARY=binary, POLICY="p.toml", OUTPUT="out", NAME="own name", **environment)

    def test_a_job_ends_as_the_gate_does(self):
        ran = self.gate(4, SUBJECT="job.toml", ARGUMENTS="--configuration a --configuration b")
        self.assertEqual((ran.returncode, ran.stdout), (4, "the table\n"), ran.stderr)
        arguments = (self.folder / "arguments").read_text()
        self.assertTrue(arguments.startswith("gate job.toml --policy p.toml --configuration a --configuration b --quiet"), arguments)
        self.assertEqual((self.folder / "out/comment.md").read_text(), "<!-- statebench-gate:own name -->\n**gate failed**\n")

    def test_a_base_is_another_program_and_a_result_is_not_run(self):
        self.gate(0, SUBJECT="job.toml", BASE_BINARY="old")
        arguments = (self.folder / "arguments").read_text()
        self.assertIn(f"--binary old --binary {self.folder}/statebench", arguments)
        self.gate(0, SUBJECT="result.json", ARGUMENTS="--baseline baselines")
        arguments = (self.folder / "arguments").read_text()
        self.assertNotIn("--quiet", arguments)
        self.assertIn("--baseline baselines", arguments)

    def test_an_action_tells_the_exit_code_and_goes_on(self):
        files = {"GITHUB_STEP_SUMMARY": str(self.folder / "summary"), "GITHUB_OUTPUT": str(self.folder / "output")}
        ran = self.gate(1, SUBJECT="job.toml", **files)
        self.assertEqual((ran.returncode, ran.stdout), (0, "the table\n::error title=heap::worse\n"))
        self.assertEqual((self.folder / "output").read_text(), "exit-code=1\n")
        self.assertIn("**gate failed**", (self.folder / "summary").read_text())

    def test_an_error_is_told_where_nothing_was_judged(self):
        binary = self.program("statebench", "#!/bin/sh\nexit 2\n")
        ran = self.run_script("gate.sh", BINARY=binary, POLICY="p.toml", SUBJECT="job.toml")
        self.assertEqual(ran.returncode, 2)
        self.assertIn("exit code 2", (self.folder / "statebench-gate/comment.md").read_text())

    def comment(self, known):
        self.program("gh", GH % known)
        (self.folder / "out").mkdir(exist_ok=True)
        (self.folder / "out/comment.md").write_text("text")
        ran = self.run_script("comment.sh", OUTPUT="out", NAME="n", PULL_REQUEST="7", GITHUB_REPOSITORY="o/r", GH_TOKEN="t")
        return ran, (self.folder / "calls").read_text().splitlines()[-1]

    def test_a_comment_is_made_once_and_then_changed(self):
        ran, call = self.comment("true")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertTrue(call.startswith("api --method POST repos/o/r/issues/7/comments "), call)
        ran, call = self.comment("echo 42; echo 43")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertTrue(call.startswith("api --method PATCH repos/o/r/issues/comments/42 "), call)

    def test_a_token_that_may_not_comment_fails_nothing(self):
        ran, _ = self.comment("exit 1")
        self.assertEqual(ran.returncode, 0)
        self.assertTrue(ran.stdout.startswith("::warning title=statebench::"), ran.stdout)


if __name__ == "__main__":
    unittest.main()
