// Matrix products by tiles that stay in registers, over matrices in panels.
#pragma once
#include "vectors.h"

template <class T> constexpr i64 PANEL = 2 * LANES<T>;  // columns of a whole panel
constexpr i64 DEEP = 512;  // rows of a panel that stay in the cache while tiles go down over them

// How a matrix (rows, columns) lies in panels: some columns of all rows, row after row, so that
// the rows of a panel are one run of memory. The last panel has one vector where that is enough.
template <class T> struct Panels {
  i64 rows, columns;
  i64 count() const { return (columns + PANEL<T> - 1) / PANEL<T>; }
  i64 vectors(i64 p) const { return columns - p * PANEL<T> > LANES<T> ? 2 : 1; }
  i64 width(i64 p) const { return vectors(p) * LANES<T>; }
  i64 used(i64 p) const {  // columns of panel p that are of the matrix
    const i64 left = columns - p * PANEL<T>;
    return left < PANEL<T> ? left : PANEL<T>;
  }
  i64 at(i64 p) const { return p * rows * PANEL<T>; }
  i64 size() const { return at(count() - 1) + rows * width(count() - 1); }

  // Copy rows of one panel from a matrix, and back. What pads the last panel becomes zero.
  void pack(i64 p, i64 first, i64 n, const T *from, T *to) const {
    const i64 wide = width(p), whole = used(p);
    from += first * columns + p * PANEL<T>;
    if (whole == PANEL<T>) EACH(i, n) copy<PANEL<T>>(from + i * columns, to + i * PANEL<T>);
    else EACH(i, n) EACH(k, wide) to[i * wide + k] = k < whole ? from[i * columns + k] : T(0);
  }
  void unpack(i64 p, i64 first, i64 n, const T *from, T *to) const {
    const i64 wide = width(p), whole = used(p);
    to += first * columns + p * PANEL<T>;
    if (whole == PANEL<T>) EACH(i, n) copy<PANEL<T>>(from + i * PANEL<T>, to + i * columns);
    else EACH(i, n) EACH(k, whole) to[i * columns + k] = from[i * wide + k];
  }
  // Copy a matrix into panels, and back.
  void pack(const T *from, T *to) const { EACH(p, count()) pack(p, 0, rows, from, to + at(p)); }
  void unpack(const T *from, T *to) const { EACH(p, count()) unpack(p, 0, rows, from + at(p), to); }

  // Bring n rows of panel p of the transpose, from row `first` on and `wide` apart, in as columns.
  void turn_in(i64 first, i64 n, const T *from, i64 wide, i64 p, T *to) const {
    for (i64 i = 0; i < n; i += LANES<T>, from += LANES<T> * wide) {
      const i64 q = (first + i) / PANEL<T>, step = width(q);
      T *here = to + at(q) + p * PANEL<T> * step + (first + i) % PANEL<T>;
      if (n - i >= LANES<T>)
        for (i64 k = 0; k < wide; k += LANES<T>)
          transpose<T>(from + k, wide, here + k * step, step);
      else
        EACH(j, n - i) EACH(k, wide) here[k * step + j] = from[j * wide + k];
    }
  }
};

// Compute one tile: R rows of A times V vectors of B's columns, over k. A's numbers of one row are
// side by side, or with DOWN those of one column; `a_step` is the other distance. The tile begins
// with the row `start`, the same for all, or with what C holds, or with zero.
template <class T, int R, int V, bool DOWN>
static void tile(i64 k, const T *a, i64 a_step, const T *b, i64 b_row, const T *start, bool add,
                 T *c, i64 c_row) {
  typedef typename Vector<T>::type Vec;
  typedef typename Vector<T>::loose L;
  Vec sum[R][V];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      const i64 skip = v * LANES<T>;
      sum[r][v] = add ? Vec(*(const L *)(c + r * c_row + skip))
                      : (start ? Vec(*(const L *)(start + skip)) : Vec{});
    }
  i64 rows[R];  // distances that the compiler takes as they are, and doesn't add up in the loop
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) {
    rows[r] = r * a_step;
    __asm__("" : "+r"(rows[r]));
  }
  const i64 step = DOWN ? a_step : 1;
#pragma clang loop unroll_count(2)
  for (i64 i = 0; i < k; i++, a += step, b += b_row) {
    Vec q[V];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) q[v] = *(const L *)(b + v * LANES<T>);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      const T x = DOWN ? a[r] : a[rows[r]];
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) sum[r][v] += x * q[v];
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) *(L *)(c + r * c_row + v * LANES<T>) = sum[r][v];
}

// As many rows as fill the registers with sums.
constexpr i64 tall(i64 vectors) { return vectors == 2 ? 6 : 12; }

// Compute a tile of any number of rows up to tall(vectors).
template <class T, bool DOWN>
INLINE void tile_of(i64 rows, i64 vectors, i64 k, const T *a, i64 a_step, const T *b, i64 b_row,
                    const T *start, bool add, T *c, i64 c_row) {
#define ROWS(R, V) \
  case R: return tile<T, R, V, DOWN>(k, a, a_step, b, b_row, start, add, c, c_row);
  if (vectors == 2) switch (rows) {
    ROWS(1, 2) ROWS(2, 2) ROWS(3, 2) ROWS(4, 2) ROWS(5, 2) default: ROWS(6, 2)
  }
  switch (rows) {
    ROWS(1, 1) ROWS(2, 1) ROWS(3, 1) ROWS(4, 1) ROWS(5, 1) ROWS(6, 1) ROWS(7, 1) ROWS(8, 1)
    ROWS(9, 1) ROWS(10, 1) ROWS(11, 1) default: ROWS(12, 1)
  }
#undef ROWS
}

// C = A · B for m rows of A, k numbers each, and B in panels. With `biased`, B has one row more,
// to begin with.
template <class T>
static void multiply(i64 m, i64 k, const T *a, i64 a_row, const T *b, const Panels<T> &B,
                     bool biased, T *c, i64 c_row) {
  for (i64 first = 0; first < k; first += DEEP) {
    const i64 deep = k - first < DEEP ? k - first : DEEP;
    EACH(p, B.count()) {
      const i64 vectors = B.vectors(p), width = B.width(p), high = tall(vectors);
      const T *panel = b + B.at(p), *start = biased ? panel + k * width : nullptr;
      for (i64 i = 0; i < m; i += high)
        tile_of<T, false>(m - i < high ? m - i : high, vectors, deep, a + i * a_row + first, a_row,
                          panel + first * width, width, start, first > 0,
                          c + i * c_row + p * PANEL<T>, c_row);
    }
  }
}

// C (+)= Aᵀ · B for m columns of A and one panel's columns of B, n rows each.
template <class T>
static void multiply_down(i64 m, i64 vectors, i64 n, const T *a, i64 a_row, const T *b, i64 b_row,
                          bool add, T *c, i64 c_row) {
  const i64 high = tall(vectors);
  for (i64 i = 0; i < m; i += high)
    tile_of<T, true>(m - i < high ? m - i : high, vectors, n, a + i, a_row, b, b_row, nullptr, add,
                     c + i * c_row, c_row);
}
