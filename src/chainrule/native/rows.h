// Formulas over the units of a row, which are written by hand, and the choice among all of them.
#pragma once
#include "job.h"
#include "vectors.h"
#include "formulas.h"

// A block of n rows in the arena. Either the units of a row are side by side, and rows `step`
// apart; or, TURNED, the rows of a unit are, n in whole vectors, and units `step` apart. Where TURNED
// is more than 1, both are that many, so that what is done with a unit's rows is no loop.
template <class T, i64 TURNED> struct Block {
  T *at;
  i64 n, units, step;
  INLINE i64 rows() const { return TURNED > 1 ? TURNED : n; }
  INLINE i64 apart() const { return TURNED > 1 ? TURNED : step; }
  i64 size() const { return (TURNED ? units : n) * apart(); }
  T *line(i64 i) const { return at + i * step; }
  INLINE T &operator()(i64 i, i64 k) const { return at[TURNED ? k * apart() + i : i * step + k]; }

  // Call f(row, unit) for all, along the memory.
  template <class F> INLINE void each(const F &f) const {
    if (TURNED) {
#pragma clang loop unroll(disable)
      EACH(k, units) lanewise<T>(rows(), [&](i64 i) { f(i, k); });
    } else EACH(i, n) EACH(k, units) f(i, k);
  }
};

template <i64 TURNED> constexpr i64 MOST_ROWS = TURNED > 1 ? TURNED : CHUNK;

// The largest of each row, to shift by so that no power overflows; NaN where one is NaN.
template <class T, i64 TURNED> static void tops(const Block<const T, TURNED> &z, T *top) {
  EACH(i, z.rows()) top[i] = z(i, 0);
  z.each([&](i64 i, i64 k) {
    const T x = z(i, k);
    top[i] = x > top[i] || x != x ? x : top[i];
  });
}

// softmax: e^z over its sum.
template <class T, i64 TURNED>
APART void softmax(const Block<const T, TURNED> z, const Block<T, TURNED> a) {
  T top[MOST_ROWS<TURNED>], sum[MOST_ROWS<TURNED>];
  tops(z, top);
  EACH(i, z.rows()) sum[i] = 0;
  z.each([&](i64 i, i64 k) { a(i, k) = m::exp(z(i, k) - top[i]); });
  z.each([&](i64 i, i64 k) { sum[i] += a(i, k); });
  z.each([&](i64 i, i64 k) { a(i, k) /= sum[i]; });
}

// ∂C/∂z = a (g − Σ g a), in place of g.
template <class T, i64 TURNED>
APART void softmax_pullback(const Block<T, TURNED> g, const Block<const T, TURNED> a) {
  T sum[MOST_ROWS<TURNED>];
  EACH(i, g.rows()) sum[i] = 0;
  g.each([&](i64 i, i64 k) { sum[i] += g(i, k) * a(i, k); });
  g.each([&](i64 i, i64 k) { g(i, k) = a(i, k) * (g(i, k) - sum[i]); });
}

// In each block of units a = z for the first; each next adds softplus(z). A block of 0 is all units.
template <class T, i64 TURNED>
APART void increasing(i64 block, const Block<const T, TURNED> z, const Block<T, TURNED> a) {
  const Softplus<T> f{};
  if (block == 0) block = z.units;
  a.each([&](i64 i, i64 k) {
    a(i, k) = k % block == 0 ? z(i, k) : a(i, k - 1) + f.value(z(i, k));
  });
}

// ∂C/∂z = sigmoid(z) Σ g over the units from here to the block's end, in place of g.
template <class T, i64 TURNED>
APART void increasing_pullback(i64 block, const Block<T, TURNED> g,
                                const Block<const T, TURNED> z) {
  const Sigmoid<T> f{};
  if (block == 0) block = g.units;
  g.each([&](i64 i, i64 behind) {
    const i64 k = g.units - 1 - behind;
    if (behind > 0 && (k + 1) % block) g(i, k) += g(i, k + 1);
  });
  g.each([&](i64 i, i64 k) { g(i, k) = k % block == 0 ? g(i, k) : g(i, k) * f.value(z(i, k)); });
}

// a = σ(z) of n numbers, each by itself; return whether σ is such.
template <class T> static bool activate_each(const Layer &layer, i64 n, const T *z, T *a) {
  switch (layer.activation) {
#define X(index, Name)                                     \
  case index: {                                            \
    const auto f = Name<T>::from(layer.settings);          \
    lanewise<T>(n, [&](i64 i) { a[i] = f.value(z[i]); }); \
    return true;                                           \
  }
    ACTIVATIONS(X)
#undef X
  }
  return false;
}

