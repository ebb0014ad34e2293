// Prediction: rows forward through the layers, and cotangents back to the inputs, with the weights
// where they lie. Each sum runs over the inputs in order, so that a row's outputs don't depend, to
// the last bit, on how many other rows come with it.
#pragma once
#include "batch.h"
#include "net.h"
#include "product.h"
#include "sparse.h"
#include "team.h"

constexpr i64 ROWS_AT_ONCE = 192;  // through all layers together, by one thread
constexpr i64 FEW_ROWS = 8;        // for which a copy of the weights doesn't pay
constexpr i64 REACH = 512;         // rows of the weights in a copy, which stays in the cache

template <class T> constexpr i64 STRIP = 2 * Vector<T>::lanes;  // columns of a copy
template <class T> INLINE i64 span(i64 n) { return (n + STRIP<T> - 1) / STRIP<T> * STRIP<T>; }

template <int N> struct Count { static constexpr int value = N; };

// A matrix (rows, columns) as a product reads it: W as it lies, or TURNED, its transpose.
template <class T> struct Weights {
  const T *at;
  i64 rows, columns;
  bool turned;

  // Copy `deep` rows from `first` on of the STRIP columns from `column` on; what is beyond is zero.
  void copy(i64 first, i64 deep, i64 column, T *to) const {
    const i64 there = columns - column < STRIP<T> ? columns - column : STRIP<T>;
    if (there < STRIP<T>) __builtin_memset(to, 0, sizeof(T) * u64(deep * STRIP<T>));
    if (turned) {
      EACH(j, there) EACH(i, deep) to[i * STRIP<T> + j] = at[(column + j) * rows + first + i];
      return;
    }
    const T *from = at + first * columns + column;
    if (there == STRIP<T>)
      EACH(i, deep) __builtin_memcpy(to + i * STRIP<T>, from + i * columns, sizeof(T) * STRIP<T>);
    else
      EACH(i, deep) EACH(j, there) to[i * STRIP<T> + j] = from[i * columns + j];
  }
};

// C = start + A · W for V vectors of columns from `column` on, W unturned and read in place. A
// vector may reach into W's next row; where there is none, the last few rows are copied.
template <class T, int R, int V>
static void in_place(const Weights<T> &W, i64 column, const T *a, i64 a_row, const T *start, T *c,
                     i64 c_row) {
  constexpr i64 wide = V * Vector<T>::lanes;
  const i64 n = W.columns, k = W.rows, beyond = column + wide - n;
  i64 safe = beyond <= 0 ? k : k - (beyond + n - 1) / n;
  if (safe < 0) safe = 0;
  tile<T, R, V, false>(safe, a, a_row, W.at + column, n, start + column, false, c + column, c_row);
  T last[wide];
  for (; safe < k; safe++) {
    EACH(j, wide) last[j] = column + j < n ? W.at[safe * n + column + j] : T(0);
    tile<T, R, V, false>(1, a + safe, a_row, last, 0, nullptr, true, c + column, c_row);
  }
}

template <class T>
static void few(i64 m, const Weights<T> &W, const T *a, i64 a_row, const T *start, T *c,
                i64 c_row) {
  const i64 end = span<T>(W.columns), lanes = Vector<T>::lanes;
  for (; m >= 4; m -= 4, a += 4 * a_row, c += 4 * c_row)
    for (i64 at = 0; at < end; at += 2 * lanes)
      in_place<T, 4, 2>(W, at, a, a_row, start, c, c_row);
  EACH(i, m)
    for (i64 at = 0; at < end;) {
      const i64 left = (end - at) / lanes;
      const T *x = a + i * a_row;
      T *y = c + i * c_row;
      if (left >= 8) in_place<T, 1, 8>(W, at, x, 0, start, y, 0), at += 8 * lanes;
      else if (left >= 4) in_place<T, 1, 4>(W, at, x, 0, start, y, 0), at += 4 * lanes;
      else in_place<T, 1, 2>(W, at, x, 0, start, y, 0), at += 2 * lanes;
    }
}

// C = start + A · W with a copy of a strip of W at a time.
template <class T>
static void many(i64 m, const Weights<T> &W, const T *a, i64 a_row, const T *start, T *c,
                 i64 c_row) {
  constexpr i64 wide = STRIP<T>;
  alignas(64) T copied[REACH * wide];
  for (i64 first = 0; first < W.rows; first += REACH)
    for (i64 column = 0; column < W.columns; column += wide) {
      const i64 deep = W.rows - first < REACH ? W.rows - first : REACH;
      W.copy(first, deep, column, copied);
      i64 i = 0;
      const auto next = [&](auto rows) {
        constexpr int R = decltype(rows)::value;
        tile<T, R, 2, false>(deep, a + i * a_row + first, a_row, copied, wide, start + column,
                             first > 0, c + i * c_row + column, c_row);
        i += R;
      };
      while (m - i >= 6) next(Count<6>());
      while (m - i >= 3) next(Count<3>());
      while (m - i >= 1) next(Count<1>());
    }
}

