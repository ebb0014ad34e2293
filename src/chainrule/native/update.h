// What is done with a gradient: penalty, clipping, and the optimizer's rule. All elementwise, so
// that tiles of parameters may be taken in any order.
#pragma once
#include "job.h"
#include "vectors.h"
#include "formulas.h"

// A moment of the training: the update that is under way, 0 for none, its learning rate, and the
// total weight of its batch.
struct Moment {
  i64 t;
  double rate, total;
};

// Add the penalty's gradient to that of n parameters, of which some are weights and then come
// biases; return what it costs.
template <class T>
static double penalise(const Job &job, const T *w, T *__restrict g, i64 weights, i64 n,
                       double total) {
  const auto f = Penalty<T>::from(job.penalty);
  const i64 count = f.biases != 0 ? n : weights;
  EACH(i, count) g[i] += f.gradient(w[i], total);
  return sum_over(w, count, [&](T x) { return f.value(x, total); });
}

template <class T> static void clip_value(const Job &job, T *g, i64 n) {
  const T most = T(job.clip_value);
  EACH(i, n) g[i] = m::maximum(m::minimum(g[i], most), -most);
}

// Return by what to multiply a gradient with this sum of squares, so that its norm is allowed.
static inline double clip_factor(const Job &job, double sum) {
  if (!(job.clip_norm > 0)) return 1;
  const double norm = m::sqrt(sum), factor = job.clip_norm / (norm > 1e-300 ? norm : 1e-300);
  return factor < 1 ? factor : 1;
}

// Let n weights decay, before the optimizer's rule.
template <class T> static void let_decay(const Job &job, const Moment &now, T *w, i64 n) {
  const double rate = now.rate, decay = job.weight_decay;
  if (decay > 0) EACH(i, n) w[i] = m::decayed<T>(w[i], rate, decay);
}

// Bring n parameters, whole vectors of them, into their moving average, after it.
template <class T> static void average(const Job &job, const Moment &now, T *mean, const T *w, i64 n) {
  const double t = double(now.t), decay = job.ema_decay;
  if (decay > 0) lanewise<T>(n, [&](i64 i) { mean[i] = m::averaged<T>(mean[i], w[i], decay, t); });
}

template <class F, class T>
static void take_step_by(const F &f, const Moment &now, T *w, const T *g, T *p, T *q, i64 n) {
  const double rate = now.rate, t = double(now.t);
  if (q)
    lanewise<T>(n, [&](i64 i) {
      const Step<T> next = f.update(w[i], g[i], {{p[i], q[i]}}, rate, t);
      w[i] = next.w, p[i] = next.slots.each[0], q[i] = next.slots.each[1];
    });
  else
    lanewise<T>(n, [&](i64 i) {
      const Step<T> next = f.update(w[i], g[i], {{p[i], T(0)}}, rate, t);
      w[i] = next.w, p[i] = next.slots.each[0];
    });
}

// Apply the optimizer's rule to n parameters, whole vectors of them; p and q are what it remembers, q null for one slot.
template <class T>
static void take_step(const Job &job, const Moment &now, T *w, const T *g, T *p, T *q, i64 n) {
  switch (job.optimizer) {
#define X(index, Name) \
  case index: return take_step_by(Name<T>::from(job.optimizer_settings), now, w, g, p, q, n);
    OPTIMIZERS(X)
#undef X
  }
}

// Return the learning rate of update `job.t`.
static inline double learning_rate(const Job &job, i64 per_epoch) {
  const double total = double(per_epoch * job.epochs);
  double factor = 1;
  switch (job.schedule) {
#define X(index, Name)                                          \
  case index:                                                   \
    factor = Name<double>::from(job.schedule_settings)          \
                 .factor(double(job.t), double(per_epoch), total); \
    break;
    SCHEDULES(X)
#undef X
  }
  return job.optimizer_settings[0] * factor * job.plateau;
}
