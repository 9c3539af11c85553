"""The command line by itself, without a server: help texts, usage errors, their exit statuses.

The texts are golden: tests/integration/golden/*.txt. NEONFERRY_GOLDEN=write writes them anew; look at
the difference before committing it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from command import NEONFERRY, environment  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
SECRET = "postgresql://me:sesame@db.invalid/d"

# Each line of words is wrong, or asks for nothing that needs a server.
WRONG = """
runn
xyzzy
--jobs 3 run
run --jbos 3
run --tables x
run --xyzzy
status --jobs 3
run --jobs
run --jobs=
run --jobs 0
run --jobs three
run --jobs 2 --jobs 3
run --memory 1Q
run --memory 1M
run --chunk-size 2G
run --spill-limit 1k
run --snapshot-ttl 90
run --snapshot-ttl 1s
run --spill sometimes
run --on-existing trunkate
run --format csv
run --quiet=yes
run --schema-only --data-only
run -j 3
run something
run SECRET
run --surce=SECRET
run --jobs SECRET
resume a b
resume
resume --run-dir nowhere
status nowhere
plan nowhere
abort nowhere --yes
forget
forget a --run-dir b
help runn
run
run --source postgresql:///a
run --source mysql://h/d --target postgresql:///b
run --source postgresql://h/d?no_such=1 --target postgresql:///b
run --source postgresql:///a --target postgresql:///b --collection-column documents
copy --schema-only
verify --senders 2
schema foo
schema aply
verify --source postgresql:///a --target postgresql:///b --delete-extra
""".strip().split("\n")


def run(words, **more):
    return subprocess.run([NEONFERRY] + words, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, cwd=FOLDER,
                          env=environment(**more))


def setUpModule():
    global FOLDER
    folder = tempfile.TemporaryDirectory(prefix="neonferry-cli-")
    unittest.addModuleCleanup(folder.cleanup)
    FOLDER = folder.name
    global COMMANDS
    listed = run(["help"]).stdout.split("Commands:\n")[1].split("\n\n")[0]
    COMMANDS = [re.split("  +", line.strip())[0] for line in listed.split("\n")]


class Golden(unittest.TestCase):
    maxDiff = None

    def same(self, name, text):
        path = os.path.join(GOLDEN, name)
        if os.environ.get("NEONFERRY_GOLDEN") == "write":
            with open(path, "w") as f:
                f.write(text)
        with open(path) as f:
            self.assertEqual(f.read(), text)

    def test_help_of_everything(self):
        text = run(["help"]).stdout
        for command in COMMANDS:
            text += "\n$ neonferry help %s\n%s" % (command, run(["help"] + command.split()).stdout)
        self.same("cli_help.txt", text)

    def test_usage_errors_name_what_and_what_to_do(self):
        text = ""
        for line in WRONG:
            done = run(line.replace("SECRET", SECRET).split())
            self.assertEqual(done.returncode, 2, line)
            self.assertEqual(done.stdout, "", line)
            self.assertNotIn("sesame", done.stderr, line)
            self.assertTrue(done.stderr.startswith("neonferry: error: "), line)
            self.assertIn("\n  hint: ", done.stderr, line)
            text += "$ neonferry %s\n%s" % (line, done.stderr)
        self.same("cli_usage.txt", text)


class Help(unittest.TestCase):
    def test_no_command_is_an_error(self):
        done = run([])
        self.assertEqual(done.returncode, 2)
        self.assertIn("no command is given", done.stderr)

    def test_help_goes_to_standard_output_whatever_way_it_is_asked_for(self):
        for command in COMMANDS:
            by_option, by_command = run(command.split() + ["--help"]), run(["help"] + command.split())
            self.assertEqual(by_option.returncode, 0)
            self.assertEqual(by_option.stdout, by_command.stdout)
            self.assertEqual(by_option.stderr, "")
        self.assertEqual(run(["--help"]).stdout, run(["help"]).stdout)
        self.assertEqual(run(["run", "-h"]).stdout, run(["help", "run"]).stdout)

    def test_no_line_of_help_is_wider_than_a_terminal(self):
        for command in COMMANDS:
            for line in run(["help"] + command.split()).stdout.split("\n"):
                if not line.startswith("  neonferry "):  # examples stand as they are typed
                    self.assertLessEqual(len(line), 80, line)

    def test_version(self):
        self.assertRegex(run(["version"]).stdout, r"\Aneonferry \d+\.\d+\.\d+\n")
        self.assertEqual(run(["--version"]).stdout, run(["version"]).stdout)
        self.assertIn("neonferry", json.loads(run(["version", "--json"]).stdout))

    def test_a_wrong_setting_in_the_environment_is_named(self):
        done = run(["run"], NEONFERRY_JOBS="many")
        self.assertEqual(done.returncode, 2)
        self.assertIn("environment variable NEONFERRY_JOBS", done.stderr)

    def test_a_closed_pipe_is_no_crash(self):
        script = '"%s" help run | true; exit ${PIPESTATUS[0]}' % os.path.abspath(NEONFERRY)
        self.assertEqual(subprocess.run(["bash", "-c", script]).returncode, 0)

    def test_a_result_that_could_not_be_written_is_an_error(self):
        for words in (["help"], ["help", "--help"], ["version"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([NEONFERRY] + words, stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=60)
            self.assertEqual(done.returncode, 5, words)
            self.assertRegex(done.stderr, "could not be written to standard output: No space left.*\n  hint: ")

    def test_closed_standard_descriptors_are_told_where_that_can_be(self):
        script = '"%s" version %s; exit $?'
        for closed, status in ((">&-", 5), ("<&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 5)):
            done = subprocess.run(["bash", "-c", script % (os.path.abspath(NEONFERRY), closed)], timeout=60,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.assertEqual(done.returncode, status, closed)


if __name__ == "__main__":
    unittest.main()