template <class T>
static void product(i64 m, const Weights<T> &W, const T *a, i64 a_row, const T *start, T *c,
                    i64 c_row) {
  if (m < FEW_ROWS && !W.turned) few(m, W, a, a_row, start, c, c_row);
  else many(m, W, a, a_row, start, c, c_row);
}

// What one thread needs to take rows through the layers; without memory, it only counts.
template <class T> struct Passage {
  const Net &net;
  const i64 each, rows;  // cotangents of a row, 0 for no way back; rows at once, with each of them
  struct Kept { T *z, *a; };
  Supply supply;
  Kept *kept;
  T *start, *g[2], *again[2];

  static i64 cotangents_at_once(i64 each) { return each < ROWS_AT_ONCE ? each : ROWS_AT_ONCE; }

  Passage(const Net &net, i64 n, i64 each, char *memory)
      : net(net), each(each), rows(fitting(n, each)), supply(memory) {
    i64 widest = net.layers[0].n_in;
    EACH(l, net.n_layers) if (net.layers[l].n_out > widest) widest = net.layers[l].n_out;
    const i64 size = rows * span<T>(widest);
    kept = supply.take<Kept>(net.n_layers);
    start = numbers(span<T>(widest));
    Kept shared = {each ? nullptr : numbers(size), each ? nullptr : numbers(size)};
    EACH(l, net.n_layers) {
      const i64 its = rows * span<T>(net.layers[l].n_out);
      const Kept one = each ? Kept{numbers(its), numbers(its)} : shared;
      if (memory) kept[l] = one;
    }
    const i64 back = each ? rows * cotangents_at_once(each) : 0;
    for (T *&buffer : g) buffer = numbers(back * span<T>(widest));
    for (T *&buffer : again) buffer = numbers(back * span<T>(widest));
  }
  static i64 fitting(i64 n, i64 each) {
    const i64 most = each > ROWS_AT_ONCE ? 1 : ROWS_AT_ONCE / (each ? each : 1);
    return n < most ? n : most;
  }

  T *numbers(i64 n) { return supply.take<T>(n); }

  static Block<T, false> block(T *at, i64 n, i64 units) { return {at, n, units, span<T>(units)}; }
  static Block<const T, false> seen(const T *at, i64 n, i64 units) {
    return {at, n, units, span<T>(units)};
  }
  Weights<T> weights(i64 l, bool turned) const {
    const Layer &layer = net.layers[l];
    const T *W = (const T *)net.parameters[2 * l];
    if (turned) return {W, layer.n_out, layer.n_in, true};
    return {W, layer.n_in, layer.n_out, false};
  }
  const Layer &last() const { return net.layers[net.n_layers - 1]; }
  const Kept &top() const { return kept[net.n_layers - 1]; }

  // Run m rows forward, dense or, with `starts`, sparse; the outputs are then top().a, `span` apart.
  void forward(const T *x, i64 m, const i64 *starts = nullptr, const i32 *columns = nullptr) {
    i64 row = net.layers[0].n_in;
    EACH(l, net.n_layers) {
      const Layer &layer = net.layers[l];
      const i64 units = layer.n_out;
      EACH(k, span<T>(units)) start[k] = k < units ? ((const T *)net.parameters[2 * l + 1])[k] : T(0);
      if (l == 0 && starts)
        combine(m, starts, columns, x, weights(0, false).at, units, start, kept[0].z, span<T>(units));
      else product(m, weights(l, false), x, row, start, kept[l].z, span<T>(units));
      activate(layer, seen(kept[l].z, m, units), block(kept[l].a, m, units));
      x = kept[l].a, row = span<T>(units);
    }
  }

  // Repeat each of m rows `times`, where it is more than one.
  static const T *repeat(const T *from, i64 m, i64 row, i64 times, T *to) {
    if (times == 1) return from;
    EACH(i, m * times) EACH(k, row) to[i * row + k] = from[i / times * row + k];
    return to;
  }

  // Run the cotangents g[0] of m rows, `times` for each, back to the inputs; return where they are.
  // With `at_z` they are those of the last layer's z.
  const T *backward(i64 m, i64 times, bool at_z) {
    const i64 n = m * times;
    T *from = g[0], *to = g[1];
    for (i64 l = net.n_layers - 1; l >= 0; l--) {
      const Layer &layer = net.layers[l];
      const i64 units = layer.n_out, row = span<T>(units), below = span<T>(layer.n_in);
      if (!at_z) {
        const T *z = repeat(kept[l].z, m, row, times, again[0]);
        const T *a = repeat(kept[l].a, m, row, times, again[1]);
        pull_back(layer, block(from, n, units), seen(z, n, units), seen(a, n, units));
      }
      at_z = false;
      EACH(k, below) start[k] = 0;
      product(n, weights(l, true), from, row, start, to, below);
      T *const other = from;
      from = to, to = other;
    }
    return from;
  }
};

