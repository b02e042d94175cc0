"""The report in a real browser: its front page says what it should, and every figure loads."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = [
    pytest.mark.dft,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on the path to open the report with"),
]

# Opens every result as a click on its eye does, and notes what the page then shows.
OPEN_ALL = """
<script>
window.errors = [];
window.onerror = message => window.errors.push(String(message));
const wait = ms => new Promise(done => setTimeout(done, ms));
async function visit() {
  await wait(500);
  const table = document.querySelector(".prose table");
  const found = {front: document.body.innerText, width: table ? table.getBoundingClientRect().width : 0, shown: {}};
  found.top = document.querySelector(".prose").getBoundingClientRect().top;
  for (const [path, entry] of Object.entries(results)) {
    found.shown[path] = (entry.data_uri || "").length;
    if (!path.endsWith(".png")) continue;
    app.setView({content: "img", contentPath: entry.data_uri, resultPath: path});
    await wait(200);
    const image = [...document.images].find(image => image.src === entry.data_uri);
    for (let turn = 0; image && !image.complete && turn < 50; turn++) await wait(100);
    found.shown[path] = image ? image.naturalWidth : 0;
  }
  return found;
}
window.addEventListener("load", async () => {
  let found = {};
  try { found = await visit(); } catch (error) { window.errors.push(String(error)); }
  found.errors = window.errors;
  const note = document.createElement("pre");
  note.id = "found";
  note.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(found))));
  document.body.appendChild(note);
});
</script>
"""


def opened(report: Path, folder: Path) -> dict:
    """What a headless browser shows of a report: the front page, and the width in pixels of each figure."""
    from base64 import b64decode

    page = folder / "page.html"
    before, body, after = report.read_text().rpartition("</body>")
    page.write_text(before + OPEN_ALL + body + after)
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--window-size=1400,1000", "--virtual-time-budget=60000", "--dump-dom", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    note = re.search(r'<pre id="found">([^<]+)</pre>', ended.stdout)
    assert note, ended.stderr[-3000:]
    return json.loads(b64decode(note.group(1)))


def test_every_figure_loads_and_the_front_page_tells_the_run(smoke_run, tmp_path):
    smoke_run.snakemake("--report", "results/smoke/report.html")
    found = opened(smoke_run.root / "results/smoke/report.html", tmp_path)
    assert not found["errors"]
    drawn = {path.stem for path in (smoke_run.root / "results/smoke/figures").glob("*.png")}
    assert len(drawn) >= 9
    loaded = {Path(path).stem for path, size in found["shown"].items() if path.endswith(".png") and size > 500}
    assert loaded == drawn
    assert all(found["shown"].values()), found["shown"]
    front = found["front"]
    for said in (
        "claims and this run",
        "Calculations that failed",
        "Software",
        "gpaw",
        "torch",
        "Settings",
        "Statistics",
    ):
        assert said in front, said
    for claim in range(1, 11):
        assert f"C{claim}" in front
    # Wide enough to be read, and from its top.
    assert found["width"] > 800
    assert found["top"] >= 0
