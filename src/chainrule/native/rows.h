// Formulas over the units of a row, which are written by hand, and the choice among all of them.
#pragma once
#include "job.h"
#include "vectors.h"
#include "formulas.h"

// A block of rows in the arena: n rows of `units` numbers, `step` apart.
template <class T> struct Block {
  T *at;
  i64 n, units, step;
  i64 size() const { return n * step; }
  T *row(i64 i) const { return at + i * step; }
};

#define EACH(i, n) for (i64 i = 0; i < (n); i++)

// softmax: e^z over its sum, shifted by the largest so that nothing overflows.
template <class T> static void softmax(Block<const T> z, Block<T> a) {
  EACH(i, z.n) {
    const T *zs = z.row(i);
    T *as = a.row(i), top = zs[0], sum = 0;
    EACH(k, z.units) top = zs[k] > top || zs[k] != zs[k] ? zs[k] : top;
    EACH(k, z.units) as[k] = m::exp(zs[k] - top);
    EACH(k, z.units) sum += as[k];
    EACH(k, z.units) as[k] /= sum;
  }
}

// ∂C/∂z = a (g − Σ g a), in place of g.
template <class T> static void softmax_pullback(Block<T> g, Block<const T> a) {
  EACH(i, g.n) {
    T *gs = g.row(i), sum = 0;
    const T *as = a.row(i);
    EACH(k, g.units) sum += gs[k] * as[k];
    EACH(k, g.units) gs[k] = as[k] * (gs[k] - sum);
  }
}

// a = σ(z).
template <class T> static void activate(const Layer &layer, Block<const T> z, Block<T> a) {
  const T *__restrict from = z.at;
  T *__restrict to = a.at;
  switch (layer.activation) {
#define X(index, Name)                                        \
  case index: {                                               \
    const auto f = Name<T>::from(layer.settings);             \
    EACH(i, z.size()) to[i] = f.value(from[i]);               \
    return;                                                   \
  }
    ACTIVATIONS(X)
#undef X
    default: softmax<T>(z, a);
  }
}

// ∂C/∂z from g = ∂C/∂a, in place of g.
template <class T>
static void pull_back(const Layer &layer, Block<T> g, Block<const T> z, Block<const T> a) {
  T *__restrict to = g.at;
  const T *__restrict zs = z.at, *__restrict as = a.at;
  switch (layer.activation) {
#define X(index, Name)                                                    \
  case index: {                                                           \
    const auto f = Name<T>::from(layer.settings);                         \
    EACH(i, g.size()) to[i] = to[i] * f.derivative(zs[i], as[i]);         \
    return;                                                               \
  }
    ACTIVATIONS(X)
#undef X
    default: softmax_pullback<T>(g, a);
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

// The loss of every row from the logits: log Σ e^z − z for what the target asks.
template <class T>
static void losses_from_logits(const ClassLoss<T> &f, Block<const T> z, Block<const T> y, T *into) {
  EACH(i, z.n) {
    const T *zs = z.row(i), *ys = y.row(i);
    T top = zs[0], sum = 0, total = 0;
    EACH(k, z.units) top = zs[k] > top || zs[k] != zs[k] ? zs[k] : top;
    EACH(k, z.units) sum += m::exp(zs[k] - top);
    const T whole = m::log(sum);
    EACH(k, z.units) total += f.target(ys[k]) * (whole - (zs[k] - top));
    into[i] = total;
  }
}

template <class T, class F>
static void losses_from_logits(const F &f, Block<const T> z, Block<const T> y, T *into) {
  EACH(i, z.n) {
    T total = 0;
    EACH(k, z.units) total += f.value_from_logits(z.row(i)[k], f.target(y.row(i)[k]));
    into[i] = total;
  }
}

// What a pass needs of the output layer.
template <class T> struct Output {
  Block<const T> z, a, y;
  Block<T> delta;
  T *losses;  // of each row
};

// Fill each row's loss.
template <class T, class F> static void row_losses(const Job &job, const F &f, Output<T> o) {
  if (job.canonical) return losses_from_logits(f, o.z, o.y, o.losses);
  EACH(i, o.a.n) {
    T total = 0;
    EACH(k, o.a.units) total += f.value(o.a.row(i)[k], f.target(o.y.row(i)[k]));
    o.losses[i] = total;
  }
}

// BP1 before averaging: ∂loss/∂z of the output layer; for a canonical pair it is a − y.
template <class T, class F>
static void output_delta(const Job &job, const F &f, const Output<T> &o) {
  T *__restrict to = o.delta.at;
  const T *__restrict as = o.a.at, *__restrict ys = o.y.at;
  if (job.canonical) {
    EACH(i, o.delta.size()) to[i] = as[i] - f.target(ys[i]);
    return;
  }
  EACH(i, o.delta.size()) to[i] = f.gradient(as[i], f.target(ys[i]));
  pull_back<T>(job.layers[job.n_layers - 1], o.delta, o.z, o.a);
}

// Fill each row's loss and, where asked, δ of the output layer.
template <class T> static void judge(const Job &job, const Output<T> &o, bool with_delta) {
  switch (job.loss) {
#define X(index, Name)                                        \
  case index: {                                               \
    const auto f = Name<T>::from(job.loss_settings);          \
    row_losses<T>(job, f, o);                                 \
    if (with_delta) output_delta<T>(job, f, o);               \
    return;                                                   \
  }
    LOSSES(X)
#undef X
    default: {
      const ClassLoss<T> f(job, o.y.units);
      row_losses<T>(job, f, o);
      if (with_delta) output_delta<T>(job, f, o);
    }
  }
}
