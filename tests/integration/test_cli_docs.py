"""The pages that the program makes from its tables are those in docs/ (scripts/gen-docs), and what a
requirement asks of the others is in them."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

NEONFERRY = os.path.abspath(os.environ.get("NEONFERRY", "build/neonferry"))
REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["reference/options.md", "reference/exit-status.md", "reference/environment.md",
         "reference/neonferry.1", "troubleshooting.md"]


class Docs(unittest.TestCase):
    maxDiff = None

    def test_pages_are_what_the_program_prints(self):
        with tempfile.TemporaryDirectory() as made:
            subprocess.run([REPO + "/scripts/gen-docs", NEONFERRY, made], check=True, timeout=60)
            for page in PAGES:
                with open(os.path.join(made, page)) as new, open(REPO + "/docs/" + page) as old:
                    self.assertEqual(new.read(), old.read(), "run scripts/gen-docs")

    def test_nothing_else_claims_to_be_made(self):
        for folder, _, files in os.walk(REPO + "/docs"):
            for name in files:
                path = os.path.relpath(os.path.join(folder, name), REPO + "/docs")
                with open(os.path.join(folder, name), errors="replace") as f:
                    if "Made by scripts/gen-docs" in f.read(200):
                        self.assertIn(path, PAGES)

    def test_every_event_is_described(self):
        """docs/reference/events.md: a row for each name that the sources emit, and for no other."""
        emitted = {"summary"}
        for layer in ("common", "schema", "transfer", "verify", "cli"):
            for path in glob.glob(os.path.join(REPO, layer, "*.c")):
                with open(path, encoding="utf-8") as f:
                    emitted.update(re.findall(r'event_(?:emit|json)\([^;{]*?"([a-z][a-z_.-]*)"', f.read()))
        first_cells = re.findall(r"(?m)^\| (`[^|]+`) \|", self.page("reference/events.md").split("\n## The run\n")[1])
        self.assertEqual({name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}, emitted)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_the_manual_page_is_sound_roff(self):
        done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z", REPO + "/docs/reference/neonferry.1"],
                              stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    # ---- requirements ----------------------------------------------------------------------------

    @staticmethod
    def page(name):
        with open(os.path.join(REPO, "docs", name), encoding="utf-8") as f:
            return f.read()

    def holds(self, text, words):
        self.assertEqual([w for w in words if w not in text], [])

    def test_each_requirement_names_tests_that_name_it(self):
        rows = re.findall(r"(?m)^\| (P-\d+) \| .* \| (.*) \|$", self.page("reference/requirements.md"))
        ids = [name for name, _ in rows]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual([name for name, tests in rows if "`" not in tests], ["P-119"])
        for name, tests in rows:
            for of_file in tests.split("; ") if name != "P-119" else ():
                self.assertRegex(of_file, r"^`[a-z_/]+\.(py|c)` `\w+`(, `\w+`)*$", name)
                path, *names = re.findall(r"`([^`]+)`", of_file)
                with open(os.path.join(REPO, "tests", path), encoding="utf-8") as f:
                    text = f.read()
                self.assertRegex(text, r"\b%s\b" % name, path)
                for test in names:
                    self.assertRegex(text, r"(?m)^ *(def|class|static void) %s\b" % test, path)

    def test_changes_without_an_outage_are_described(self):
        """P-203: docs/schema.md."""
        self.holds(self.page("schema.md").split("\n## Changes without an outage\n")[1],
                   ["with a default", "batch", "NOT VALID", "VALIDATE CONSTRAINT", "CONCURRENTLY",
                    "Drop the old column"])

    def test_the_workflow_to_copy_has_every_step(self):
        """P-207: docs/ci-workflow.md; its commands and options are the program's."""
        workflow = self.page("ci-workflow.md").split("```")[1]
        self.holds(workflow, ["pull_request", "schema lint", "--dry-run", "schema apply --env test",
                              "schema verify --env test", "environment: production", "schema apply --env prod",
                              "NEONFERRY_NOTIFY", "DEPLOY_HOOK"])
        for command, options in re.findall(r"neonferry (schema \w+)([^#|\n]*)", workflow):
            help_ = subprocess.run([NEONFERRY, "help", *command.split()], check=True, stdout=subprocess.PIPE, text=True,
                                   timeout=60).stdout
            self.holds(help_, re.findall(r"--[a-z-]+", options))

    def test_the_manifest_to_copy_is_a_job_that_resumes(self):
        """P-410: docs/kubernetes.md."""
        self.holds(self.page("kubernetes.md").split("```")[1],
                   ["kind: Secret", "kind: PersistentVolumeClaim", "kind: Job", "neonferry, run, --run-dir",
                    "restartPolicy: Never", "podFailurePolicy", "mountPath", "NEON_DATABASE_URL"])

    def test_the_usual_troubles_are_listed(self):
        """P-117: docs/troubleshooting.md, each with a meaning and what to do."""
        rows = re.findall(r"(?m)^\| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \|$", self.page("troubleshooting.md"))
        self.holds(rows, ["SSL required", "Connection timeout", "Too many connections", "Extension missing",
                          "Permission denied", "Dimension mismatch", "Slow search", "Pool exhausted"])


if __name__ == "__main__":
    unittest.main()
