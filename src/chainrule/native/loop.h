// The loop: batches, updates, epochs, until the next event.
#pragma once
#include "system.h"
#include "tiny.h"
#include "wide.h"

// Steps: how gradient and update are computed, `Wide` or `Tiny`.
template <class T, class Steps> struct Training {
  Job &job;
  Team team;
  Steps steps;
  const i64 per_epoch;  // batches
  double rate;          // of the last update
  explicit Training(Job &job)
      : job(job), team(job.threads), steps(job, team),
        per_epoch((job.rows + job.batch_size - 1) / job.batch_size),
        rate(learning_rate(job, per_epoch)) {
    job.only_batch = !job.shuffle && per_epoch == 1;
  }

  Batch<T> all_rows() const { return {nullptr, 0, job.rows, (const T *)job.weights}; }

  // Do one update; return false where a number is not finite.
  bool step() {
    const i64 first = job.batch * job.batch_size, left = job.rows - first;
    const Batch<T> batch = {job.shuffle ? job.order : nullptr, first,
                            left < job.batch_size ? left : job.batch_size, (const T *)job.weights};
    job.batch++;
    const double n = batch.total();
    if (n == 0) return true;  // nothing in this batch counts
    job.t++;
    rate = learning_rate(job, per_epoch);
    const Moment now = {job.t, rate, n};
    double worst = job.worst_row, squares = 0;
    const double cost = steps.gradient(batch, now, worst);
    EACH(l, job.n_layers) {
      const double square = steps.square(l);
      job.norm_squares[l] += square, squares += square;
    }
    if (!finite(cost) || !finite(squares)) {
      steps.locate_fault(batch, now);
      return false;
    }
    job.epoch_updates++;
    job.loss_sum += cost * n;
    job.weight_sum += n;
    job.worst_row = worst;
    steps.update(now);
    return true;
  }

  bool weights_finite() {
    if (steps.weights_finite()) return true;
    job.fault_kind = IN_WEIGHTS, job.fault_layer = 0;
    while (steps.weights_finite(job.fault_layer)) job.fault_layer++;
    return false;
  }

  double *record(i64 i) const { return job.records + i * (RECORD + job.n_layers); }
  i64 due = 0;  // epochs until a record is kept; before, each writes over the last one's

  // Write the epoch's record and begin the next; return whether its loss is below the threshold.
  bool close_epoch() {
    job.epoch++, job.completed++;
    double *to = record(job.kept);
    if (--due == 0) job.kept++, due = job.every;
    const double loss = job.loss_sum / job.weight_sum, each = 1.0 / double(job.epoch_updates);
    to[0] = double(job.epoch), to[1] = double(job.t), to[2] = loss;
    to[3] = job.worst_row, to[4] = rate, to[5] = job.seconds;
#pragma clang loop vectorize(disable) unroll(disable)
    EACH(l, job.n_layers) {
      to[RECORD + l] = m::sqrt(job.norm_squares[l] * each);
      job.norm_squares[l] = 0;
    }
    if (job.best_theta && loss < job.best) {
      job.best = loss, job.best_epoch = job.epoch;
      steps.keep();
    }
    const double error = job.every_row ? job.worst_row : loss;
    job.batch = 0, job.epoch_updates = 0;
    job.loss_sum = job.weight_sum = job.worst_row = job.seconds = 0;
    return job.stop_below > 0 && error < job.stop_below;
  }

  // Clock: it is looked at after so many steps that looking costs nothing, and the time since is
  // shared out over them.
  double start, lap;
  i64 fresh = 0, patience = 1;     // steps since the last look; steps until the next
  i64 timed = 0, seen = 0, first_batch = 0;  // records, epoch and its batch at the last look

  double look() {
    const double time = now(), each = fresh ? (time - lap) / double(fresh) : 0;
    const i64 last = job.kept - (due == job.every);  // of the epochs since
    if (job.epoch > seen)
      for (i64 i = timed; i <= last; i++) {
        const i64 before = i64(record(i)[0]) == seen + 1 ? first_batch : 0;
        record(i)[RECORD - 1] += each * double(per_epoch - before);
      }
    job.seconds += each * double(job.epoch > seen ? job.batch : fresh);
    if (time - lap < 1e-5) patience *= 2;
    if (time - lap > 1e-4 && patience > 1) patience /= 2;
    fresh = 0, timed = job.kept, seen = job.epoch, first_batch = job.batch, lap = time;
    return time - start;
  }

  Event run(i64 epochs, double seconds) {
    while (job.completed < epochs) {
      if (job.shuffle && job.order_epoch != job.epoch) {
        rnd::row_order(u64(job.seed), job.epoch, job.rows, job.order);
        job.order_epoch = job.epoch;
      }
      while (job.batch < per_epoch) {
        if (!step()) return FAULT;
        if (++fresh >= patience && look() > seconds && job.batch < per_epoch) return TIME;
      }
      if (!weights_finite()) return FAULT;
      if (close_epoch()) return THRESHOLD;
      if (lap - start > seconds) break;
    }
    return EPOCHS;
  }

  Event advance(i64 epochs, double seconds) {
    start = lap = now();
    seen = job.epoch, first_batch = job.batch;
    due = job.every - job.epoch % job.every;
    steps.begin(true);
    const Event event = run(epochs, seconds);
    steps.end();
    look();
    return event;
  }

  // Fill the gradient over all rows; return the cost, penalty included.
  double cost_and_gradient() {
    const Batch<T> batch = all_rows();
    double worst = 0;
    steps.begin(false);
    const double cost = steps.gradient(batch, {0, 0, batch.total()}, worst);
    steps.gradient_to((T *)job.gradient);
    return cost;
  }

  // Write the outputs for the job's rows, tightly; return the mean loss without penalty.
  double evaluate(T *outputs) {
    const Batch<T> batch = all_rows();
    const double n = batch.total();
    const i64 units = job.layers[job.n_layers - 1].n_out;
    double sum = 0;
    steps.begin(false);
    for (i64 first = 0; first < job.rows;) {
      const i64 rows = steps.pass(batch, first, {0, 0, n});
      sum += steps.outputs(batch, first, rows, outputs + first * units);
      first += rows;
    }
    return sum / n;
  }
};
