// Sparse rows: the first layer's products over what is not zero, which is never filled up.
#pragma once
#include "batch.h"
#include "product.h"

// Σ x[e] · row which[e] of B, plus the row `start` or zero, for V vectors of B's columns.
template <class T, int V>
INLINE void combine_rows(i64 count, const T *x, const i32 *which, const T *b, i64 b_row,
                         const T *start, T *c) {
  typedef typename Vector<T>::type Vec;
  typedef typename Vector<T>::loose L;
  constexpr int chains = V > 2 ? 1 : 2;  // sums that don't wait for each other
  Vec sum[chains][V] = {};
  if (start) EACH(v, V) sum[0][v] = *(const L *)(start + v * LANES<T>);
  i64 e = 0;
  for (; e + chains <= count; e += chains)
#pragma clang loop unroll(full)
    for (int k = 0; k < chains; k++) {
      const T *row = b + i64(which[e + k]) * b_row;
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) sum[k][v] += x[e + k] * *(const L *)(row + v * LANES<T>);
    }
  if (e < count) {
    const T *row = b + i64(which[e]) * b_row;
    EACH(v, V) sum[0][v] += x[e] * *(const L *)(row + v * LANES<T>);
  }
  EACH(v, V) *(L *)(c + v * LANES<T>) = chains == 2 ? sum[0][v] + sum[chains - 1][v] : sum[0][v];
}

// C = start + A · W for m sparse rows, W (…, n) as it lies. What is left over of n after whole
// vectors is computed by one that begins earlier, or where there is none, number by number.
template <class T>
static void combine(i64 m, const i64 *starts, const i32 *columns, const T *values, const T *W,
                    i64 n, const T *start, T *c, i64 c_row) {
  constexpr i64 lanes = Vector<T>::lanes;
  EACH(i, m) {
    const i64 count = starts[i + 1] - starts[i];
    const i32 *which = columns + starts[i];
    const T *x = values + starts[i];
    T *z = c + i * c_row;
    for (i64 at = 0; at < n && n >= lanes;) {
      if (n - at < lanes) at = n - lanes;
      if (n - at >= 4 * lanes)
        combine_rows<T, 4>(count, x, which, W + at, n, start + at, z + at), at += 4 * lanes;
      else combine_rows<T, 1>(count, x, which, W + at, n, start + at, z + at), at += lanes;
    }
    if (n < lanes) EACH(k, n) {
      T sum = start[k];
      EACH(e, count) sum += x[e] * W[which[e] * n + k];
      z[k] = sum;
    }
    for (i64 k = n; k < c_row; k++) z[k] = 0;
  }
}

// The rows of a chunk: as the data holds them, and turned, so that each weight finds what it meets.
template <class T> struct Sparse {
  struct Line {  // a row; its values are copies where some drop out
    const i32 *columns;
    T *values;
    i64 n;
  };
  const Job &job;
  i64 columns, nonzeros;  // nonzeros: at most in a chunk
  Line *lines = nullptr;
  T *kept = nullptr;    // the copies
  i64 *ends = nullptr;  // of each column: where its part of the two below ends, and the next one's begins
  i32 *rows = nullptr;
  T *values = nullptr;

  explicit Sparse(const Job &job)
      : job(job), columns(job.layers[0].n_in), nonzeros(job.chunk_nonzeros) {}

  bool here() const { return job.starts; }
  bool drops(const Moment &now) const { return now.t > 0 && job.layers[0].dropout > 0; }

  void take(Supply &supply, i64 chunk) {
    if (!here()) return;
    lines = supply.take<Line>(chunk), ends = supply.take<i64>(columns);
    rows = supply.take<i32>(nonzeros), values = supply.take<T>(nonzeros);
    if (job.layers[0].dropout > 0) kept = supply.take<T>(nonzeros);
  }

  // Find the n rows of a batch from `first` on.
  void find(const Batch<T> &batch, i64 first, i64 n, const Moment &now) const {
    i64 at = 0;
    EACH(i, n) {
      const i64 row = batch.row(first + i), start = job.starts[row];
      const i64 count = job.starts[row + 1] - start;
      lines[i] = {job.columns + start, drops(now) ? kept + at : (T *)job.X + start, count};
      at += count;
    }
  }

  // Copy n of the rows found, from `at` on, without what drops out; `first` is the place of row 0.
  void drop(const Batch<T> &batch, i64 first, i64 at, i64 n, const Moment &now) const {
    if (!drops(now)) return;
    const rnd::Mask<T> mask(rnd::key(u64(job.seed), rnd::DROPOUT, u64(now.t), 0),
                            job.layers[0].dropout);
    for (i64 i = at; i < at + n; i++) {
      const Line &line = lines[i];
      const T *x = (const T *)job.X + job.starts[batch.row(first + i)];
      EACH(e, line.n) line.values[e] = x[e] * mask((first + i) * columns + line.columns[e]);
    }
  }

  // Z = X · W + b for n of the rows, from `at` on.
  void forward(i64 at, i64 n, const T *w, const Panels<T> &as, T *z, i64 z_row) const {
    EACH(p, as.count()) {
      const T *panel = w + as.at(p), *bias = panel + columns * as.width(p);
      for (i64 i = at; i < at + n; i++) {
        const Line &line = lines[i];
        T *to = z + i * z_row + p * PANEL<T>;
        if (as.vectors(p) == 2)
          combine_rows<T, 2>(line.n, line.values, line.columns, panel, PANEL<T>, bias, to);
        else combine_rows<T, 1>(line.n, line.values, line.columns, panel, LANES<T>, bias, to);
      }
    }
  }

  // Sort what n rows hold by columns, those of one of several pieces; rows stay in order.
  void turn(i64 n, i64 piece, i64 pieces) const {
    const i64 low = columns * piece / pieces, high = columns * (piece + 1) / pieces;
    i64 before = 0;  // what other pieces have in lower columns
    for (i64 c = low; c < high; c++) ends[c] = 0;
    EACH(i, n) {
      i64 e = place(lines[i], low);
      for (before += e; e < lines[i].n && lines[i].columns[e] < high; e++)
        ends[lines[i].columns[e]]++;
    }
    for (i64 c = low; c < high; c++) {
      const i64 count = ends[c];
      ends[c] = before, before += count;
    }
    EACH(i, n) {
      const Line &line = lines[i];
      for (i64 e = place(line, low); e < line.n && line.columns[e] < high; e++) {
        const i64 to = ends[line.columns[e]]++;
        rows[to] = i32(i), values[to] = line.values[e];
      }
    }
  }

  // Return where in a row the columns from `low` on begin.
  static i64 place(const Line &line, i64 low) {
    i64 from = 0, to = low ? line.n : 0;
    while (from < to) {
      const i64 middle = (from + to) / 2;
      if (line.columns[middle] < low) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  // Write, or add to, the gradient of the weights from `count` columns to some vectors of outputs,
  // from δ of these.
  void gradient(i64 first, i64 count, i64 vectors, const T *delta, i64 delta_row, bool add,
                T *g) const {
    const i64 wide = vectors * LANES<T>;
    i64 from = first ? ends[first - 1] : 0;
    EACH(i, count) {
      const i64 to = ends[first + i], n = to - from;
      T *const at = g + i * wide;
      if (n == 0 && add) continue;
      if (vectors == 2)
        combine_rows<T, 2>(n, values + from, rows + from, delta, delta_row, add ? at : nullptr, at);
      else
        combine_rows<T, 1>(n, values + from, rows + from, delta, delta_row, add ? at : nullptr, at);
      from = to;
    }
  }
};
