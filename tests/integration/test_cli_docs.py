"""The pages that the program makes from its tables are those in docs/ (scripts/gen-docs)."""

import os
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

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_the_manual_page_is_sound_roff(self):
        done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z", REPO + "/docs/reference/neonferry.1"],
                              stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
