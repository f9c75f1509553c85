# SPDX-License-Identifier: Apache-2.0
"""The lines of a bench run: what, measured, beside what, ratio, limit, verdict."""
import json
import os
import time

OK, NOISE, BAD, NONE = "ok", "ok within noise", "NOT OK", ""


class Report:
    def __init__(self):
        self.lines = []
        self.started = time.strftime("%Y-%m-%dT%H:%M:%S%z")

    def heading(self, text):
        print(f"\n{text}", flush=True)

    def line(self, what, measured, beside="", ratio=None, limit="", verdict=NONE):
        self.lines.append({"what": what, "measured": measured, "beside": beside, "ratio": ratio, "limit": limit,
                           "verdict": verdict})
        shown = "" if ratio is None else f"{ratio:.3f}"
        print(f"  {what:<50} {measured:<24} {beside:<24} {shown:>8}  {limit:<12} {verdict}", flush=True)

    def at_most(self, what, value, limit, unit="", digits=1, beside=""):
        self.line(what, f"{value:.{digits}f} {unit}", beside, None, f"<= {limit} {unit}", OK if value <= limit else BAD)

    def at_least(self, what, value, limit, digits=4):
        self.line(what, f"{value:.{digits}f}", "", None, f">= {limit}", OK if value >= limit else BAD)

    def kept(self, what, share, error, limit):
        """Throughput kept, with its standard error."""
        verdict = OK if share >= limit else NOISE if share + 2 * error >= limit else BAD
        self.line(what, f"kept {share:.4f} +-{error:.4f}", "", None, f">= {limit}", verdict)

    def ratio(self, what, value, base, limit, unit="", digits=1, base_name="floor"):
        ratio = value / base if base else float("inf")
        self.line(what, f"{value:.{digits}f} {unit}", f"{base_name} {base:.{digits}f} {unit}", ratio, f"<= {limit}x",
                  OK if ratio <= limit else BAD)

    def loss(self, what, kept, base, limit):
        """Throughput lost against what the floor loses; both (median, standard error)."""
        lost, base_lost = 1 - kept[0], 1 - base[0]
        error = (kept[1] ** 2 + (limit * base[1]) ** 2) ** 0.5
        over = lost - limit * base_lost
        verdict = OK if over <= 0 else NOISE if over <= 2 * error else BAD
        self.line(what, f"lost {100 * lost:.2f}% +-{100 * kept[1]:.2f}",
                  f"floor {100 * base_lost:.2f}% +-{100 * base[1]:.2f}", lost / base_lost if base_lost > 0 else None,
                  f"<= {limit}x", verdict)

    def failed(self, what, error):
        self.line(what, "failed", str(error).splitlines()[0][:100] if str(error) else type(error).__name__, None, "", BAD)

    def bad(self):
        return [line for line in self.lines if line["verdict"] == BAD]

    def write(self, folder, **about):
        result = {"started": self.started, "machine": os.uname()._asdict() if hasattr(os.uname(), "_asdict") else
                  dict(zip(("sysname", "nodename", "release", "version", "machine"), os.uname())),
                  "cpus": os.cpu_count(), **about, "lines": self.lines}
        (folder / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
        rows = [[line[k] if k != "ratio" else "" if line[k] is None else f"{line[k]:.3f}" for k in
                 ("what", "measured", "beside", "ratio", "limit", "verdict")] for line in self.lines]
        text = "| what | csample | beside | ratio | limit | |\n|---|---|---|---|---|---|\n"
        (folder / "bench.md").write_text(text + "".join("| " + " | ".join(row) + " |\n" for row in rows))
