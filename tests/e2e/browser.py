# SPDX-License-Identifier: Apache-2.0
"""Headless browsers with nothing but the standard library: Chromium through chromedriver (the W3C
WebDriver protocol), Firefox through Marionette, which has the same commands under other names."""
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # by the W3C recommendation
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015",
        "Control": "\ue009", "Backspace": "\ue003"}


class Browser:
    """What tests do with a page. A subclass starts the browser and knows how to send it a command."""

    def __init__(self, command, **options):
        self.profile = tempfile.mkdtemp(prefix="csample-browser-")
        env = dict(os.environ, HOME=self.profile, MOZ_REMOTE_SETTINGS_DEVTOOLS="1")
        self.process = subprocess.Popen([c.replace("PROFILE", self.profile) for c in command], env=env,
                                        start_new_session=True, **options)
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own group: the driver and what it started
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, path):
        self.command("Navigate", url=pathlib.Path(path).resolve().as_uri())

    def run(self, script, *args):
        """The value of a JavaScript function body in the page."""
        return self.value(self.command("ExecuteScript", script=script, args=list(args)))

    def click(self, css):
        found = self.value(self.command("FindElement", using="css selector", value=css))
        self.command("ElementClick", id=found[ELEMENT])

    def pointer(self, x, y, click=False):
        """Moves the pointer there, in pixels of the window, and clicks."""
        actions = [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.command("PerformActions", actions=[{
            "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}])

    def keys(self, *names, held=None):
        """Presses keys one after the other, wherever the focus is; held is down meanwhile."""
        actions = [{"type": "keyDown", "value": KEYS[held]}] if held else []
        for name in names:
            key = KEYS.get(name, name)
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        if held:
            actions.append({"type": "keyUp", "value": KEYS[held]})
        self.command("PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def resize(self, width, height):
        self.command("SetWindowRect", width=width, height=height)

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.value(self.command("TakeScreenshot"))))

    def wait(self, script, *args, timeout=60):
        """Until the script's value is true; the limit is for a test that hangs."""
        end = time.monotonic() + timeout
        while not (value := self.run(script, *args)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)
        return value


class Chromium(Browser):
    NEEDS = ("chromedriver", "chromium")
    PATHS = {"Navigate": "url", "ExecuteScript": "execute/sync", "FindElement": "element",
             "ElementClick": "element/{id}/click", "PerformActions": "actions", "SetWindowRect": "window/rect",
             "GetLog": "se/log"}
    FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--force-device-scale-factor=1", "--hide-scrollbars"]

    def __init__(self):
        self.session = None
        # Port 0: it chooses, and says which.
        super().__init__(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def begin(self):
        port = None
        for line in self.process.stdout:
            if "started successfully on port" in line:
                port = int(line.split()[-1].rstrip("."))
                break
        if not port:
            raise RuntimeError(f"chromedriver ended with status {self.process.wait()}")
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"binary": shutil.which("chromium"),
                   "args": [*self.FLAGS, f"--user-data-dir={self.profile}", "--window-size=1280,900"]}
        self.session = self.send("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})["sessionId"]

    def send(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {json.load(error)['value']['message']}") from None

    def command(self, name, **args):
        if name == "TakeScreenshot":
            return self.send("GET", f"/{self.session}/screenshot")
        return self.send("POST", f"/{self.session}/{self.PATHS[name].format(**args)}", args)

    @staticmethod
    def value(answer):
        return answer

    def complaints(self):
        """What the console said since the last call."""
        return [entry["message"] for entry in self.command("GetLog", type="browser")]

    def close(self):
        if self.session:
            self.send("DELETE", f"/{self.session}")
        super().close()


class Firefox(Browser):
    NEEDS = ("firefox",)

    def __init__(self):
        self.socket = None
        self.n = 0
        super().__init__(["firefox", "--headless", "--no-remote", "--marionette", "--profile", "PROFILE"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def begin(self):
        """It writes the port it chose beside its profile."""
        port_file = pathlib.Path(self.profile) / "MarionetteActivePort"
        end = time.monotonic() + 120
        while not (port_file.exists() and port_file.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"firefox has no port; status {self.process.poll()}")
            time.sleep(0.05)
        self.socket = socket.create_connection(("127.0.0.1", int(port_file.read_text())), timeout=120)
        self.stream = self.socket.makefile("rb")
        self.receive()  # its greeting
        self.command("NewSession")
        self.command("SetWindowRect", width=1280, height=900)

    def receive(self):
        length = b""
        while (c := self.stream.read(1)) != b":":
            if not c:
                raise RuntimeError("firefox has gone")
            length += c
        return json.loads(self.stream.read(int(length)))

    def command(self, name, **args):
        self.n += 1
        message = json.dumps([0, self.n, f"WebDriver:{name}", args]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self.receive()
        if error:
            raise RuntimeError(f"{name}: {error['message']}")
        return result

    @staticmethod
    def value(answer):
        return answer["value"]

    def complaints(self):
        return []  # Marionette does not tell

    def close(self):
        if self.socket:
            self.stream.close()
            self.socket.close()
        super().close()


def missing(browser):
    """The name of a program it needs that is not installed, or None."""
    return next((name for name in browser.NEEDS if not shutil.which(name)), None)
