# SPDX-License-Identifier: Apache-2.0
"""What compare.py prints."""
import pathlib

import figures

OURS = ("tessera", "exact", "generated", "imported")  # engines that are Tessera


def processor():
    """The processor's name as Linux tells it."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def kernel_rows(answer, peaks, caches):
    """Each launch with its measured time and bound, those that lose most first. The kernels of a
    recurrence are measured as one launch, whose bound is not known here."""
    bounds = {}
    for kernel in answer["kernels"]:
        if kernel["repeat"] == 1:
            bounds.setdefault(kernel["name"], []).append(kernel)
    rows = []
    for launch in answer["launches"]:
        kernels = bounds.get(launch["name"])
        row = {"name": launch["name"], "ms": launch["ms"], "bound_ms": 0.0}
        if kernels:  # both lists have the launches in the same order
            kernel = kernels.pop(0)
            row["bound_ms"] = figures.bound_ms(kernel, peaks, caches)
            row["implementation"] = kernel["implementation"]
            row["node"] = kernel["nodes"][0] if kernel["nodes"] else ""
        rows.append(row)
    return sorted(rows, key=lambda r: r["bound_ms"] - r["ms"])


def table(head, rows):
    """Aligned columns: the first to the left, the others to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)


def show_ms(q):
    return f"{q['median']:.2f} ({q['p10']:.2f}-{q['p90']:.2f})"


def show_interval(q):
    return f"{q['median']:.2f} [{q['low']:.2f}, {q['high']:.2f}]"


def gain(row):
    """Best peer / Tessera; what cannot be compared comes first."""
    return row["ratio"][row["best_peer"]]["median"] if "best_peer" in row else 0


def comparable(row):
    return "best_peer" in row


def show(rows, options):
    """The table of models, losses first, then means and what went wrong."""
    engines = [e for e in options.engines if any(e in row.get("ms", {}) for row in rows)]
    lines = []
    for row in sorted(rows, key=gain):
        ms = row.get("ms", {})
        line = [f"{row['model']} x{row['batch']}", row["threads"]]
        line += [show_ms(ms[e]) if e in ms else "-" for e in engines]
        line.append(row.get("best_peer", "-"))
        line.append(show_interval(row["ratio"][row["best_peer"]]) if comparable(row) else "-")
        line.append(f"{100 * row['roofline']['median']:.0f} %" if "roofline" in row else "-")
        lines.append(line)
    table(["median ms (p10-p90)", "threads", *engines, "best peer", "best peer / tessera",
           "of roofline"], lines)
    for threads in sorted({row["threads"] for row in rows}):
        gains = [gain(row) for row in rows if comparable(row) and row["threads"] == threads]
        if gains:
            print(f"{threads} threads: geometric mean of best peer / tessera "
                  f"{figures.geometric_mean(gains):.3f} over {len(gains)} models, "
                  f"{sum(g < 1 for g in gains)} slower than the best peer")
    for row in rows:
        for precision in row.get("precision", {}).values():
            print(f"{row['model']}, {row['threads']} threads: {precision}")
    for name in OURS[1:]:
        ours = [row["ratio"][name]["median"] for row in rows if name in row.get("ratio", {})]
        if ours:
            print(f"geometric mean of {name} / tessera {figures.geometric_mean(ours):.3f}, "
                  f"from {min(ours):.2f} to {max(ours):.2f}")
    show_problems(rows)
    if options.kernels:
        show_kernels(rows, options.kernels)


def show_problems(rows):
    """What went wrong with which models; what concerns all of them once."""
    where = {}
    for row in rows:
        for problem in problems(row):
            where.setdefault(problem, []).append(f"{row['model']}, {row['threads']} threads")
    for problem, places in where.items():
        print(f"{'all' if len(places) == len(rows) > 1 else '; '.join(places)}: {problem}")


def problems(row):
    if "failed" in row:
        yield row["failed"]
    yield from row.get("wrong", {}).values()
    yield from row.get("absent", {}).values()


def show_kernels(rows, count):
    for row in sorted(rows, key=gain):
        if "kernels" not in row:
            continue
        print(f"\n{row['model']}, {row['threads']} threads: kernels by what they lose, hot")
        table(["kernel", "ms", "bound ms", "implementation", "node"],
              [[k["name"][:50], f"{k['ms']:.3f}", f"{k['bound_ms']:.3f}",
                k.get("implementation", "-")[:40], k.get("node", "")[-50:]]
               for k in row["kernels"][:count]])


def status(rows, options):
    """The exit status: 1 when Tessera is wrong or fails, or loses and must not."""
    bad = any("failed" in row or any(e in row.get(k, {}) for e in OURS for k in ("wrong", "absent"))
              for row in rows)
    lost = any(comparable(row) and row["ratio"][row["best_peer"]]["high"] < 1 for row in rows)
    return 1 if bad or (options.no_loss and lost) else 0
