// Matrix products: C (m, n) = start + A (m, k) · B (k, n), by tiles that stay in registers.
#pragma once
#include "vectors.h"

// A matrix by its first number and the distances between rows and between columns, so that a
// transpose is only another way to look at it.
template <class T> struct Matrix {
  T *at;
  i64 row, column;
};

constexpr int TALL = 6;  // rows of a tile

// Compute one tile: R rows of A times one panel of B. `start` is a row to begin with, the same for
// all, or null; with `add` the tile begins with what C holds.
template <class T, int R>
static void tile(i64 k, Matrix<const T> A, const T *B, i64 b_row, const T *start, bool add, T *C,
                 i64 c_row) {
  typedef typename Vector<T>::type V;
  typedef typename Vector<T>::loose L;
  constexpr int lanes = Vector<T>::lanes;
  V left[R], right[R];
  for (int r = 0; r < R; r++) {
    const T *from = add ? C + r * c_row : start;
    left[r] = from ? V(*(const L *)from) : V{};
    right[r] = from ? V(*(const L *)(from + lanes)) : V{};
  }
  const T *a = A.at;
  for (i64 i = 0; i < k; i++, a += A.column, B += b_row) {
    const V p = *(const L *)B, q = *(const L *)(B + lanes);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      const T x = a[r * A.row];
      left[r] += x * p;
      right[r] += x * q;
    }
  }
  for (int r = 0; r < R; r++) {
    *(L *)(C + r * c_row) = left[r];
    *(L *)(C + r * c_row + lanes) = right[r];
  }
}

template <class T>
INLINE void tile_of(i64 rows, i64 k, Matrix<const T> A, const T *B, i64 b_row, const T *start,
                    bool add, T *C, i64 c_row) {
  switch (rows) {
    case 1: return tile<T, 1>(k, A, B, b_row, start, add, C, c_row);
    case 2: return tile<T, 2>(k, A, B, b_row, start, add, C, c_row);
    case 3: return tile<T, 3>(k, A, B, b_row, start, add, C, c_row);
    case 4: return tile<T, 4>(k, A, B, b_row, start, add, C, c_row);
    case 5: return tile<T, 5>(k, A, B, b_row, start, add, C, c_row);
    default: return tile<T, TALL>(k, A, B, b_row, start, add, C, c_row);
  }
}

// C = start + A · B with C's and B's rows padded to whole panels: B's panel p begins at
// B + p * b_panel, its rows b_row apart. `start` has one number per column, or is null.
template <class T>
static void multiply(i64 m, i64 n, i64 k, Matrix<const T> A, const T *B, i64 b_row, i64 b_panel,
                     const T *start, T *C, i64 c_row) {
  for (i64 p = 0; p < panels<T>(n); p++)
    for (i64 i = 0; i < m; i += TALL) {
      const Matrix<const T> rows = {A.at + i * A.row, A.row, A.column};
      tile_of<T>(m - i, k, rows, B + p * b_panel, b_row, start ? start + p * PANEL<T> : nullptr,
                 false, C + i * c_row + p * PANEL<T>, c_row);
    }
}

// C (+)= A · B where C's rows have no padding: the last panel goes through a buffer.
template <class T>
static void multiply_tight(i64 m, i64 n, i64 k, Matrix<const T> A, const T *B, i64 b_row, bool add,
                           T *C, i64 c_row) {
  for (i64 p = 0; p < panels<T>(n); p++) {
    const i64 columns = n - p * PANEL<T> < PANEL<T> ? n - p * PANEL<T> : PANEL<T>;
    for (i64 i = 0; i < m; i += TALL) {
      const Matrix<const T> rows = {A.at + i * A.row, A.row, A.column};
      T *c = C + i * c_row + p * PANEL<T>;
      if (columns == PANEL<T>) {
        tile_of<T>(m - i, k, rows, B + p * PANEL<T>, b_row, nullptr, add, c, c_row);
        continue;
      }
      T buffer[TALL * PANEL<T>];
      const i64 tall = m - i < TALL ? m - i : TALL;
      tile_of<T>(m - i, k, rows, B + p * PANEL<T>, b_row, nullptr, false, buffer, PANEL<T>);
      for (i64 r = 0; r < tall; r++)
        for (i64 j = 0; j < columns; j++)
          c[r * c_row + j] = buffer[r * PANEL<T> + j] + (add ? c[r * c_row + j] : T(0));
    }
  }
}

// Copy a matrix (k, n) into panels: each k rows of PANEL columns. Where the last has fewer, the rest
// stays as it is, and as nobody ever writes there, zero.
template <class T> static void pack(i64 k, i64 n, Matrix<const T> from, T *to) {
  for (i64 p = 0; p < panels<T>(n); p++) {
    const i64 columns = n - p * PANEL<T> < PANEL<T> ? n - p * PANEL<T> : PANEL<T>;
    const T *block = from.at + p * PANEL<T> * from.column;
    for (i64 i = 0; i < k; i++, to += PANEL<T>, block += from.row) {
      if (columns == PANEL<T> && from.column == 1)
        __builtin_memcpy(to, block, sizeof(T) * PANEL<T>);
      else if (columns == PANEL<T>)
        for (i64 j = 0; j < PANEL<T>; j++) to[j] = block[j * from.column];
      else
#pragma clang loop vectorize(disable) unroll(disable)
        for (i64 j = 0; j < columns; j++) to[j] = block[j * from.column];
    }
  }
}
