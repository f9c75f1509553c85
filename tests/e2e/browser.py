# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium through the W3C WebDriver protocol, with nothing but the standard library."""
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # by the W3C recommendation
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015",
        "Control": "\ue009", "Backspace": "\ue003"}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
         "--force-device-scale-factor=1", "--hide-scrollbars"]


def missing():
    """What is not installed, or None."""
    for name in ("chromedriver", "chromium"):
        if not shutil.which(name):
            return f"{name} is not installed"
    return None


class Browser:
    def __init__(self, width=1280, height=900):
        self.profile = tempfile.mkdtemp(prefix="csample-chromium-")
        # Port 0: chromedriver chooses, and says which.
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       text=True, start_new_session=True)
        self.session = None
        try:
            self.base = self._address()
            options = {"binary": shutil.which("chromium"),
                       "args": [*FLAGS, f"--user-data-dir={self.profile}", f"--window-size={width},{height}"]}
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = made["sessionId"]
        except BaseException:
            self.close()
            raise

    def _address(self):
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                return f"http://127.0.0.1:{int(line.split()[-1].rstrip('.'))}"
        raise RuntimeError(f"chromedriver ended with status {self.driver.wait()}")

    def _call(self, method, path, body=None, timeout=120):
        path = path.replace("/session/ID", f"/session/{self.session}")
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {json.load(error)['value']['message']}") from None

    def close(self):
        if self.session:
            self._call("DELETE", "/session/ID")
        os.killpg(self.driver.pid, signal.SIGTERM)  # its own group: the browser too, should it still run
        self.driver.wait()
        self.driver.stdout.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, path):
        self._call("POST", "/session/ID/url", {"url": pathlib.Path(path).resolve().as_uri()})

    def run(self, script, *args):
        """The value of a JavaScript function body in the page."""
        return self._call("POST", "/session/ID/execute/sync", {"script": script, "args": list(args)})

    def find(self, css):
        return self._call("POST", "/session/ID/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self._call("POST", f"/session/ID/element/{self.find(css)}/click")

    def text(self, css):
        return self.run("return document.querySelector(arguments[0]).textContent", css)

    def pointer(self, x, y, click=False):
        """Moves the pointer there, in pixels of the window, and clicks."""
        actions = [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._call("POST", "/session/ID/actions", {"actions": [{
            "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def keys(self, *names, held=None):
        """Presses keys one after the other, wherever the focus is; held is down meanwhile."""
        actions = [{"type": "keyDown", "value": KEYS[held]}] if held else []
        for name in names:
            key = KEYS.get(name, name)
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        if held:
            actions.append({"type": "keyUp", "value": KEYS[held]})
        self._call("POST", "/session/ID/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def resize(self, width, height):
        self._call("POST", "/session/ID/window/rect", {"width": width, "height": height})

    def log(self):
        """What the console said since the last call."""
        return [entry["message"] for entry in self._call("POST", "/session/ID/se/log", {"type": "browser"})]

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self._call("GET", "/session/ID/screenshot")))

    def wait(self, script, *args, timeout=30):
        """Until the script's value is true; the limit is for a test that hangs."""
        end = time.monotonic() + timeout
        while not (value := self.run(script, *args)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)
        return value
