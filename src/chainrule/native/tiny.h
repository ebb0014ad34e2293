// Steps of tiny networks: rows side by side in the lanes of vectors, the units of a layer one after
// the other, and parameters as they lie in theta. No panels, no tiles, one thread.
#pragma once
#include "batch.h"
#include "team.h"
#include "update.h"

constexpr i64 TINY_UNITS = 16, TINY_ROWS = 64;

// One layer, and where its numbers lie.
template <class T> struct TinyLevel {
  const Layer *layer;
  i64 n_in, n_out, start, count, padded;  // its place among the parameters
  const T *w, *x;                         // those, and what they meet: units of `rows` numbers
  T *z, *a, *delta;                       // as these are
  T *fed, *mask;                          // where something drops out; fed then is x
};

// FIXED: how many rows at a time, where that is known when compiling, or 0. One vector and two are the
// cases that matter: no loop over rows is left then.
template <class T, i64 FIXED> struct Tiny {
  typedef typename Vector<T>::type V;
  typedef typename Vector<T>::loose Loose;
  static constexpr i64 TURNED = FIXED ? FIXED : 1;  // as rows.h has it

  Job &job;
  Supply supply;
  const i64 any;   // rows at a time, where that is not FIXED
  i64 count = 0;  // parameters, each layer's padded to whole vectors
  TinyLevel<T> *levels;
  T *input, *target, *share, *losses, *one, *zero;
  T *w, *g, *slots[2] = {}, *mean = nullptr;
  T *best;  // parameters of the best epoch, where they are kept: one of this call's was the best
  bool kept = false;
  u32 *factors;  // of each parameter's derivative: where in the arena its input and its δ are
  bool drops = false;  // something drops out
  bool held = false;  // an only batch is in the arena already

  INLINE i64 rows() const { return FIXED ? FIXED : any; }
  static i64 chunk(const Job &job) {
    const i64 batch = whole<T>(job.batch_size);
    return batch < TINY_ROWS ? batch : TINY_ROWS;
  }
  static bool fits(const Job &job) {
    bool fits = job.layers[0].n_in <= TINY_UNITS;
    EACH(l, job.n_layers) fits = fits && job.layers[l].n_out <= TINY_UNITS;
    return fits;
  }

  Tiny(Job &job, Team &) : job(job), supply(job.arena), any(chunk(job)) {
    levels = supply.take<TinyLevel<T>>(job.n_layers);
    const T *x = input = units(job.layers[0].n_in);
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      TinyLevel<T> v = {};
      v.layer = &layer, v.n_in = layer.n_in, v.n_out = layer.n_out;
      v.start = count, v.count = (v.n_in + 1) * v.n_out, v.padded = whole<T>(v.count);
      count += v.padded;
      v.z = units(v.n_out), v.a = units(v.n_out), v.delta = units(v.n_out);
      if (layer.dropout > 0) v.fed = units(v.n_in), v.mask = units(v.n_in), drops = true;
      v.x = v.fed ? v.fed : x, x = v.a;
      if (job.arena) levels[l] = v;
    }
    target = units(job.layers[job.n_layers - 1].n_out);
    share = units(1), losses = units(1), one = units(1), zero = units(1);
    w = supply.take<T>(count), g = supply.take<T>(count);
    EACH(s, job.slots_used) slots[s] = supply.take<T>(count);
    if (job.ema_decay > 0) mean = supply.take<T>(count);
    best = supply.take<T>(count);
    factors = supply.take<u32>(2 * count);
    if (job.arena) EACH(l, job.n_layers) levels[l].w = w + levels[l].start;
  }
  T *units(i64 n) { return supply.take<T>(n * rows()); }

  u32 place(const T *at) const { return u32((u64(at) - supply.start) / sizeof(T)); }

  // Take over the parameters, and with `training` what the optimizer remembers of them.
  void begin(bool training) {
    i64 from = 0;
    EACH(l, job.n_layers) {
      const TinyLevel<T> &v = levels[l];
      EACH(i, v.padded) {
        const bool there = i < v.count;
        w[v.start + i] = there ? ((const T *)job.theta)[from + i] : T(0);
        if (training) EACH(s, job.slots_used)
          slots[s][v.start + i] = there ? ((const T *)job.slots[s])[from + i] : T(0);
        if (training && mean) mean[v.start + i] = there ? ((const T *)job.average)[from + i] : T(0);
        const i64 in = i / v.n_out, out = i % v.n_out;
        const T *x = in < v.n_in ? v.x + in * rows() : one;
        factors[2 * (v.start + i)] = place(there ? x : zero);
        factors[2 * (v.start + i) + 1] = place(there ? v.delta + out * rows() : zero);
      }
      from += v.count;
    }
    EACH(i, rows()) one[i] = 1, zero[i] = 0;
  }

  // Give them back.
  void end() const {
    spread(w, (T *)job.theta);
    if (mean) outcome((T *)job.average);
    EACH(s, job.slots_used) spread(slots[s], (T *)job.slots[s]);
    if (kept) spread(best, (T *)job.best_theta);
  }
  void keep() {  // the parameters that count; they are spread out at the end, since better may come
    kept = true;
    const T *from = mean ? mean : w;
    lanewise<T>(count, [&](i64 i) { best[i] = from[i]; });
  }
  void outcome(T *to) const { spread(mean ? mean : w, to); }  // the parameters that count
  void gradient_to(T *to) const { spread(g, to); }
  void spread(const T *from, T *to) const {
    EACH(l, job.n_layers) {
      const TinyLevel<T> &v = levels[l];
      EACH(i, v.count) to[i] = from[v.start + i];
      to += v.count;
    }
  }
  bool weights_finite(i64 l) const { return all_finite(levels[l].w, levels[l].count); }
  bool weights_finite() const {  // x − x is 0, but for what is not finite
    if (sum_of<V>(w, count, [](V x) { return x - x; }) == T(0)) return true;
    i64 l = 0;  // what only pads may be anything, where a rule divides 0 by 0
    while (l < job.n_layers && weights_finite(l)) l++;
    return l == job.n_layers;
  }

  // Fill the gradient; return the cost, penalty included. `t` is the update, 0 for none.
  double gradient(const Batch<T> &batch, const Moment &now, double &worst) {
    double cost = 0;
    for (i64 first = 0; first < batch.n; first += rows()) {
      const i64 n = pass(batch, first, now);
      backward();
      first > 0 ? descend<true>() : descend<false>();
      V sum = {};
      for (i64 i = 0; i < rows(); i += LANES<T>)
        sum += *(const Loose *)(share + i) * *(const Loose *)(losses + i);
      cost += double(total<T>(sum));
      if (job.every_row && now.t > 0)
        EACH(i, n) if (share[i] > 0 && double(losses[i]) > worst) worst = double(losses[i]);
    }
    if (job.penalised) EACH(l, job.n_layers) {
      const TinyLevel<T> &v = levels[l];
      cost += penalise(job, v.w, g + v.start, v.n_in * v.n_out, v.count, now.total);
    }
    return cost;
  }

  // Return Σ g² of layer l.
  double square(i64 l) const {
    const T *at = g + levels[l].start;
    const double square = double(sum_of<V>(at, levels[l].padded, [](V x) { return x * x; }));
    return finite(square) ? square : sum_of_squares(at, levels[l].count);
  }

  // Clip, and apply the optimizer's rule.
  void update(const Moment &now) {
    if (job.clip_value > 0) clip_value(job, g, count);
    if (job.clip_norm > 0) {
      double sum = 0;
      EACH(l, job.n_layers) sum += square(l);
      const T factor = T(clip_factor(job, sum));
      EACH(i, count) g[i] *= factor;
    }
    if (job.weight_decay > 0) EACH(l, job.n_layers)
      let_decay(job, now, w + levels[l].start, levels[l].n_in * levels[l].n_out);
    take_step<T>(job, now, w, g, slots[0], slots[1], count);
    average(job, now, mean, w, count);
  }

  // Say where the first number that is not finite arose.
  void locate_fault(const Batch<T> &batch, const Moment &now) {
    i64 bad = job.n_layers;
    for (i64 first = 0; first < batch.n; first += rows()) {
      const i64 here = first_bad_layer(pass(batch, first, now));
      bad = here < bad ? here : bad;
    }
    locate(job, bad, [&](i64 l) { return finite(square(l)); });
  }

  // Run a chunk of a batch, from its row `first` on, forward; return its rows.
  i64 pass(const Batch<T> &batch, i64 first, const Moment &now) {
    const i64 left = batch.n - first, n = left < rows() ? left : rows();
    if (!held) load(batch, first, n, now);
    held = job.only_batch && batch.n <= rows();
    if (drops) draw_masks(first, n, now.t);
    forward();
    return n;
  }

  Block<T, TURNED> block(T *at, i64 units) const { return {at, rows(), units, rows()}; }
  Block<const T, TURNED> seen(const T *at, i64 units) const { return {at, rows(), units, rows()}; }

  // Bring n rows of a batch into the arena. Lanes that are left over repeat the first row, so that
  // they meet no number that the others don't, and count for nothing.
  void load(const Batch<T> &batch, i64 first, i64 n, const Moment &now) {
    const i64 n_in = job.layers[0].n_in, n_out = job.layers[job.n_layers - 1].n_out;
    const T *x[TINY_ROWS], *y[TINY_ROWS];
    EACH(i, rows()) {
      const i64 row = batch.row(first + (i < n ? i : 0));
      x[i] = (const T *)job.X + row * n_in, y[i] = (const T *)job.Y + row * n_out;
    }
    EACH(k, n_in) EACH(i, rows()) input[k * rows() + i] = x[i][k];
    EACH(k, n_out) EACH(i, rows()) target[k * rows() + i] = y[i][k];
    EACH(i, rows()) share[i] = i < n ? batch.weight(first + i) / T(now.total) : T(0);
  }

  void draw_masks(i64 first, i64 n, i64 t) {
    EACH(l, job.n_layers) {
      const TinyLevel<T> &v = levels[l];
      if (!v.mask) continue;
      EACH(i, v.n_in * rows()) v.mask[i] = 1;
      if (t == 0) continue;
      const u64 stream = rnd::key(u64(job.seed), rnd::DROPOUT, u64(t), u64(l));
      rnd::dropout_mask<T>(stream, job.layers[l].dropout, first, n, v.n_in, v.mask, 1, rows());
    }
  }

  void forward() {
    const T *feeds = input;
    const TinyLevel<T> *const end = levels + job.n_layers;
    for (const TinyLevel<T> *v = levels; v < end; feeds = v->a, v++) {
      if (v->fed) lanewise<T>(v->n_in * rows(), [&](i64 i) { v->fed[i] = feeds[i] * v->mask[i]; });
      combine<true>(v->n_out, v->n_in, v->w, v->x, v->z);
      activate(*v->layer, seen(v->z, v->n_out), block(v->a, v->n_out));
    }
  }

  // Fill each row's loss and, where asked, δ of the output layer: BP1.
  void judge_rows(bool with_delta) {
    const TinyLevel<T> &v = levels[job.n_layers - 1];
    judge(job, Output<T, TURNED>{v.z, v.a, target, v.delta, rows(), v.n_out, rows(), share, losses},
          with_delta);
  }

  // Run all rows back through the layers: BP1, then BP2.
  void backward() {
    judge_rows(true);
    for (const TinyLevel<T> *v = levels + job.n_layers - 1; v > levels; v--) {
      const TinyLevel<T> &u = v[-1];
      combine<false>(v->n_in, v->n_out, v->w, v->delta, u.delta);
      if (v->mask) lanewise<T>(v->n_in * rows(), [&](i64 i) { u.delta[i] *= v->mask[i]; });
      pull_back(*u.layer, block(u.delta, u.n_out), seen(u.z, u.n_out), seen(u.a, u.n_out));
    }
  }

  // Fill the units of all rows on one side of W from those on the other. FORWARD: y = b + Wᵀx of n
  // units from k; else y = Wx, of n units that a layer is fed from its k.
  template <bool FORWARD> INLINE void combine(i64 n, i64 k, const T *W, const T *x, T *y) const {
    i64 j = 0;
    for (; j + 8 <= n; j += 8) combine_some<FORWARD, 8>(n, k, W, j, x, y);
    switch (n - j) {
#define UNITS(U) \
  case U: return combine_some<FORWARD, U>(n, k, W, j, x, y);
      UNITS(1) UNITS(2) UNITS(3) UNITS(4) UNITS(5) UNITS(6) UNITS(7)
#undef UNITS
    }
  }
  template <bool FORWARD, int U>
  INLINE void combine_some(i64 n, i64 k, const T *W, i64 j, const T *x, T *y) const {
    const T *of[U];  // where the weights of a unit begin
    for (int u = 0; u < U; u++) of[u] = FORWARD ? W + j + u : W + (j + u) * k;
    const i64 across = FORWARD ? n : 1;  // between them
    const T *bias = W + n * k + j;
    for (i64 b = 0; b < rows(); b += LANES<T>) {
      V sum[U];
      for (int u = 0; u < U; u++) sum[u] = FORWARD ? bias[u] - V{} : V{};  // which is the bias
#pragma clang loop unroll(disable)
      for (i64 i = 0; i < k; i++) {
        const V q = *(const Loose *)(x + i * rows() + b);
        for (int u = 0; u < U; u++) sum[u] += of[u][i * across] * q;
      }
      for (int u = 0; u < U; u++) *(Loose *)(y + (j + u) * rows() + b) = sum[u];
    }
  }

  // Fill, or add to, the gradient: BP3 and BP4. A bias has an input of 1.
  template <bool ADD> void descend() {
    const T *base = (const T *)supply.start;
    const u32 *at = factors;
    for (i64 i = 0; i < count; i += LANES<T>, at += 2 * LANES<T>) {
      V products[LANES<T>];
#pragma clang loop unroll(full)
      for (i64 k = 0; k < LANES<T>; k++) {
        const T *x = base + at[2 * k], *d = base + at[2 * k + 1];
        products[k] = *(const Loose *)x * *(const Loose *)d;
        for (i64 b = LANES<T>; b < rows(); b += LANES<T>)
          products[k] += *(const Loose *)(x + b) * *(const Loose *)(d + b);
      }
      const V sum = sums<T, V>(products);
      *(Loose *)(g + i) = ADD ? *(const Loose *)(g + i) + sum : sum;
    }
  }

  // Return the first layer whose z or a holds a number that is not finite; else how many there are.
  i64 first_bad_layer(i64 n) const {
    EACH(l, job.n_layers) EACH(k, levels[l].n_out) {
      const i64 skip = k * rows();
      if (!all_finite(levels[l].z + skip, n) || !all_finite(levels[l].a + skip, n)) return l;
    }
    return job.n_layers;
  }

  // Write the outputs of rows `first` on, of those that a pass has just brought forward; return the
  // sum of their losses by weight.
  double outputs(const Batch<T> &batch, i64 first, i64 n, T *to) {
    const TinyLevel<T> &v = levels[job.n_layers - 1];
    judge_rows(false);
    double sum = 0;
    EACH(i, n) sum += double(batch.weight(first + i)) * double(losses[i]);
    EACH(i, n) EACH(k, v.n_out) to[i * v.n_out + k] = v.a[k * rows() + i];
    return sum;
  }
};