// a = σ(z).
template <class T, i64 TURNED>
INLINE void activate(const Layer &layer, const Block<const T, TURNED> &z,
                     const Block<T, TURNED> &a) {
  if (activate_each(layer, z.size(), z.at, a.at)) return;
  if (layer.activation == INCREASING) increasing(i64(layer.settings[0]), z, a);
  else softmax(z, a);
}

// ∂C/∂z from g = ∂C/∂a of n numbers, in place of g, where σ takes each by itself; return whether.
template <class T>
static bool pull_back_each(const Layer &layer, i64 n, T *g, const T *z, const T *a) {
  switch (layer.activation) {
#define X(index, Name)                                                       \
  case index: {                                                              \
    const auto f = Name<T>::from(layer.settings);                            \
    lanewise<T>(n, [&](i64 i) { g[i] = g[i] * f.derivative(z[i], a[i]); }); \
    return true;                                                             \
  }
    ACTIVATIONS(X)
#undef X
  }
  return false;
}

// ∂C/∂z from g = ∂C/∂a, in place of g.
template <class T, i64 TURNED>
INLINE void pull_back(const Layer &layer, const Block<T, TURNED> &g,
                      const Block<const T, TURNED> &z, const Block<const T, TURNED> &a) {
  if (pull_back_each(layer, g.size(), g.at, z.at, a.at)) return;
  if (layer.activation == INCREASING) increasing_pullback(i64(layer.settings[0]), g, z);
  else softmax_pullback(g, a);
}

// A loss F over the k classes of a row; its targets are smoothed by k.
template <class F, class T> struct OfClasses : F {
  T keep, spread;
  OfClasses(const Job &job, i64 k)
      : F(F::from(job.loss_settings)),
        keep(T(1.0 - this->label_smoothing)), spread(T(this->label_smoothing / double(k))) {}
  T target(T y) const { return keep * y + spread; }
};

// A loss whose formula changes from column to column, in blocks of as many as there are quantiles.
template <class T> struct Columns {
  const double *quantiles;
  i64 block;
  explicit Columns(const Job &job) : quantiles(job.loss_settings), block(0) {
    while (block < LOSS_SETTINGS && quantiles[block] > 0) block++;
  }
  T target(T y) const { return y; }
};

// The loss of column k: for most, the same for all.
template <class F> INLINE const F &of_column(const F &f, i64) { return f; }
template <class T> INLINE Quantile<T> of_column(const Columns<T> &f, i64 k) {
  return {f.quantiles[k % f.block]};
}

// What a pass needs of the output layer: blocks of one shape, and of each row its part in the cost
// and its loss.
template <class T, i64 TURNED> struct Output {
  const T *zs, *as, *ys;
  T *deltas;
  i64 n, units, step;
  const T *share;
  T *losses;
  Block<const T, TURNED> z() const { return {zs, n, units, step}; }
  Block<const T, TURNED> a() const { return {as, n, units, step}; }
  Block<const T, TURNED> y() const { return {ys, n, units, step}; }
  Block<T, TURNED> delta() const { return {deltas, n, units, step}; }
};

// The largest logit of each row, the sum of e^(z − top), and its logarithm.
template <class T, i64 TURNED> struct LogitSum {
  const Block<const T, TURNED> z;
  T top[MOST_ROWS<TURNED>], sum[MOST_ROWS<TURNED>], log_sum[MOST_ROWS<TURNED>];
  explicit LogitSum(const Block<const T, TURNED> &logits) : z(logits) {
    tops(z, top);
    EACH(i, z.rows()) sum[i] = 0;
    z.each([&](i64 i, i64 k) { sum[i] += power(i, k); });
    EACH(i, z.rows()) log_sum[i] = m::log(sum[i]);
  }
  INLINE T power(i64 i, i64 k) const { return m::exp(z(i, k) - top[i]); }
  INLINE T log_a(i64 i, i64 k) const { return (z(i, k) - top[i]) - log_sum[i]; }
  INLINE T rest(i64 i, i64 k) const {  // 1 − a, from the very sum that log a is of
    return m::maximum((sum[i] - power(i, k)) / sum[i], T(1e-30));
  }
};

// Add to `total` the loss of every row from the logits: log Σ e^z − z for what the target asks.
template <class T, i64 TURNED>
static void add_from_logits(const OfClasses<CrossEntropy<T>, T> &f, const Output<T, TURNED> &o,
                            T *total) {
  const LogitSum<T, TURNED> s(o.z());
  const auto y = o.y();
  y.each([&](i64 i, i64 k) { total[i] -= f.target(y(i, k)) * s.log_a(i, k); });
}

template <class T, i64 TURNED>
static void add_from_logits(const OfClasses<Focal<T>, T> &f, const Output<T, TURNED> &o, T *total) {
  const LogitSum<T, TURNED> s(o.z());
  const auto y = o.y();
  const T gamma = T(f.gamma);
  y.each([&](i64 i, i64 k) {
    total[i] -= f.target(y(i, k)) * m::exp(gamma * m::log(s.rest(i, k))) * s.log_a(i, k);
  });
}

