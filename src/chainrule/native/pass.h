// A pass over some rows, in two phases. Phase 1 takes tiles of rows: gathered, forward, loss, and
// every δ back. Phase 2 takes tiles of weights: their gradient over all rows, in a fixed order. Rows
// come in chunks, so that the memory a pass takes does not grow with their number.
#pragma once
#include "product.h"
#include "random.h"
#include "rows.h"

constexpr i64 TILE_ROWS = 24, TILE_INPUTS = 96;

// Where one layer's numbers lie.
template <class T> struct Level {
  const T *weights, *biases;  // in theta
  T *dW, *db;                 // in the gradient
  T *W, *W_turned, *b;        // packed in panels: W, its transpose, the biases
  T *z, *a, *delta;           // blocks of rows
  T *fed, *mask;              // and where something drops out
  double square;              // of the gradient's norm
};

template <class T> struct Work {
  Job &job;
  Level<T> *levels;
  T *input, *target, *share, *losses;
  char *end;

  explicit Work(Job &job) : job(job), end((char *)job.arena) {
    levels = (Level<T> *)take(sizeof(Level<T>) * u64(job.n_layers));
    i64 at = 0;
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out);
      Level<T> v = {};
      v.weights = (const T *)job.theta + at, v.dW = (T *)job.gradient + at;
      at += layer.n_in * layer.n_out;
      v.biases = (const T *)job.theta + at, v.db = (T *)job.gradient + at;
      at += layer.n_out;
      v.W = numbers(layer.n_in * out), v.W_turned = numbers(layer.n_out * in), v.b = numbers(out);
      v.z = numbers(CHUNK * out), v.a = numbers(CHUNK * out), v.delta = numbers(CHUNK * out);
      if (layer.dropout > 0) v.fed = numbers(CHUNK * in), v.mask = numbers(CHUNK * in);
      if (job.arena) levels[l] = v;
    }
    input = numbers(CHUNK * stride<T>(job.layers[0].n_in));
    target = numbers(CHUNK * stride<T>(last().n_out));
    share = numbers(CHUNK), losses = numbers(CHUNK);
  }

  const Layer &last() const { return job.layers[job.n_layers - 1]; }

  // Take aligned memory from the arena; without one, only count.
  char *take(u64 bytes) {
    char *at = end;
    end += (bytes + 63) / 64 * 64;
    return at;
  }
  T *numbers(i64 n) { return (T *)take(u64(n) * sizeof(T)); }

  // Copy what the steps read of theta into panels; the transposes only for a way back.
  template <class Each> void pack_weights(Each &team, bool turned) {
    team.each(job.n_layers, [&](i64 l) {
      const Layer &layer = job.layers[l];
      const Level<T> &v = levels[l];
      pack<T>(layer.n_in, layer.n_out, {v.weights, layer.n_out, 1}, v.W);
      pack<T>(1, layer.n_out, {v.biases, layer.n_out, 1}, v.b);
      if (turned && l > 0)
        pack<T>(layer.n_out, layer.n_in, {v.weights, 1, layer.n_out}, v.W_turned);
    });
  }

  Block<T> block(T *at, i64 n, i64 units) const { return {at, n, units, stride<T>(units)}; }
  Block<const T> seen(const T *at, i64 n, i64 units) const {
    return {at, n, units, stride<T>(units)};
  }

  // Copy n rows of X or Y: those that `order` names, or from `first` on.
  static void gather(const void *from, const i64 *order, i64 first, i64 n, i64 units, T *to) {
    const i64 step = stride<T>(units);
    EACH(i, n) {
      const T *row = (const T *)from + (order ? order[first + i] : first + i) * units;
      T *into = to + i * step;
      EACH(k, units) into[k] = row[k];
    }
  }

  // What layer l is fed, before and after something drops out.
  const T *feeds(i64 l) const { return l ? levels[l - 1].a : input; }
  const T *fed(i64 l, bool dropping) const {
    return dropping && job.layers[l].dropout > 0 ? levels[l].fed : feeds(l);
  }

  // Draw the masks of update `t` for n rows of the arena from `at` on; `first` is the place of row
  // 0 in its batch.
  void draw_masks(i64 t, i64 first, i64 at, i64 n) {
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      if (layer.dropout <= 0) continue;
      const u64 stream = rnd::key(u64(job.seed), rnd::DROPOUT, u64(t), u64(l));
      const i64 in = stride<T>(layer.n_in);
      rnd::dropout_mask<T>(stream, layer.dropout, first + at, n, layer.n_in,
                           levels[l].mask + at * in, in);
    }
  }

  // Run n rows of the arena, from `at` on, forward.
  void forward(i64 at, i64 n, bool dropping) {
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const Level<T> &v = levels[l];
      const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out), units = layer.n_out;
      if (dropping && layer.dropout > 0)
        for (i64 i = at * in; i < (at + n) * in; i++) v.fed[i] = feeds(l)[i] * v.mask[i];
      multiply<T>(n, units, layer.n_in, {fed(l, dropping) + at * in, in, 1}, v.W, PANEL<T>,
                  layer.n_in * PANEL<T>, v.b, v.z + at * out, out);
      activate<T>(layer, seen(v.z + at * out, n, units), block(v.a + at * out, n, units));
    }
  }

  Output<T> output(i64 at, i64 n) const {
    const Level<T> &v = levels[job.n_layers - 1];
    const i64 units = last().n_out, skip = at * stride<T>(units);
    return {seen(v.z + skip, n, units), seen(v.a + skip, n, units), seen(target + skip, n, units),
            block(v.delta + skip, n, units), losses + at};
  }

  // Run n rows back through the layers: BP1, then BP2.
  void backward(i64 at, i64 n, bool dropping) {
    judge<T>(job, output(at, n), true);
    const Block<T> top = output(at, n).delta;
    EACH(i, n) EACH(k, top.step) top.row(i)[k] *= share[at + i];
    for (i64 l = job.n_layers - 1; l > 0; l--) {
      const Layer &layer = job.layers[l], &below = job.layers[l - 1];
      const Level<T> &v = levels[l], &u = levels[l - 1];
      const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out), units = below.n_out;
      T *g = u.delta + at * in;
      multiply<T>(n, units, layer.n_out, {v.delta + at * out, out, 1}, v.W_turned, PANEL<T>,
                  layer.n_out * PANEL<T>, nullptr, g, in);
      if (dropping && layer.dropout > 0) EACH(i, n * in) g[i] *= v.mask[at * in + i];
      pull_back<T>(below, block(g, n, units), seen(u.z + at * in, n, units),
                   seen(u.a + at * in, n, units));
    }
  }

  static i64 tiles(const Layer &layer) {
    return panels<T>(layer.n_out) * ((layer.n_in + TILE_INPUTS - 1) / TILE_INPUTS);
  }

  // Write, or add to, one tile of the gradient from all n rows in the arena: BP3 and BP4.
  void gradient_tile(i64 index, i64 n, bool dropping, bool add) {
    i64 l = 0;
    for (; index >= tiles(job.layers[l]); l++) index -= tiles(job.layers[l]);
    const Layer &layer = job.layers[l];
    const Level<T> &v = levels[l];
    const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out), wide = layer.n_out;
    const i64 column = index % panels<T>(wide) * PANEL<T>;
    const i64 columns = wide - column < PANEL<T> ? wide - column : PANEL<T>;
    const i64 first = index / panels<T>(wide) * TILE_INPUTS, left = layer.n_in - first;
    const T *d = v.delta + column;
    multiply_tight<T>(left < TILE_INPUTS ? left : TILE_INPUTS, columns, n,
                      {fed(l, dropping) + first, 1, in}, d, out, add,
                      v.dW + first * wide + column, wide);
    if (first > 0) return;
    T sums[PANEL<T>] = {};
    EACH(i, n) EACH(k, PANEL<T>) sums[k] += d[i * out + k];
    EACH(k, columns) v.db[column + k] = sums[k] + (add ? v.db[column + k] : T(0));
  }

  // Return the first layer whose z or a holds a number that is not finite; else how many there are.
  i64 first_bad_layer(i64 n) const {
    EACH(l, job.n_layers) {
      const i64 units = job.layers[l].n_out, step = stride<T>(units);
      EACH(i, n)
        if (!all_finite(levels[l].z + i * step, units) || !all_finite(levels[l].a + i * step, units))
          return l;
    }
    return job.n_layers;
  }
};
