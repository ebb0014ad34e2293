// All kernels, for one instruction set: this file is compiled once for each. What is in here has no
// name outside, so that code for one processor is never taken for another's.
#include "system.h"
#include "kernels.h"
#include "pool.h"

namespace {
#include "maths.h"
#include "loop.h"
#include "predict.h"

// Call f with the training that fits the job.
template <class T, class F> auto with_training_of(Job &job, const F &f) {
  if (job.wide || job.starts || !Tiny<T, 0>::fits(job)) return f(Training<T, Wide<T>>(job), T(0));
  const i64 vectors = Tiny<T, 0>::chunk(job) / LANES<T>;
  if (vectors == 1) return f(Training<T, Tiny<T, LANES<T>>>(job), T(0));
  if (vectors == 2) return f(Training<T, Tiny<T, 2 * LANES<T>>>(job), T(0));
  return f(Training<T, Tiny<T, 0>>(job), T(0));
}
template <class F> auto with_training(Job &job, const F &f) {
  return job.width == 4 ? with_training_of<float>(job, f) : with_training_of<double>(job, f);
}

u64 arena_bytes(Job &job) {
  const i64 threads = job.threads;
  job.arena = nullptr, job.threads = 1;
  const u64 bytes = with_training(job, [](auto &&it, auto) { return it.steps.supply.bytes(); });
  job.threads = threads;
  return bytes;
}
i64 advance(Job &job, i64 epochs, double seconds) {
  return with_training(job, [&](auto &&it, auto) { return i64(it.advance(epochs, seconds)); });
}
double cost_and_gradient(Job &job) {
  return with_training(job, [](auto &&it, auto) { return it.cost_and_gradient(); });
}
double evaluate(Job &job, void *outputs) {
  return with_training(job, [&](auto &&it, auto zero) {
    return it.evaluate((decltype(zero) *)outputs);
  });
}

i64 predict(const Net &net, i64 rows, i64 threads, const Inputs &inputs, void *outputs, i64 out_row,
            void *mirrored, void *room) {
  if (net.width == 4)
    return predict_rows(net, rows, threads, inputs, (float *)outputs, out_row, (float *)mirrored,
                        room);
  return predict_rows(net, rows, threads, inputs, (double *)outputs, out_row, (double *)mirrored,
                      room);
}
i64 pull_back(const Net &net, i64 rows, i64 each, i64 threads, const void *X, const void *G,
              i64 at_z, void *D, void *room) {
  if (net.width == 4)
    return pull_back_rows(net, rows, each, threads, (const float *)X, (const float *)G, at_z,
                          (float *)D, room);
  return pull_back_rows(net, rows, each, threads, (const double *)X, (const double *)G, at_z,
                        (double *)D, room);
}

// The functions of maths.h, and one formula made of them, by number: for tests of their accuracy.
template <class T> void apply_to(i64 function, const T *__restrict x, T *__restrict y, i64 n) {
  switch (function) {
    case 0: EACH(i, n) y[i] = m::exp(x[i]); return;
    case 1: EACH(i, n) y[i] = m::expm1(x[i]); return;
    case 2: EACH(i, n) y[i] = m::log(x[i]); return;
    case 3: EACH(i, n) y[i] = m::log1p(x[i]); return;
    case 4: EACH(i, n) y[i] = m::tanh(x[i]); return;
    case 5: EACH(i, n) y[i] = m::exp_falling(x[i]); return;
    case 6: EACH(i, n) y[i] = m::expm1_falling(x[i]); return;
    case 7: EACH(i, n) y[i] = Sigmoid<T>{}.value(x[i]); return;
  }
}
void apply(i64 function, i64 width, const void *x, void *y, i64 n) {
  if (width == 4) return apply_to(function, (const float *)x, (float *)y, n);
  apply_to(function, (const double *)x, (double *)y, n);
}

}  // namespace

extern const Kernels KERNELS;
const Kernels KERNELS = {arena_bytes, advance, cost_and_gradient, evaluate, predict, pull_back,
                         apply};
