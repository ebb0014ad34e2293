// Vectors as wide as the instruction set has them, and how rows lie in memory.
#pragma once
#include "plain.h"

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif

template <class T> struct Vector {
  static constexpr int lanes = VECTOR_BYTES / int(sizeof(T));
  typedef T type __attribute__((vector_size(VECTOR_BYTES)));
  typedef T loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));
};

template <class T> constexpr i64 PANEL = 2 * Vector<T>::lanes;  // columns of a microkernel's tile

template <class T> INLINE i64 panels(i64 n) { return (n + PANEL<T> - 1) / PANEL<T>; }

// Return the distance between rows of n numbers: whole panels, and no multiple of a kilobyte,
// which would put all rows into the same lines of the cache.
template <class T> INLINE i64 stride(i64 n) {
  const i64 whole = panels<T>(n) * PANEL<T>;
  return whole * i64(sizeof(T)) % 1024 ? whole : whole + PANEL<T>;
}

// Return the sum of f(i) over i < n, where f gives the i-th vector; the rest comes from `single`.
template <class T> INLINE double sum_of_squares(const T *x, i64 n) {
  typedef typename Vector<T>::loose V;
  constexpr i64 lanes = Vector<T>::lanes, block = 256 * lanes;
  double total = 0;
  i64 i = 0;
  while (i + 4 * lanes <= n) {  // in blocks, so that float sums stay exact enough
    V a = {}, b = {}, c = {}, d = {};
    const i64 end = i + block < n ? i + block : n;
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      const V p = *(const V *)(x + i), q = *(const V *)(x + i + lanes);
      const V r = *(const V *)(x + i + 2 * lanes), s = *(const V *)(x + i + 3 * lanes);
      a += p * p, b += q * q, c += r * r, d += s * s;
    }
    a = (a + b) + (c + d);
    for (i64 k = 0; k < lanes; k++) total += double(a[k]);
  }
  for (; i < n; i++) total += double(x[i]) * double(x[i]);
  return total;
}

template <class T> INLINE bool finite(T x) { return x - x == T(0); }

template <class T> INLINE bool all_finite(const T *x, i64 n) {
  i64 wrong = 0;
  for (i64 i = 0; i < n; i++) wrong += !finite(x[i]);
  return wrong == 0;
}
