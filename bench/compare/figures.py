# SPDX-License-Identifier: Apache-2.0
"""From measured times to figures: spreads, ratios with intervals, rooflines, how outputs differ."""
import collections

import numpy as np

# Bytes of all second-level caches that the threads have, and of the last-level cache.
Caches = collections.namedtuple("Caches", "second last")


def spread(times):
    """Median, 10th and 90th percentile of all runs."""
    middle, low, high = np.percentile(times, [50, 10, 90])
    return {"median": float(middle), "p10": float(low), "p90": float(high), "runs": len(times)}


def interval(values, seed=1):
    """The median with its 95 % bootstrap interval."""
    values = np.asarray(values, dtype=float)
    draws = np.random.default_rng(seed).choice(values, (4000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return {"median": float(np.median(values)), "low": float(low), "high": float(high)}


def difference(found, expected):
    """The largest difference of any output, relative to the largest finite expected value, and
    that output's name; infinity where names, shapes, NaNs, infinities or integers differ."""
    if set(found) != set(expected):
        return float("inf"), "the names of outputs"
    worst, where = 0.0, ""
    for name, e in expected.items():
        f, e = np.asarray(found[name]), np.asarray(e)
        if f.shape != e.shape:
            return float("inf"), name
        if e.dtype.kind != "f":
            error = 0.0 if np.array_equal(f, e) else float("inf")
        else:
            finite = np.isfinite(e)
            same = np.array_equal(f[~finite], e[~finite], equal_nan=True) and \
                np.isfinite(f[finite]).all()
            scale = np.abs(e[finite]).max(initial=np.finfo(np.float32).tiny)
            gap = np.abs(f[finite].astype(np.float64) - e[finite]).max(initial=0.0)
            error = float(gap / scale) if same else float("inf")
        if error >= worst:
            worst, where = error, name
    return worst, where


def bound_ms(kernel, peaks, caches):
    """What a kernel takes at best: the longer of its arithmetic and its traffic. Constants come
    from memory; other operands from the nearest cache that they fit. In a recurrence so do
    constants that were used before."""
    constant = kernel["constant_bytes"]
    other = kernel["bytes"] - constant
    far = peaks["far_bytes"]

    def speed(size):
        if size > caches.last:
            return far
        return max(far, peaks["near_bytes" if size <= caches.second else "third_bytes"])

    repeat = kernel["repeat"]
    moving = constant / far + (repeat - 1) * constant / speed(constant)
    moving += repeat * other / speed(other)
    return 1e3 * max(repeat * kernel["flops"] / peaks["flops"], moving)


def roofline_ms(kernels, peaks, caches):
    """Σ of the kernels' bounds: what the model takes at best, as it was rewritten and fused."""
    return sum(bound_ms(k, peaks, caches) for k in kernels)


def geometric_mean(values):
    """Of positive numbers."""
    return float(np.exp(np.mean(np.log(values))))
