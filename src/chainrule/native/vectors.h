// Vectors as wide as the instruction set has them.
#pragma once
#include "plain.h"

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif

#define EACH(i, n) for (i64 i = 0; i < (n); i++)

template <class T> struct Vector {
  static constexpr int lanes = VECTOR_BYTES / int(sizeof(T));
  typedef T type __attribute__((vector_size(VECTOR_BYTES)));
  typedef T loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));
};

template <class T> constexpr i64 LANES = Vector<T>::lanes;

// Return n rounded up to whole vectors.
template <class T> INLINE i64 whole(i64 n) { return (n + LANES<T> - 1) / LANES<T> * LANES<T>; }

// Return the distance between rows of n numbers: whole vectors, and no multiple of a kilobyte,
// which would put all rows into the same lines of the cache.
template <class T> INLINE i64 stride(i64 n) {
  const i64 step = whole<T>(n);
  return step * i64(sizeof(T)) % 1024 ? step : step + 2 * LANES<T>;
}

// Copy N numbers.
template <i64 N, class T> INLINE void copy(const T *from, T *to) {
  __builtin_memcpy(to, from, N * sizeof(T));
}

// Call f(i) for i < n, which is whole vectors: each vector's worth of calls becomes vector code. What
// f writes for one i it must not read for another.
template <class T, class F> INLINE void lanewise(i64 n, const F &f) {
  for (i64 i = 0; i < n; i += LANES<T>) {
#pragma clang loop vectorize(assume_safety) interleave(disable) unroll(disable)
    for (i64 k = 0; k < LANES<T>; k++) f(i + k);
  }
}

// Return the lower (upper) halves of a and b, their numbers in turn: a₀ b₀ a₁ b₁ …
template <class T, class V> INLINE V zip_low(V a, V b) {
  if constexpr (LANES<T> == 2) return __builtin_shufflevector(a, b, 0, 2);
  else if constexpr (LANES<T> == 4) return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  else return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
template <class T, class V> INLINE V zip_high(V a, V b) {
  if constexpr (LANES<T> == 2) return __builtin_shufflevector(a, b, 1, 3);
  else if constexpr (LANES<T> == 4) return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  else return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

// Transpose a square of numbers, as wide as a vector: zipping row i with row i + half, as often as
// the width can be halved, brings every number to its place.
template <class T> INLINE void transpose(const T *from, i64 from_row, T *to, i64 to_row) {
  typedef typename Vector<T>::type V;
  typedef typename Vector<T>::loose L;
  constexpr int lanes = Vector<T>::lanes;
  V a[lanes], b[lanes];
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes; i++) a[i] = *(const L *)(from + i * from_row);
#pragma clang loop unroll(full)
  for (int width = lanes; width > 1; width /= 2) {
#pragma clang loop unroll(full)
    for (int i = 0; i < lanes / 2; i++) {
      b[2 * i] = zip_low<T, V>(a[i], a[i + lanes / 2]);
      b[2 * i + 1] = zip_high<T, V>(a[i], a[i + lanes / 2]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < lanes; i++) a[i] = b[i];
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < lanes; i++) *(L *)(to + i * to_row) = a[i];
}

// Return neighbours added up, of a and of b in turn, in each 16 bytes by themselves.
template <class T, class V> INLINE V add_neighbours(V a, V b) {
  if constexpr (LANES<T> == 2)
    return __builtin_shufflevector(a, b, 0, 2) + __builtin_shufflevector(a, b, 1, 3);
  else if constexpr (LANES<T> == 4 && sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
  else if constexpr (LANES<T> == 4)
    return __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7);
  else
    return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
           __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
}

// Return the lower half of a beside that of b, plus the upper halves.
template <class T, class V> INLINE V add_halves(V a, V b) {
  if constexpr (LANES<T> == 4)
    return __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
  else
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
}

// Return the vector of the sums of as many vectors as one has numbers: first come first.
template <class T, class V> INLINE V sums(V *p) {
  int left = int(LANES<T>);
  if constexpr (VECTOR_BYTES == 32) {
    left /= 2;
#pragma clang loop unroll(full)
    for (int i = 0; i < left; i++) p[i] = add_halves<T, V>(p[i], p[i + left]);
  }
#pragma clang loop unroll(full)
  for (; left > 1; left /= 2)
#pragma clang loop unroll(full)
    for (int i = 0; i < left / 2; i++) p[i] = add_neighbours<T, V>(p[2 * i], p[2 * i + 1]);
  return p[0];
}

// Return the sum of a vector's numbers.
template <class T, class V> INLINE T total(V x) {
  if constexpr (LANES<T> == 8) {
    x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
    x += __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5);
  }
  if constexpr (LANES<T> == 4) x += __builtin_shufflevector(x, x, 2, 3, 0, 1);
  return x[0] + x[1];
}

// Return the sum of f over the vectors of n numbers, which are whole vectors.
template <class V, class T, class F> INLINE T sum_of(const T *x, i64 n, const F &f) {
  V sum = {};
#pragma clang loop unroll(disable)
  for (i64 i = 0; i < n; i += LANES<T>) sum += f(*(const typename Vector<T>::loose *)(x + i));
  return total<T>(sum);
}

// Return the sum of squares of n numbers.
template <class T> static double sum_of_squares(const T *x, i64 n) {
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
  if (total - total == 0) return total;
  total = 0;  // the square of 1e20 has no float, but a double
  for (i = 0; i < n; i++) total += double(x[i]) * double(x[i]);
  return total;
}

// Return the sum of f(x) over n numbers.
template <class T, class F> static double sum_over(const T *x, i64 n, const F &f) {
  constexpr i64 many = 32;
  double total = 0;
  i64 i = 0;
  while (i + many <= n) {
    T part[many] = {};
    for (i64 stop = i + 64 * many < n ? i + 64 * many : n; i + many <= stop; i += many)
      EACH(k, many) part[k] += f(x[i + k]);
    EACH(k, many) total += double(part[k]);
  }
  for (; i < n; i++) total += double(f(x[i]));
  return total;
}

template <class T> INLINE bool finite(T x) { return x - x == T(0); }

template <class T> static bool all_finite(const T *x, i64 n) {
  T wrong = 0;  // x − x is 0, but for what is not finite
  i64 i = 0;
  T part[16] = {};
  for (; i + 16 <= n; i += 16) EACH(k, 16) part[k] += x[i + k] - x[i + k];
  for (; i < n; i++) wrong += x[i] - x[i];
  EACH(k, 16) wrong += part[k];
  return wrong == T(0);
}
