// The loop: batches, updates, epochs, until the next event.
#pragma once
#include "system.h"
#include "pass.h"
#include "team.h"

constexpr i64 PIECE = 16384;  // parameters that one thread updates at a time

// The rows of a batch, or all of them: which, and their weights.
template <class T> struct Batch {
  const i64 *order;
  i64 first, n;
  const T *weights;  // of all rows, or null
  i64 row(i64 i) const { return order ? order[first + i] : first + i; }
  T weight(i64 i) const { return weights ? weights[row(i)] : T(1); }
  double total() const {
    double sum = 0;
    if (!weights) return double(n);
    EACH(i, n) sum += double(weight(i));
    return sum;
  }
};

// Return the sum of f(w) over n parameters.
template <class T, class F> static double sum_over(const T *w, i64 n, const F &f) {
  constexpr i64 many = 32;
  double total = 0;
  i64 i = 0;
  while (i + many <= n) {
    T part[many] = {};
    for (i64 stop = i + 64 * many < n ? i + 64 * many : n; i + many <= stop; i += many)
      EACH(k, many) part[k] += f(w[i + k]);
    EACH(k, many) total += double(part[k]);
  }
  for (; i < n; i++) total += double(f(w[i]));
  return total;
}

template <class T> struct Training {
  Job &job;
  Team team;
  Work<T> work;
  explicit Training(Job &job) : job(job), team(job.threads), work(job) {}

  i64 parameters(i64 l) const { return (job.layers[l].n_in + 1) * job.layers[l].n_out; }

  // Fill the gradient; return the cost, penalty included. `t` is the update, 0 for none.
  double cost_and_gradient(const Batch<T> &batch, i64 t, double n) {
    work.pack_weights(team, true);
    double cost = 0;
    i64 tiles = 0;
    EACH(l, job.n_layers) tiles += work.tiles(job.layers[l]);
    for (i64 first = 0; first < batch.n; first += CHUNK) {
      const i64 rows = pass(batch, first, t, n, true);
      team.each(tiles, [&](i64 i) { work.gradient_tile(i, rows, t > 0, first > 0); });
      EACH(i, rows) cost += double(work.share[i]) * double(work.losses[i]);
      if (job.every_row && t > 0)
        EACH(i, rows)
          if (work.share[i] > 0 && double(work.losses[i]) > worst) worst = double(work.losses[i]);
    }
    return cost + (job.penalised ? penalise(n) : 0.0);
  }
  double worst = 0;

  // Run a chunk of a batch, from its row `first` on, forward and maybe back; return its rows.
  i64 pass(const Batch<T> &batch, i64 first, i64 t, double n, bool back) {
    const i64 rows = batch.n - first < CHUNK ? batch.n - first : CHUNK;
    team.each((rows + TILE_ROWS - 1) / TILE_ROWS, [&](i64 tile) {
      const i64 at = tile * TILE_ROWS, left = rows - at;
      const i64 here = left < TILE_ROWS ? left : TILE_ROWS;
      load(batch, first, at, here, t, n);
      work.forward(at, here, t > 0);
      if (back) work.backward(at, here, t > 0);
    });
    return rows;
  }

  // Bring n rows of a batch into the arena, from row `at` on; `first` is the place of row 0.
  void load(const Batch<T> &batch, i64 first, i64 at, i64 n, i64 t, double total) {
    const i64 in = job.layers[0].n_in, out = work.last().n_out, place = first + at;
    work.gather(job.X, batch.order, batch.first + place, n, in, work.input + at * stride<T>(in));
    work.gather(job.Y, batch.order, batch.first + place, n, out,
                work.target + at * stride<T>(out));
    EACH(i, n) work.share[at + i] = batch.weight(place + i) / T(total);
    if (t > 0) work.draw_masks(t, first, at, n);
  }

  // Add the penalty to the gradient; return its cost.
  double penalise(double n) {
    const auto f = Penalty<T>::from(job.penalty);
    double cost = 0;
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const i64 count = layer.n_in * layer.n_out + (f.biases != 0 ? layer.n_out : 0);
      const T *w = work.levels[l].weights;
      T *__restrict g = work.levels[l].dW;
      cost += sum_over(w, count, [&](T x) { return f.value(x, n); });
      EACH(i, count) g[i] += f.gradient(w[i], n);
    }
    return cost;
  }

  // Return the sum of squares of a layer's gradient, exact where a float's would overflow.
  double norm_square(i64 l) const {
    const T *g = work.levels[l].dW;
    const double sum = sum_of_squares(g, parameters(l));
    if (finite(sum)) return sum;
    double exact = 0;
    EACH(i, parameters(l)) exact += double(g[i]) * double(g[i]);
    return exact;
  }

  bool gradient_finite() const {
    EACH(l, job.n_layers)
      if (!all_finite(work.levels[l].dW, parameters(l))) return false;
    return true;
  }

  void clip() {
    T *g = (T *)job.gradient;
    i64 count = 0;
    EACH(l, job.n_layers) count += parameters(l);
    if (job.clip_value > 0) {
      const T most = T(job.clip_value);
      EACH(i, count) g[i] = m::maximum(m::minimum(g[i], most), -most);
    }
    if (job.clip_norm > 0) {
      double sum = 0;
      EACH(l, job.n_layers) sum += norm_square(l);
      const double norm = m::sqrt(sum), factor = job.clip_norm / (norm > 1e-300 ? norm : 1e-300);
      if (factor < 1) EACH(i, count) g[i] *= T(factor);
    }
  }

  double rate() const {
    const double total = double(per_epoch() * job.epochs);
    double factor = 1;
    switch (job.schedule) {
#define X(index, Name)                                                               \
  case index:                                                                        \
    factor = Name<double>::from(job.schedule_settings)                               \
                 .factor(double(job.t), double(per_epoch()), total);                 \
    break;
      SCHEDULES(X)
#undef X
    }
    return job.optimizer_settings[0] * factor * job.plateau;
  }

  // Apply the optimizer's rule to all parameters.
  template <class F> void apply(const F &f, double rate, double t) {
    i64 count = 0;
    EACH(l, job.n_layers) count += parameters(l);
    T *__restrict w = (T *)job.theta, *__restrict p = (T *)job.slots[0];
    T *__restrict q = (T *)job.slots[1];
    const T *__restrict g = (const T *)job.gradient;
    team.each((count + PIECE - 1) / PIECE, [&](i64 piece) {
      const i64 from = piece * PIECE, to = from + PIECE < count ? from + PIECE : count;
      if (job.slots_used == 2) {
        for (i64 i = from; i < to; i++) {
          const Step<T> next = f.update(w[i], g[i], {{p[i], q[i]}}, rate, t);
          w[i] = next.w, p[i] = next.slots.each[0], q[i] = next.slots.each[1];
        }
      } else {
        for (i64 i = from; i < to; i++) {
          const Step<T> next = f.update(w[i], g[i], {{p[i], T(0)}}, rate, t);
          w[i] = next.w, p[i] = next.slots.each[0];
        }
      }
    });
  }

  void update() {
    switch (job.optimizer) {
#define X(index, Name) \
  case index: return apply(Name<T>::from(job.optimizer_settings), rate(), double(job.t));
      OPTIMIZERS(X)
#undef X
    }
  }

  i64 per_epoch() const { return (job.rows + job.batch_size - 1) / job.batch_size; }

  // Do one update; return false where a number is not finite.
  bool step() {
    const i64 first = job.batch * job.batch_size, left = job.rows - first;
    const Batch<T> batch = {job.shuffle ? job.order : nullptr, first,
                            left < job.batch_size ? left : job.batch_size, (const T *)job.weights};
    job.batch++;
    const double n = batch.total();
    if (n == 0) return true;  // nothing in this batch counts
    job.t++;
    worst = job.worst_row;
    const double cost = cost_and_gradient(batch, job.t, n);
    team.each(job.n_layers, [&](i64 l) { work.levels[l].square = norm_square(l); });
    double squares = 0;
    EACH(l, job.n_layers) squares += work.levels[l].square;
    if (!finite(cost) || (!finite(squares) && !gradient_finite())) {
      locate_fault(batch, n);
      return false;
    }
    EACH(l, job.n_layers) job.norm_squares[l] += work.levels[l].square;
    job.epoch_updates++;
    job.loss_sum += cost * n;
    job.weight_sum += n;
    job.worst_row = worst;
    if (job.clip_value > 0 || job.clip_norm > 0) clip();
    update();
    return true;
  }

  // Find where the first number that is not finite arose.
  void locate_fault(const Batch<T> &batch, double n) {
    i64 bad = job.n_layers;
    for (i64 first = 0; first < batch.n; first += CHUNK) {
      const i64 rows = pass(batch, first, job.t, n, false);
      const i64 here = work.first_bad_layer(rows);
      bad = here < bad ? here : bad;
    }
    job.fault_kind = IN_OUTPUTS, job.fault_layer = bad;
    if (bad < job.n_layers) return;
    job.fault_kind = IN_GRADIENT;
    for (i64 l = job.n_layers - 1; l >= 0; l--) {
      job.fault_layer = l;
      const i64 count = job.layers[l].n_in * job.layers[l].n_out;
      if (!all_finite(work.levels[l].dW, count)) return;
    }
    job.fault_kind = IN_LOSS, job.fault_layer = job.n_layers - 1;
  }

  bool weights_finite() {
    EACH(l, job.n_layers)
      if (!all_finite(work.levels[l].weights, parameters(l))) {
        job.fault_kind = IN_WEIGHTS, job.fault_layer = l;
        return false;
      }
    return true;
  }

  void keep_best(double loss) {
    i64 count = 0;
    EACH(l, job.n_layers) count += parameters(l);
    job.best = loss, job.best_epoch = job.epoch;
    EACH(i, count) ((T *)job.best_theta)[i] = ((const T *)job.theta)[i];
  }

  // Write the epoch's record and begin the next; return whether its loss is below the threshold.
  bool close_epoch() {
    job.epoch++;
    double *record = job.records + job.completed++ * (RECORD + job.n_layers);
    const double loss = job.loss_sum / job.weight_sum;
    const double values[RECORD] = {double(job.epoch), double(job.t), loss,
                                   job.worst_row,     rate(),        job.seconds};
    EACH(i, RECORD) record[i] = values[i];
    EACH(l, job.n_layers) {
      record[RECORD + l] = m::sqrt(job.norm_squares[l] / double(job.epoch_updates));
      job.norm_squares[l] = 0;
    }
    if (job.best_theta && loss < job.best) keep_best(loss);
    const double error = job.every_row ? job.worst_row : loss;
    job.batch = 0, job.epoch_updates = 0;
    job.loss_sum = job.weight_sum = job.worst_row = job.seconds = 0;
    return job.stop_below > 0 && error < job.stop_below;
  }

  Event advance(i64 epochs, double seconds) {
    const double start = now();
    double lap = start;
    while (job.completed < epochs) {
      if (job.shuffle && job.order_epoch != job.epoch) {
        rnd::row_order(u64(job.seed), job.epoch, job.rows, job.order);
        job.order_epoch = job.epoch;
      }
      while (job.batch < per_epoch()) {
        if (!step()) return FAULT;
        const double time = now();
        job.seconds += time - lap, lap = time;
        if (time - start > seconds && job.batch < per_epoch()) return TIME;
      }
      if (!weights_finite()) return FAULT;
      if (close_epoch()) return THRESHOLD;
      if (lap - start > seconds) break;
    }
    return EPOCHS;
  }

  // Write the outputs for the job's rows, tightly; return the mean loss without penalty.
  double evaluate(T *outputs) {
    const Batch<T> batch = {nullptr, 0, job.rows, (const T *)job.weights};
    const double n = batch.total();
    const i64 units = work.last().n_out;
    double sum = 0;
    work.pack_weights(team, false);
    for (i64 first = 0; first < job.rows; first += CHUNK) {
      const i64 rows = pass(batch, first, 0, n, false);
      const Output<T> o = work.output(0, rows);
      judge<T>(job, o, false);
      EACH(i, rows) sum += double(batch.weight(first + i)) * double(work.losses[i]);
      EACH(i, rows) EACH(k, units) outputs[(first + i) * units + k] = o.a.row(i)[k];
    }
    return sum / n;
  }
};
