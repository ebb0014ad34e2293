// Formulas over the units of a row, which are written by hand, and the choice among all of them.
#pragma once
#include "job.h"
#include "vectors.h"
#include "formulas.h"

// A block of n rows in the arena. Either the units of a row are side by side, and rows `step`
// apart; or, TURNED, the rows of a unit are, n in whole vectors, and units `step` apart.
template <class T, bool TURNED> struct Block {
  T *at;
  i64 n, units, step;
  i64 size() const { return (TURNED ? units : n) * step; }
  T *line(i64 i) const { return at + i * step; }
  INLINE T &operator()(i64 i, i64 k) const { return TURNED ? at[k * step + i] : at[i * step + k]; }

  // Call f(row, unit) for all, along the memory.
  template <class F> INLINE void each(const F &f) const {
    if (TURNED) EACH(k, units) lanewise<T>(n, [&](i64 i) { f(i, k); });
    else EACH(i, n) EACH(k, units) f(i, k);
  }
};

// The largest of each row, to shift by so that no power overflows; NaN where one is NaN.
template <class T, bool TURNED> static void tops(const Block<const T, TURNED> &z, T *top) {
  EACH(i, z.n) top[i] = z(i, 0);
  z.each([&](i64 i, i64 k) {
    const T x = z(i, k);
    top[i] = x > top[i] || x != x ? x : top[i];
  });
}

// softmax: e^z over its sum.
template <class T, bool TURNED>
static void softmax(const Block<const T, TURNED> &z, const Block<T, TURNED> &a) {
  T top[CHUNK], sum[CHUNK];
  tops(z, top);
  EACH(i, z.n) sum[i] = 0;
  z.each([&](i64 i, i64 k) { a(i, k) = m::exp(z(i, k) - top[i]); });
  z.each([&](i64 i, i64 k) { sum[i] += a(i, k); });
  z.each([&](i64 i, i64 k) { a(i, k) /= sum[i]; });
}

// ∂C/∂z = a (g − Σ g a), in place of g.
template <class T, bool TURNED>
static void softmax_pullback(const Block<T, TURNED> &g, const Block<const T, TURNED> &a) {
  T sum[CHUNK];
  EACH(i, g.n) sum[i] = 0;
  g.each([&](i64 i, i64 k) { sum[i] += g(i, k) * a(i, k); });
  g.each([&](i64 i, i64 k) { g(i, k) = a(i, k) * (g(i, k) - sum[i]); });
}

// a = σ(z).
template <class T, bool TURNED>
static void activate(const Layer &layer, const Block<const T, TURNED> &z, const Block<T, TURNED> &a) {
  const T *from = z.at;
  T *to = a.at;
  const i64 size = z.size();
  switch (layer.activation) {
#define X(index, Name)                              \
  case index: {                                     \
    const auto f = Name<T>::from(layer.settings);   \
    lanewise<T>(size, [&](i64 i) { to[i] = f.value(from[i]); }); \
    return;                                         \
  }
    ACTIVATIONS(X)
#undef X
    default: softmax(z, a);
  }
}

// ∂C/∂z from g = ∂C/∂a, in place of g.
template <class T, bool TURNED>
static void pull_back(const Layer &layer, const Block<T, TURNED> &g, const Block<const T, TURNED> &z,
                      const Block<const T, TURNED> &a) {
  T *to = g.at;
  const T *zs = z.at, *as = a.at;
  const i64 size = g.size();
  switch (layer.activation) {
#define X(index, Name)                                              \
  case index: {                                                     \
    const auto f = Name<T>::from(layer.settings);                   \
    lanewise<T>(size, [&](i64 i) { to[i] = to[i] * f.derivative(zs[i], as[i]); }); \
    return;                                                         \
  }
    ACTIVATIONS(X)
#undef X
    default: softmax_pullback(g, a);
  }
}

// Cross-entropy over the k classes of a row; its targets are smoothed by k.
template <class T> struct ClassLoss {
  T keep, spread;
  ClassLoss(const Job &job, i64 k)
      : keep(T(1.0 - job.loss_settings[0])), spread(T(job.loss_settings[0] / double(k))) {}
  T target(T y) const { return keep * y + spread; }
  T value(T a, T y) const { return -y * m::_log(a); }
  T gradient(T a, T y) const { return -y * m::_log_derivative(a); }
};

// What a pass needs of the output layer.
template <class T, bool TURNED> struct Output {
  Block<const T, TURNED> z, a, y;
  Block<T, TURNED> delta;
  T *losses;  // of each row
};

// Add to `total` the loss of every row from the logits: log Σ e^z − z for what the target asks.
template <class T, bool TURNED>
static void add_from_logits(const ClassLoss<T> &f, const Output<T, TURNED> &o, T *total) {
  const auto z = o.z, y = o.y;
  T top[CHUNK], sum[CHUNK];
  tops(z, top);
  EACH(i, z.n) sum[i] = 0;
  z.each([&](i64 i, i64 k) { sum[i] += m::exp(z(i, k) - top[i]); });
  EACH(i, z.n) sum[i] = m::log(sum[i]);
  z.each([&](i64 i, i64 k) { total[i] += f.target(y(i, k)) * (sum[i] - (z(i, k) - top[i])); });
}

template <class F, class T, bool TURNED>
static void add_from_logits(const F &f, const Output<T, TURNED> &o, T *total) {
  const auto z = o.z, y = o.y;
  z.each([&](i64 i, i64 k) { total[i] += f.value_from_logits(z(i, k), f.target(y(i, k))); });
}

// Fill each row's loss.
template <class F, class T, bool TURNED>
static void row_losses(const Job &job, const F &f, const Output<T, TURNED> &o) {
  const auto a = o.a, y = o.y;
  T total[CHUNK];
  EACH(i, a.n) total[i] = 0;
  if (job.canonical) add_from_logits(f, o, total);
  else a.each([&](i64 i, i64 k) { total[i] += f.value(a(i, k), f.target(y(i, k))); });
  EACH(i, a.n) o.losses[i] = total[i];
}

// BP1 before averaging: ∂loss/∂z of the output layer; for a canonical pair it is a − y.
template <class F, class T, bool TURNED>
static void output_delta(const Job &job, const F &f, const Output<T, TURNED> &o) {
  T *to = o.delta.at;
  const T *as = o.a.at, *ys = o.y.at;
  const i64 size = o.delta.size();
  if (job.canonical) {
    lanewise<T>(size, [&](i64 i) { to[i] = as[i] - f.target(ys[i]); });
    return;
  }
  lanewise<T>(size, [&](i64 i) { to[i] = f.gradient(as[i], f.target(ys[i])); });
  pull_back(job.layers[job.n_layers - 1], o.delta, o.z, o.a);
}

// Fill each row's loss and, where asked, δ of the output layer.
template <class T, bool TURNED>
static void judge(const Job &job, const Output<T, TURNED> &o, bool with_delta) {
  switch (job.loss) {
#define X(index, Name)                                \
  case index: {                                       \
    const auto f = Name<T>::from(job.loss_settings);  \
    row_losses(job, f, o);                            \
    if (with_delta) output_delta(job, f, o);          \
    return;                                           \
  }
    LOSSES(X)
#undef X
    default: {
      const ClassLoss<T> f(job, o.y.units);
      row_losses(job, f, o);
      if (with_delta) output_delta(job, f, o);
    }
  }
}