template <class T, i64 TURNED>
static void add_from_logits(const Columns<T> &, const Output<T, TURNED> &, T *) {}  // never called

template <class F, class T, i64 TURNED>
static void add_from_logits(const F &f, const Output<T, TURNED> &o, T *total) {
  const auto z = o.z(), y = o.y();
  z.each([&](i64 i, i64 k) { total[i] += f.value_from_logits(z(i, k), f.target(y(i, k))); });
}

// Fill each row's loss.
template <class F, class T, i64 TURNED>
static void row_losses(const Job &job, const F &f, const Output<T, TURNED> &o) {
  const auto a = o.a(), y = o.y();
  T total[MOST_ROWS<TURNED>];
  EACH(i, a.rows()) total[i] = 0;
  if (job.canonical) add_from_logits(f, o, total);
  else a.each([&](i64 i, i64 k) {
    total[i] += of_column(f, k).value(a(i, k), f.target(y(i, k)));
  });
  EACH(i, a.rows()) o.losses[i] = total[i];
}

// δ of the output layer from the logits, for a canonical pair.
template <class T, i64 TURNED>
static void delta_from_logits(const OfClasses<CrossEntropy<T>, T> &f, const Output<T, TURNED> &o) {
  const auto a = o.a(), y = o.y();
  const auto d = o.delta();
  d.each([&](i64 i, i64 k) { d(i, k) = (a(i, k) - f.target(y(i, k))) * o.share[i]; });
}

template <class T, i64 TURNED>
static void delta_from_logits(const OfClasses<Focal<T>, T> &f, const Output<T, TURNED> &o) {
  const LogitSum<T, TURNED> s(o.z());
  const auto y = o.y();
  const auto d = o.delta();
  const T gamma = T(f.gamma);
  T sum[MOST_ROWS<TURNED>];
  EACH(i, d.rows()) sum[i] = 0;
  d.each([&](i64 i, i64 k) {
    const T rest = s.rest(i, k), a = s.power(i, k) / s.sum[i];
    const T bent = gamma * a * s.log_a(i, k) / rest - T(1);
    d(i, k) = f.target(y(i, k)) * m::exp(gamma * m::log(rest)) * bent;
  });
  d.each([&](i64 i, i64 k) { sum[i] += d(i, k); });
  d.each([&](i64 i, i64 k) {
    d(i, k) = (d(i, k) - s.power(i, k) / s.sum[i] * sum[i]) * o.share[i];
  });
}

template <class T, i64 TURNED>
static void delta_from_logits(const Columns<T> &, const Output<T, TURNED> &) {}  // never called

template <class F, class T, i64 TURNED>
static void delta_from_logits(const F &f, const Output<T, TURNED> &o) {
  const auto z = o.z(), a = o.a(), y = o.y();
  const auto d = o.delta();
  d.each([&](i64 i, i64 k) {
    d(i, k) = f.delta_from_logits(z(i, k), a(i, k), f.target(y(i, k))) * o.share[i];
  });
}

// BP1: δ of the output layer, for a canonical pair from the logits, else by ∂loss/∂a.
template <class F, class T, i64 TURNED>
static void output_delta(const Job &job, const F &f, const Output<T, TURNED> &o) {
  if (job.canonical) return delta_from_logits(f, o);
  const auto a = o.a(), y = o.y();
  const auto d = o.delta();
  d.each([&](i64 i, i64 k) {
    d(i, k) = of_column(f, k).gradient(a(i, k), f.target(y(i, k))) * o.share[i];
  });
  pull_back(job.layers[job.n_layers - 1], d, o.z(), a);
}

// Fill each row's loss and, where asked, δ of the output layer.
template <class F, class T, i64 TURNED>
static void judge_by(const Job &job, const F &f, const Output<T, TURNED> &o, bool with_delta) {
  row_losses(job, f, o);
  if (with_delta) output_delta(job, f, o);
}
template <class T, i64 TURNED>
INLINE void judge(const Job &job, const Output<T, TURNED> &o, bool with_delta) {
  switch (job.loss) {
#define X(index, Name) \
  case index: return judge_by(job, Name<T>::from(job.loss_settings), o, with_delta);
    LOSSES(X)
#undef X
    case QUANTILES: return judge_by(job, Columns<T>(job), o, with_delta);
    case FOCAL: return judge_by(job, OfClasses<Focal<T>, T>(job, o.y().units), o, with_delta);
    default: judge_by(job, OfClasses<CrossEntropy<T>, T>(job, o.y().units), o, with_delta);
  }
}
