// A pass over some rows: gathered, forward, loss, back. Rows come in chunks, so that the memory a
// pass takes does not grow with their number.
#pragma once
#include "product.h"
#include "random.h"
#include "rows.h"

// Where one layer's numbers lie.
template <class T> struct Level {
  const T *weights, *biases;  // in theta
  T *dW, *db;                 // in the gradient
  T *W, *W_turned, *b;        // packed in panels: W, its transpose, the biases
  T *z, *a, *fed, *mask;      // blocks of rows; fed and mask where something drops out
};

template <class T> struct Work {
  Job &job;
  Level<T> *levels;
  T *input, *target, *share, *losses, *delta[2];
  char *end;

  explicit Work(Job &job) : job(job), end((char *)job.arena) {
    levels = (Level<T> *)take(sizeof(Level<T>) * u64(job.n_layers));
    i64 widest = 0, at = 0;
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out);
      widest = in > widest ? in : widest;
      widest = out > widest ? out : widest;
      Level<T> v = {};
      v.weights = (const T *)job.theta + at, v.dW = (T *)job.gradient + at;
      at += layer.n_in * layer.n_out;
      v.biases = (const T *)job.theta + at, v.db = (T *)job.gradient + at;
      at += layer.n_out;
      v.W = numbers(layer.n_in * out), v.W_turned = numbers(layer.n_out * in), v.b = numbers(out);
      v.z = numbers(CHUNK * out), v.a = numbers(CHUNK * out);
      if (layer.dropout > 0) v.fed = numbers(CHUNK * in), v.mask = numbers(CHUNK * in);
      if (job.arena) levels[l] = v;
    }
    input = numbers(CHUNK * stride<T>(job.layers[0].n_in));
    target = numbers(CHUNK * stride<T>(last().n_out));
    share = numbers(CHUNK), losses = numbers(CHUNK);
    delta[0] = numbers(CHUNK * widest), delta[1] = numbers(CHUNK * widest);
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
  void pack_weights(bool turned) {
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const Level<T> &v = levels[l];
      pack<T>(layer.n_in, layer.n_out, {v.weights, layer.n_out, 1}, v.W);
      pack<T>(1, layer.n_out, {v.biases, layer.n_out, 1}, v.b);
      if (turned && l > 0)
        pack<T>(layer.n_out, layer.n_in, {v.weights, 1, layer.n_out}, v.W_turned);
    }
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

  const T *feeds(i64 l) const { return l ? levels[l - 1].a : input; }

  // Draw the masks of update `t`; the rows are those from `first` on in their batch.
  void draw_masks(i64 t, i64 first, i64 n) {
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      if (layer.dropout <= 0) continue;
      const u64 stream = rnd::key(u64(job.seed), rnd::DROPOUT, u64(t), u64(l));
      rnd::dropout_mask<T>(stream, layer.dropout, first, n, layer.n_in, levels[l].mask,
                           stride<T>(layer.n_in));
    }
  }

  // Run the n rows of `input` forward.
  void forward(i64 n, bool dropping) {
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const Level<T> &v = levels[l];
      const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out);
      const T *from = feeds(l);
      if (dropping && layer.dropout > 0) {
        EACH(i, n * in) v.fed[i] = from[i] * v.mask[i];
        from = v.fed;
      }
      multiply<T>(n, layer.n_out, layer.n_in, {from, in, 1}, v.W, PANEL<T>,
                  layer.n_in * PANEL<T>, v.b, v.z, out);
      activate<T>(layer, seen(v.z, n, layer.n_out), block(v.a, n, layer.n_out));
    }
  }

  Output<T> output(i64 n) const {
    const Level<T> &v = levels[job.n_layers - 1];
    const i64 units = last().n_out;
    return {seen(v.z, n, units), seen(v.a, n, units), seen(target, n, units),
            block(delta[(job.n_layers - 1) % 2], n, units), losses};
  }

  // Run back what `forward` left of n rows, and write or add to the gradient.
  void backward(i64 n, bool dropping, bool add) {
    judge<T>(job, output(n), true);
    const Block<T> top = output(n).delta;
    EACH(i, n) EACH(k, top.step) top.row(i)[k] *= share[i];
    for (i64 l = job.n_layers - 1; l >= 0; l--) {
      const Layer &layer = job.layers[l];
      const Level<T> &v = levels[l];
      const i64 in = stride<T>(layer.n_in), out = stride<T>(layer.n_out);
      const bool drops = dropping && layer.dropout > 0;
      const T *d = delta[l % 2];
      if (!add) EACH(k, layer.n_out) v.db[k] = 0;
      EACH(i, n) EACH(k, layer.n_out) v.db[k] += d[i * out + k];
      multiply_tight<T>(layer.n_in, layer.n_out, n, {drops ? v.fed : feeds(l), 1, in}, d, out, add,
                        v.dW, layer.n_out);
      if (l == 0) return;
      T *g = delta[(l - 1) % 2];
      multiply<T>(n, layer.n_in, layer.n_out, {d, out, 1}, v.W_turned, PANEL<T>,
                  layer.n_out * PANEL<T>, nullptr, g, in);
      if (drops) EACH(i, n * in) g[i] *= v.mask[i];
      const Layer &below = job.layers[l - 1];
      const i64 units = below.n_out;
      pull_back<T>(below, block(g, n, units), seen(levels[l - 1].z, n, units),
                   seen(levels[l - 1].a, n, units));
    }
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
