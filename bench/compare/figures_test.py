# SPDX-License-Identifier: Apache-2.0
"""Tests of figures.py."""
import unittest

import numpy as np

import figures

PEAKS = {"flops": 1e9, "far_bytes": 1e9, "third_bytes": 2e9, "near_bytes": 4e9}
CACHE = figures.Caches(second=1000, last=5000)


def kernel(flops, moved, constant, repeat=1):
    return {"flops": flops, "bytes": moved, "constant_bytes": constant, "repeat": repeat}


class Difference(unittest.TestCase):
    def test_is_relative_to_the_largest_value(self):
        expected = {"y": np.float32([0, 4, -8])}
        self.assertEqual(figures.difference({"y": np.float32([1, 4, -8])}, expected), (1 / 8, "y"))

    def test_tells_names_shapes_and_integers_apart(self):
        y = {"y": np.arange(3)}
        for other in ({"z": np.arange(3)}, {"y": np.arange(4)}, {"y": np.arange(3) + 1}):
            self.assertEqual(figures.difference(other, y)[0], float("inf"))
        self.assertEqual(figures.difference(y, y)[0], 0)

    def test_holds_nan_and_infinity_to_be_values(self):
        e = {"y": np.float32([np.nan, np.inf, 1])}
        self.assertEqual(figures.difference({"y": np.float32([np.nan, np.inf, 1])}, e)[0], 0)
        for wrong in ([np.nan, -np.inf, 1], [0, np.inf, 1], [np.nan, np.inf, np.nan]):
            self.assertEqual(figures.difference({"y": np.float32(wrong)}, e)[0], float("inf"))


class Bound(unittest.TestCase):
    def test_is_the_longer_of_arithmetic_and_traffic(self):
        self.assertAlmostEqual(figures.bound_ms(kernel(5e6, 100, 0), PEAKS, CACHE), 5)
        self.assertAlmostEqual(figures.bound_ms(kernel(1, 2e6, 2e6), PEAKS, CACHE), 2)

    def test_takes_small_operands_from_the_cache_and_constants_from_memory(self):
        self.assertAlmostEqual(figures.bound_ms(kernel(0, 800, 0), PEAKS, CACHE), 800 / 4e6)
        self.assertAlmostEqual(figures.bound_ms(kernel(0, 800, 800), PEAKS, CACHE), 800 / 1e6)
        self.assertAlmostEqual(figures.bound_ms(kernel(0, 4000, 0), PEAKS, CACHE), 4000 / 2e6)
        self.assertAlmostEqual(figures.bound_ms(kernel(0, 6000, 0), PEAKS, CACHE), 6000 / 1e6)

    def test_keeps_small_constants_of_a_recurrence_in_the_cache(self):
        once = figures.bound_ms(kernel(0, 800, 800), PEAKS, CACHE)
        self.assertAlmostEqual(figures.bound_ms(kernel(0, 800, 800, 5), PEAKS, CACHE),
                               once + 4 * 800 / 4e6)
        once = figures.bound_ms(kernel(0, 4000, 4000), PEAKS, CACHE)
        self.assertAlmostEqual(figures.bound_ms(kernel(0, 4000, 4000, 5), PEAKS, CACHE),
                               once + 4 * 4000 / 2e6)


class Interval(unittest.TestCase):
    def test_holds_the_median(self):
        q = figures.interval([1, 2, 3, 4, 50])
        self.assertEqual(q["median"], 3)
        self.assertTrue(1 <= q["low"] <= 3 <= q["high"] <= 50)

    def test_geometric_mean(self):
        self.assertAlmostEqual(figures.geometric_mean([0.5, 2, 1]), 1)


if __name__ == "__main__":
    unittest.main()