constexpr i64 LITTLE = 24 << 10;  // bytes that a call has of its own

// Do f(passage, first, rows) for all n rows in pieces, by a team. Return 0, or where little memory
// will not do and no `room` is given, how much of it is wanted.
template <class T, class F>
static i64 in_pieces(const Net &net, i64 n, i64 each, i64 threads, void *room, const F &f) {
  alignas(64) char little[LITTLE];
  const Passage<T> plan(net, n, each, nullptr);
  const i64 pieces = (n + plan.rows - 1) / plan.rows, bytes = i64(plan.supply.bytes());
  if (threads > pieces) threads = pieces;
  if (bytes * threads > LITTLE && !room) return bytes * threads;
  char *const at = bytes * threads > LITTLE ? (char *)room : little;
  i64 claimed = 0;
  const auto work = [&](i64 who) {
    Passage<T> passage(net, n, each, at + who * bytes);
    for (i64 p; (p = __atomic_fetch_add(&claimed, 1, __ATOMIC_RELAXED)) < pieces;) {
      const i64 first = p * plan.rows, left = n - first;
      f(passage, first, left < plan.rows ? left : plan.rows);
    }
  };
  if (threads == 1) return work(0), 0;
  Team(threads).each(threads, work);
  return 0;
}

// Fill `outputs` (n, outputs), whose rows are `out_row` apart; and where `mirrored` is one, it with
// σ(−z) of the output layer, which for a sigmoid is 1 − σ(z) without cancellation.
template <class T>
static i64 predict_rows(const Net &net, i64 n, i64 threads, const Inputs &inputs, T *outputs,
                        i64 out_row, T *mirrored, void *room) {
  i64 odd_inputs = 0, odd_outputs = 0;
  const i64 wanted = in_pieces<T>(net, n, 0, threads, room, [&](Passage<T> &p, i64 first, i64 m) {
    const i64 n_in = net.layers[0].n_in, units = p.last().n_out, row = span<T>(units);
    const i64 *starts = inputs.starts ? inputs.starts + first : nullptr;
    const T *x = (const T *)inputs.X + (starts ? 0 : first * n_in);
    const bool fine = starts ? all_finite(x + starts[0], starts[m] - starts[0])
                             : all_finite(x, m * n_in);
    if (!fine) __atomic_store_n(&odd_inputs, 1, __ATOMIC_RELAXED);
    p.forward(x, m, starts, inputs.columns);
    T *z = p.top().z, *a = p.top().a;
    i64 odd = 0;
    EACH(i, m) EACH(k, units) {
      odd += !finite(a[i * row + k]);
      outputs[(first + i) * out_row + k] = a[i * row + k];
    }
    if (odd) __atomic_store_n(&odd_outputs, 1, __ATOMIC_RELAXED);
    if (!mirrored) return;
    EACH(i, m * row) z[i] = -z[i];
    activate(p.last(), Passage<T>::seen(z, m, units), Passage<T>::block(a, m, units));
    EACH(i, m) EACH(k, units) mirrored[(first + i) * out_row + k] = a[i * row + k];
  });
  return wanted ? -wanted : odd_inputs ? ODD_INPUTS : odd_outputs ? ODD_OUTPUTS : FINE;
}

// Fill D (n, each, inputs) with g · ∂a/∂x for each of the cotangents G (n, each, outputs) of a row;
// a null G means the unit vectors, for which D is the Jacobian. With `at_z`, of z in place of a.
template <class T>
static i64 pull_back_rows(const Net &net, i64 n, i64 each, i64 threads, const T *X, const T *G,
                          bool at_z, T *D, void *room) {
  const i64 wanted = in_pieces<T>(net, n, each, threads, room, [&](Passage<T> &p, i64 first, i64 m) {
    const i64 n_in = net.layers[0].n_in, units = p.last().n_out;
    const i64 row = span<T>(units), most = p.cotangents_at_once(each);
    p.forward(X + first * n_in, m);
    for (i64 j = 0; j < each; j += most) {
      const i64 times = each - j < most ? each - j : most;
      EACH(i, m * times) {
        const i64 which = j + i % times, at = (first + i / times) * each + which;
        EACH(k, row) p.g[0][i * row + k] = k >= units ? T(0) : G ? G[at * units + k] : T(k == which);
      }
      const T *d = p.backward(m, times, at_z);
      EACH(i, m * times) {
        const i64 at = (first + i / times) * each + j + i % times;
        EACH(k, n_in) D[at * n_in + k] = d[i * span<T>(n_in) + k];
      }
    }
  });
  return -wanted;
}
