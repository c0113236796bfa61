// SPDX-License-Identifier: Apache-2.0
// Laws of maxima, exponentials, choices and conversions: what holds, and what nearly does.
#include <gtest/gtest.h>

#include "prove/prove.h"
#include "rules/rule.h"

namespace tessera::prove {
namespace {

struct Case {
  const char* holds;  ///< a rule
  const char* fails;  ///< nearly the same
};

class Laws : public testing::TestWithParam<Case> {};

TEST_P(Laws, hold_and_near_misses_fail) {
  const Verdict good = prove(rules::parse_rule(std::string("a : ") + GetParam().holds, "test", 1));
  EXPECT_EQ(good.kind, Verdict::Kind::proved) << GetParam().holds << "\n" << good.reason;
  const Verdict bad = prove(rules::parse_rule(std::string("a : ") + GetParam().fails, "test", 1));
  EXPECT_FALSE(bad.holds()) << GetParam().fails;
}

constexpr Case maxima[] = {
    {"(reduce_max[axes={1}] (add ?x ?s)) => (add (reduce_max[axes={1}] ?x) ?s) if (= (rank ?s) 0) "
     "mode real on ?x[n,m] ?s[]",
     "(reduce_max[axes={1}] (sub ?s ?x)) => (sub ?s (reduce_max[axes={1}] ?x)) if (= (rank ?s) 0) "
     "mode real on ?x[n,m] ?s[]"},
    {"(reduce_max[axes={1}] (mul ?x 2)) => (mul (reduce_max[axes={1}] ?x) 2) mode real on ?x[n,m]",
     "(reduce_max[axes={1}] (mul ?x -2)) => (mul (reduce_max[axes={1}] ?x) -2) mode real on "
     "?x[n,m]"},
    {"(reduce_max[axes={1}] (mul ?x ?s)) => (mul (reduce_max[axes={1}] ?x) ?s) if (<= 0 (value "
     "?s)) mode real on ?x[n,m] ?s[]>0",
     "(reduce_max[axes={1}] (mul ?x ?s)) => (mul (reduce_max[axes={1}] ?x) ?s) if (= (rank ?s) 0) "
     "mode real on ?x[n,m] ?s[]"},
    {"(relu (reduce_max[axes={1}] ?x)) => (reduce_max[axes={1}] (relu ?x)) mode real on ?x[n,m]",
     "(relu (reduce_sum[axes={1}] ?x)) => (reduce_sum[axes={1}] (relu ?x)) mode real on ?x[n,m]"},
    {"(relu (reduce_min[axes={1}] ?x)) => (reduce_min[axes={1}] (relu ?x)) mode real on ?x[n,m]",
     "(neg (reduce_min[axes={1}] ?x)) => (reduce_min[axes={1}] (neg ?x)) mode real on ?x[n,m]"},
    {"(max ?a (reduce_min[axes={1}] ?a)) => ?a mode real on ?a[n,m]",
     "(max ?a (reduce_max[axes={1}] ?a)) => ?a mode real on ?a[n,m]"},
    {"(exp (reduce_max[axes={1}] ?x)) => (reduce_max[axes={1}] (exp ?x)) mode real on ?x[n,m]",
     "(exp (neg (reduce_max[axes={1}] ?x))) => (reduce_max[axes={1}] (exp (neg ?x))) mode real on "
     "?x[n,m]"},
    {"(exp (neg (reduce_min[axes={1}] ?x))) => (reduce_max[axes={1}] (exp (neg ?x))) mode real on "
     "?x[n,m]",
     "(reduce_max[axes={1}] (cos ?x)) => (cos (reduce_max[axes={1}] ?x)) mode real on ?x[n,m]"},
    {"(tanh (reduce_max[axes={1}] ?x)) => (reduce_max[axes={1}] (tanh ?x)) mode real on ?x[n,m]",
     "(reduce_max[axes={1}] (mul ?x ?x)) => (mul (reduce_max[axes={1}] ?x) (reduce_max[axes={1}] "
     "?x)) mode real on ?x[n,m]"},
    {"(sigmoid (reduce_max[axes={1}] ?x)) => (reduce_max[axes={1}] (sigmoid ?x)) mode real on "
     "?x[n,m]",
     "(sigmoid (reduce_min[axes={1}] ?x)) => (reduce_max[axes={1}] (sigmoid ?x)) mode real on "
     "?x[n,m]"},
    {"(reduce_max[axes={1}] (mul ?x (mul ?x ?x))) => (mul (reduce_max[axes={1}] ?x) (mul "
     "(reduce_max[axes={1}] ?x) (reduce_max[axes={1}] ?x))) mode real on ?x[n,m]",
     "(reduce_max[axes={1}] (mul ?x (abs ?x))) => (mul (reduce_max[axes={1}] ?x) "
     "(reduce_max[axes={1}] ?x)) mode real on ?x[n,m]"},
    {"(relu (softmax[axis=1] ?x)) => (softmax[axis=1] ?x) mode real on ?x[n,m]",
     "(relu (tanh ?x)) => (tanh ?x) mode real on ?x[n,m]"},
    {"(mul (relu ?a) (relu ?a)) => (mul ?a (relu ?a)) mode real on ?a[n]",
     "(mul (relu ?a) (relu ?b)) => (mul ?a (relu ?b)) mode real on ?a[n] ?b[n]"},
    {"(mul (relu ?a) (relu (neg ?a))) => (mul ?a 0) mode real on ?a[n]",
     "(mul (relu ?a) (relu (add ?a 1))) => (mul ?a ?a) mode real on ?a[n]"},
    {"(sub (relu ?a) (relu (neg ?a))) => ?a mode real on ?a[n]",
     "(add (relu ?a) (relu (neg ?a))) => ?a mode real on ?a[n]"},
    // A window that lies in the padding has no maximum.
    {"(relu (max_pool[kernel_shape={3}, pads={1, 1}] ?x)) => (max_pool[kernel_shape={3}, pads={1, "
     "1}] (relu ?x)) mode real on ?x[n,m,k]",
     "(relu (max_pool[kernel_shape={2}, pads={2, 2}] ?x)) => (max_pool[kernel_shape={2}, pads={2, "
     "2}] (relu ?x)) mode real on ?x[n,m,k]"},
    {"(reduce_max[axes={1}] (concat[axis=1] (add ?a ?b) ?a)) => (reduce_max[axes={1}] (add ?a "
     "(relu ?b))) mode real on ?a[n,m] ?b[n,m]",
     "(reduce_max[axes={1}] (concat[axis=1] (sub ?a ?b) ?a)) => (reduce_max[axes={1}] (add ?a "
     "(relu ?b))) mode real on ?a[n,m] ?b[n,m]"},
};
INSTANTIATE_TEST_SUITE_P(Maxima, Laws, testing::ValuesIn(maxima));

constexpr Case exponentials[] = {
    {"(exp (log ?x)) => ?x mode real on ?x[n]",
     "?y:(mul ?x 1) => (exp (log ?x)) mode real on ?x[n]"},
    {"(log (mul ?x ?y)) => (add (log ?x) (log ?y)) if (positive ?x) (positive ?y) mode real on "
     "?x[n] ?y[n]",
     "(log (mul ?x ?y)) => (add (log ?x) (log ?y)) mode real on ?x[n]>0 ?y[n]>0"},
    {"(add (log ?x) (exp ?y)) => (add (exp ?y) (log ?x)) mode real on ?x[n] ?y[n]",
     "(log (mul ?x ?x)) => (mul (log ?x) 2) mode real on ?x[n]"},
    {"(log (div ?x ?y)) => (sub (log ?x) (log ?y)) if (positive ?x) (positive ?y) mode real on "
     "?x[n] ?y[n]",
     "(log (div ?x ?y)) => (sub (log ?y) (log ?x)) if (positive ?x) (positive ?y) mode real on "
     "?x[n] ?y[n]"},
    {"(log (pow ?x ?y)) => (mul ?y (log ?x)) if (positive ?x) mode real on ?x[n] ?y[n]",
     "(log (pow ?x ?y)) => (mul ?y (log ?x)) mode real on ?x[n]>0 ?y[n]"},
    {"(pow (pow ?x ?a) ?b) => (pow ?x (mul ?a ?b)) if (positive ?x) mode real on ?x[n] ?a[] ?b[]",
     "(pow (pow ?x ?a) ?b) => (pow ?x (add ?a ?b)) if (positive ?x) mode real on ?x[n] ?a[] ?b[]"},
    {"(div ?a (pow ?b ?c)) => (mul ?a (pow ?b (neg ?c))) mode real on ?a[n] ?b[n]>0 ?c[n]",
     "(mul ?a (pow ?b (neg ?c))) => (div ?a (pow ?b ?c)) mode real on ?a[n] ?b[n]>0 ?c[n]"},
    {"(log (sqrt ?x)) => (mul (log ?x) 0.5) mode real on ?x[n]",
     "(sqrt (mul ?x ?x)) => ?x mode real on ?x[n]"},
    {"(mul (sqrt ?x) (sqrt ?x)) => ?x mode real on ?x[n]",
     "?y:(mul ?x 1) => (mul (sqrt ?x) (sqrt ?x)) mode real on ?x[n]>0"},
    {"(sigmoid ?x) => (add (mul (tanh (mul ?x 0.5)) 0.5) 0.5) mode real on ?x[n]",
     "(sigmoid ?x) => (add (mul (tanh ?x) 0.5) 0.5) mode real on ?x[n]"},
    // The branch that is not taken need not be defined.
    {"(where ?c (div ?x ?y) (div ?x ?y)) => (div ?x ?y) mode real on ?c[n]:bool ?x[n] ?y[n]",
     "(where ?c (div ?x ?y) 0) => (mul (cast[to=f32] ?c) (div ?x ?y)) mode real on ?c[n]:bool "
     "?x[n] ?y[n]"},
};
INSTANTIATE_TEST_SUITE_P(Exponentials, Laws, testing::ValuesIn(exponentials));

constexpr Case exact[] = {
    {"(less ?x ?x) => (expand[shape=(shape ?x)] 0) mode exact on ?x[n]",
     "(less_or_equal ?x ?x) => (expand[shape=(shape ?x)] 1) mode exact on ?x[n]"},
    {"(less (abs ?x) 0) => (expand[shape=(shape ?x)] 0) if (float ?x) mode exact on ?x[n]",
     "(less (abs ?x) 0) => (expand[shape=(shape ?x)] 0) mode exact on ?x[n]:i32"},
    {"(equal ?x ?x) => (expand[shape=(shape ?x)] 1) if (integer ?x) mode exact on ?x[n]:i32",
     "(equal ?x ?x) => (expand[shape=(shape ?x)] 1) mode exact on ?x[n]:f32"},
    {"(less ?x 0) => (expand[shape=(shape ?x)] 0) mode exact on ?x[n]:u8",
     "(less ?x 0) => (expand[shape=(shape ?x)] 0) mode exact on ?x[n]:i8"},
    {"(relu (where ?c ?a ?b)) => (where ?c (relu ?a) (relu ?b)) mode exact on ?c[n]:bool ?a[n] "
     "?b[n]",
     "(relu (where ?c ?a ?b)) => (where ?c (relu ?b) (relu ?a)) mode exact on ?c[n]:bool ?a[n] "
     "?b[n]"},
    {"(mul (sub ?a ?b) (sub ?a ?b)) => (mul (sub ?b ?a) (sub ?b ?a)) mode exact on ?a[n] ?b[n]",
     "(mul (sub ?a ?b) ?a) => (neg (mul (sub ?b ?a) ?a)) mode exact on ?a[n] ?b[n]"},
    {"(bit_cast[to=u32] (bit_cast[to=i32] ?x)) => (bit_cast[to=u32] ?x) mode exact on ?x[n]:f32",
     "(bit_cast[to=u32] (bit_cast[to=i32] ?x)) => (bit_cast[to=u32] (neg ?x)) mode exact on "
     "?x[n]:f32"},
    {"(mul ?y:(layer_normalization[axis=?a] ?x 1) ?s) => (layer_normalization[axis=?a] ?x ?s) if "
     "(pays (= (shape ?s) (drop (shape ?x) (axis ?a (rank ?x))))) mode real on ?x[n,k] ?s[k] "
     "?a=1",
     "(mul ?y:(layer_normalization[axis=?a] ?x 2) ?s) => (layer_normalization[axis=?a] ?x ?s) if "
     "(pays (= (shape ?s) (drop (shape ?x) (axis ?a (rank ?x))))) mode real on ?x[n,k] ?s[k] "
     "?a=1"},
    {"(pad[pads=?q] ?x) => (slice[axes={0}, starts={(- 0 (at ?q 0))}, ends={(+ (dim ?x 0) (at ?q "
     "1))}] ?x) if (nonnegative (sub-lists {0, 0} ?q)) mode exact on ?x[4] ?q={0,-1}",
     "(pad[pads=?q] ?x) => (slice[axes={0}, starts={0}, ends={(+ (dim ?x 0) (+ (at ?q 0) (at ?q "
     "1)))}] ?x) if (nonnegative (sub-lists {0, 0} ?q)) mode exact on ?x[4] ?q={0,-1}"},
    {"(neg (cast[to=f64] ?x)) => (cast[to=f64] (neg ?x)) mode exact on ?x[n]:f32",
     "(neg (cast[to=f32] ?x)) => (cast[to=f32] (neg ?x)) mode exact on ?x[n]:i8"},
    {"(relu (cast[to=f64] ?x)) => (cast[to=f64] (relu ?x)) mode exact on ?x[n]:f32",
     "(relu (cast[to=i32] ?x)) => (cast[to=i32] (abs ?x)) mode exact on ?x[n]:f32"},
    {"(relu (cast[to=f16] ?x)) => (cast[to=f16] (relu ?x)) mode exact on ?x[n]:i32",
     "(relu (cast[to=u8] ?x)) => (cast[to=u8] (relu ?x)) mode exact on ?x[n]:i32"},
};
INSTANTIATE_TEST_SUITE_P(Exact, Laws, testing::ValuesIn(exact));

// Indices that are flattened and divided, numbers made of sizes, tensors of known elements.
constexpr Case indices[] = {
    {"(reduce_sum[keepdims=0] (reshape[shape=?s] ?x)) => (reduce_sum[keepdims=0] ?x) mode real on "
     "?x[n,m] ?s={m,n}",
     "(reduce_sum[keepdims=0] (mul ?y (reshape[shape=?s] ?x))) => (reduce_sum[keepdims=0] (mul ?y "
     "(transpose[perm={1, 0}] ?x))) mode real on ?x[n,m] ?y[m,n] ?s={m,n}"},
    {"(matmul (reshape[shape=?s] ?x) (reshape[shape=?t] ?y)) => (reduce_sum[axes={1, 2}, "
     "keepdims=0] (mul ?x ?y)) mode real on ?x[n,k,m] ?y[k,m] ?s={n,p} ?t={p}",
     "(matmul (reshape[shape=?s] ?x) (reshape[shape=?t] ?y)) => (reduce_sum[axes={1, 2}, "
     "keepdims=0] (mul ?x (transpose[perm={1, 0}] ?y))) mode real on ?x[n,k,m] ?y[m,k] ?s={n,p} "
     "?t={p}"},
    {"(reduce_mean[axes={0}] ?x) => (mul (reduce_sum[axes={0}] ?x) (scalar (/ 1 (dim ?x 0)))) mode "
     "real on ?x[n,m]",
     "(reduce_mean[axes={0}] ?x) => (mul (reduce_sum[axes={0}] ?x) (scalar (/ 1 (dim ?x 1)))) mode "
     "real on ?x[n,m]"},
    {"(conv[group=?g, pads=?q] ?x ?w) => ?x if (unit-kernel ?w ?q ?g) mode real on ?x[n,3,4,5] "
     "?w[3,3,3,3]eye ?g=1 ?q={1,1,1,1}",
     "(conv[group=?g, pads=?q] ?x ?w) => (relu ?x) if (unit-kernel ?w ?q ?g) mode real on "
     "?x[n,3,4,5] ?w[3,3,3,3]eye ?g=1 ?q={1,1,1,1}"},
};
INSTANTIATE_TEST_SUITE_P(Indices, Laws, testing::ValuesIn(indices));

}  // namespace
}  // namespace tessera::prove
