"""Draws docs/en/img/top-*.png: `hardy top` as it shows a small shop. Needs the tests' tools and Chromium.

.venv-test/bin/python tools/top_pictures.py
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hardy.observe.screen import TopApp

IMAGES = Path(__file__).parents[1] / "docs/en/img"
SIZE = (144, 16)
SHOP = """
import random, time
import hardy

def feed(jobs):
    for number in range(1_000_000):
        jobs.put(number)

def sell(jobs, stock, receipts):
    while True:
        number = jobs.get()
        with stock:
            time.sleep(0.03)
        receipts.put(f"receipt {number}")

def print_all(receipts):
    while True:
        receipts.get()
        time.sleep(0.09)

def resize_picture(number):
    for step in range(20):
        hardy.progress(step, 20)
        time.sleep(0.05)
    if random.random() < 0.2:
        raise ValueError(number)

if __name__ == "__main__":
    jobs, receipts = hardy.Queue(200, name="jobs"), hardy.Queue(name="receipts")
    stock, go = hardy.Lock(name="stock"), hardy.Event(name="go")
    hardy.Process(target=feed, args=(jobs,), name="feeder").start()
    for number in range(1, 4):
        hardy.Process(target=sell, args=(jobs, stock, receipts), name=f"till-{number}").start()
    hardy.Process(target=print_all, args=(receipts,), name="printer", daemon=True).start()
    hardy.Process(target=go.wait, name="auditor").start()
    pool = hardy.Pool(3)
    pool.map_async(resize_picture, range(500), chunksize=1)
    time.sleep(3600)
"""


async def draw(pid: int, folder: Path) -> None:
    """Look for some seconds, and keep each table as an SVG."""
    app = TopApp(interval_s=0.5, pids={pid})
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(8)
        for key, name in (("1", "processes"), ("2", "queues"), ("4", "pools")):
            await pilot.press(key)
            await pilot.pause(0.6)
            (folder / f"top-{name}.svg").write_text(app.export_screenshot(title="hardy top").replace("⭘", "·"))


def main() -> None:
    """Run the shop, look at it, and draw what was seen."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shop.py").write_text(SHOP)
        with subprocess.Popen([sys.executable, "shop.py"], cwd=folder) as shop:
            try:
                asyncio.run(draw(shop.pid, folder))
            finally:
                shop.kill()
        for svg in sorted(folder.glob("top-*.svg")):
            width, height = svg.read_text().partition('viewBox="0 0 ')[2].partition('"')[0].split()
            size = f"{round(float(width))},{round(float(height))}"
            png = IMAGES / f"{svg.stem}.png"
            how = ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1")
            page = folder / "page.html"
            page.write_text(f'<body style="margin:0"><img src="{svg.name}" width="{width}"></body>')
            command = [browser, *how, f"--user-data-dir={folder}/profile", f"--window-size={size}"]
            subprocess.run([*command, f"--screenshot={png}", page.as_uri()], check=True, capture_output=True)
            print(png)


if __name__ == "__main__":
    main()
