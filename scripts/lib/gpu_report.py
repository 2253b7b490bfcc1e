# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gpu_report.py DIR: joins what scripts/gpu_check.sh left in DIR into results.json and table.md."""

import json
import pathlib
import re
import sys

# (name of benchmarks, column, must, aim): at least so much of the copy's rate, or at most so many microseconds.
GOALS = [
    (r"score/Llama-3-8B/lse_mean/S:16/N:(32768|131072)/cold:1", "of_copy", 0.55, 0.70),
    (r"score/Llama-3-8B/lse_\w+/S:32/N:(32768|131072)/cold:1", "of_copy", 0.40, 0.60),
    (r"score/Llama-3-70B/lse_\w+/S:32/N:(32768|131072)/cold:1", "of_copy", 0.22, 0.35),
    (r"compact/Llama-3-(8|70)B/.*", "of_copy", 0.80, 0.90),
    (r"select/windows/groups:\d/items:16384/cold:1", "us", 15, 8),
    (r"select/windows/groups:\d/items:131072/cold:1", "us", 60, 30),
    (r"compress/Llama-3-8B/paper_mean(_lse)?_batched/S:16/N:8192/cold:1", "us", 350, 220),
    (r"compress/Llama-3-8B/paper_mean(_lse)?_batched/S:16/N:32768/cold:1", "us", 500, 300),
    (r"compress/Llama-3-8B/paper_mean(_lse)?_batched/S:16/N:131072/cold:1", "us", 900, 550),
]
# windowkv must be this much faster than a peer at a whole model of 8k tokens, and is to be that much.
PEER_GOALS = {"torch_vectorised": (3, 5), "authors_algorithm": (100, 400)}
SUFFIX = {"mean": 16, "top4": 32}


def load(path):
    """A file that ends early, because its program ran out of time, is read as far as it goes."""
    text = path.read_text() if path.exists() else ""
    for candidate in (text, text[: text.rfind("}") + 1] + "]}"):
        try:
            return json.loads(candidate)
        except ValueError:
            pass
    return None


def measurements(raw):
    """One entry per benchmark: the median over its repetitions, or its error."""
    entries = {}
    for run in (raw or {}).get("benchmarks", []):
        name = run.get("run_name", run["name"]).replace("/iterations:20/manual_time", "").replace("/manual_time", "")
        if run.get("error_occurred"):
            entries[name] = {"name": name, "error": run.get("error_message", "")}
        elif run.get("aggregate_name") == "median":
            known = ("bytes", "flops", "of_copy", "host_us", "launches", "resident_layers", "same_windows", "windows")
            entry = {"name": name, "us": run["real_time"], **{k: run[k] for k in known if k in run}}
            entries.setdefault(name, {}).update(entry)
        elif run.get("aggregate_name") == "stddev":
            entries.setdefault(name, {})["us_stddev"] = run["real_time"]
    return list(entries.values())


def verdict(name, entry):
    for pattern, column, must, aim in GOALS:
        if not re.fullmatch(pattern, name) or column not in entry:
            continue
        value = entry[column]
        met = (lambda goal: value >= goal) if column == "of_copy" else (lambda goal: value <= goal)
        text = "aim met" if met(aim) else "must met" if met(must) else "MISSED"
        shown = f"{must:.0%} / {aim:.0%}" if column == "of_copy" else f"{must} / {aim} us"
        return shown, text
    return "", ""


def unfused_ratio(name, entry, by_name):
    """Of the same pipeline assembled from cuBLAS and CUB to windowkv's batched one."""
    match = re.fullmatch(r"unfused_compress/(.+)/(paper_\w+)/(.+)", name)
    ours = by_name.get(f"compress/{match[1]}/{match[2]}_batched/{match[3]}", {}).get("us") if match else None
    return f"windowkv {entry['us'] / ours:.1f}x faster" if ours else ""


def is_shown(name):
    """The rest is in results.json."""
    return name.startswith(("empty", "copy", "compress", "unfused_compress"))


def peer_rows(peers, by_name):
    for peer in peers:
        for result in peer["results"]:
            if "median_ms" not in result:
                continue
            variant = f"paper_{result['rule']}_batched/S:{SUFFIX[result['rule']]}/N:{result['tokens']}/cold:1"
            ours = by_name.get(f"compress/{result['model']}/{variant}", {}).get("us")
            shown = text = ""
            ratio = 1e3 * result["median_ms"] / ours if ours else None
            if ratio and result["model"] == "Llama-3-8B" and result["tokens"] == 8192:
                must, aim = PEER_GOALS[peer["peer"]]
                shown = f"{must}x / {aim}x"
                text = "aim met" if ratio >= aim else "must met" if ratio >= must else "MISSED"
            yield (
                f"{peer['peer']}/{result['model']}/{result['rule']}/N:{result['tokens']}",
                f"{1e3 * result['median_ms']:.0f}",
                f"windowkv {ratio:.1f}x faster" if ratio else "",
                shown,
                text,
            )


def table(facts, steps, entries, peers):
    lines = ["<!-- Made by scripts/gpu_check.sh -->", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += ["", "| step | outcome | s | |", "|---|---|---|---|"]
    lines += [f"| {s['name']} | {s['outcome']} | {s['seconds']} | {s['text']} |" for s in steps]
    lines += ["", "| benchmark | us | share of copy rate | must / aim | |", "|---|---|---|---|---|"]
    by_name = {entry.get("name"): entry for entry in entries}
    for entry in entries:
        name = entry.get("name", "")
        if "error" in entry:
            lines.append(f"| {name} | error | {entry['error']} | | |")
            continue
        goal, outcome = verdict(name, entry)
        ratio = unfused_ratio(name, entry, by_name)
        if goal or is_shown(name):
            share = f"{entry['of_copy']:.0%}" if "of_copy" in entry else ""
            lines.append(f"| {name} | {entry['us']:.1f} | {share} | {goal} | {outcome}{ratio} |")
    lines += ["| " + " | ".join(row) + " |" for row in peer_rows(peers, by_name)]
    return "\n".join(lines) + "\n"


def main(folder):
    facts = dict(line.split(": ", 1) for line in (folder / "facts.txt").read_text().splitlines() if ": " in line)
    steps = []
    for line in (folder / "steps.tsv").read_text().splitlines():
        name, outcome, seconds, text = line.split("\t")
        steps.append({"name": name, "outcome": outcome, "seconds": int(seconds), "text": text})
    raw = load(folder / "benchmarks.json")
    entries = measurements(raw)
    peers = [p for p in (load(folder / f"{name}.json") for name in ("torch", "authors")) if p]
    clocks = (folder / "clocks.csv").read_text().splitlines() if (folder / "clocks.csv").exists() else []
    results = {
        "facts": facts,
        "steps": steps,
        "context": (raw or {}).get("context"),
        "benchmarks": entries,
        "peers": peers,
        "clocks_while_measuring": clocks,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "table.md").write_text(table(facts, steps, entries, peers))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
