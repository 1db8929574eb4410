"""Makes static/screenshot.png, the README's picture: the real page in a real Chromium, as it opens (make screenshot)."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

PROJECT_DIR = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_DIR / "benchmarks"))

from benchPage import find_chromium  # noqa: E402 - in the folder above

TARGET = PROJECT_DIR / "static" / "screenshot.png"


def main():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = os.environ | {"PORT": str(port), "MLFLOW_UI": "off", "REQUEST_LOG": os.devnull, "WEB_CONCURRENCY": "1"}
    service = subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT_DIR, env=environment)
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_for(url)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 965})
            page.goto(url)
            page.locator("#chart canvas").wait_for()
            page.screenshot(path=TARGET)
            browser.close()
    finally:
        service.terminate()
        service.wait()
    print(f"{TARGET.relative_to(PROJECT_DIR)}: {TARGET.stat().st_size // 1024} kB")


def wait_for(url):
    for _ in range(300):
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The service does not answer.")


if __name__ == "__main__":
    main()
