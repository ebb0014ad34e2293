// Elementary functions without branches, so that a loop over them becomes vector code.
// Errors are below 2.5 units in the last place over the whole range; tests/test_native.py measures.
#pragma once
#include "plain.h"

namespace m {

// What differs between the two precisions.
template <class T> struct Form;
template <> struct Form<double> {
  typedef u64 Bits;
  static constexpr int fraction = 52;
  static constexpr u64 bias = 1023, one = 0x3ff0000000000000, root_half = 0x3fe6a09e667f3bcd;
  static constexpr u64 mantissa = 0x000fffffffffffff, sign = 0x8000000000000000;
  static constexpr double magic = 6755399441055744.0, whole = 4503599627370496.0;
  static constexpr double least = -746.0, most = 710.0, flat = -40.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr double tiny = 2.2250738585072014e-308, lift = 18014398509481984.0, lifted = 54;
};
template <> struct Form<float> {
  typedef u32 Bits;
  static constexpr int fraction = 23;
  static constexpr u32 bias = 127, one = 0x3f800000, root_half = 0x3f3504f3;
  static constexpr u32 mantissa = 0x007fffff, sign = 0x80000000;
  static constexpr float magic = 12582912.0f, whole = 8388608.0f;
  static constexpr float least = -104.0f, most = 89.0f, flat = -25.0f;
  static constexpr float ln2_high = 6.93359375e-01f, ln2_low = -2.12194440e-4f;
  static constexpr float tiny = 1.17549435e-38f, lift = 33554432.0f, lifted = 25;
};

INLINE double abs(double x) { return __builtin_fabs(x); }
INLINE float abs(float x) { return __builtin_fabsf(x); }
INLINE double sqrt(double x) { return __builtin_sqrt(x); }
INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
INLINE double cos(double x) { return __builtin_cos(x); }  // of numbers only, never in a loop
INLINE double floor(double x) { return __builtin_floor(x); }
INLINE double power(double x, double y) { return __builtin_pow(x, y); }

// NaN stays NaN where it is the first of the two; formulas have constants second.
template <class T> INLINE T maximum(T a, T b) { return b > a ? b : a; }
template <class T> INLINE T minimum(T a, T b) { return b < a ? b : a; }
template <class T> INLINE T sign(T x) { return x > 0 ? T(1) : (x < 0 ? T(-1) : x); }

// Return p(r) with e^r = 1 + r + r² p(r), for |r| <= ½ ln 2.
INLINE double exp_tail(double r) {  // Taylor's series; the next term is below 5e-18
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  return p * r + 0.5;
}
INLINE float exp_tail(float r) {
  float p = 1.0f / 40320.0f;
  p = p * r + 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  return p * r + 0.5f;
}

// Return 2^k, for the whole number k = shifted - magic.
template <class T> INLINE T two_to(T shifted) {
  typedef typename Form<T>::Bits Bits;
  const Bits k = __builtin_bit_cast(Bits, shifted);
  return __builtin_bit_cast(T, Bits((k + Form<T>::bias) << Form<T>::fraction));
}

// x = k ln 2 + r; the power 2^k comes as two factors, since k may be beyond one number's range.
template <class T> struct Reduced {
  T r, first, second;
  explicit INLINE Reduced(T x) {
    typedef Form<T> F;
    const T shifted = x * T(1.4426950408889634) + F::magic, k = shifted - F::magic;
    const T half = k * T(0.5) + F::magic, h = half - F::magic;
    r = (x - k * F::ln2_high) - k * F::ln2_low;
    first = two_to(half);
    second = two_to((k - h) + F::magic);
  }
};

template <class T> INLINE T exp(T x) {
  x = x < Form<T>::least ? Form<T>::least : x;
  x = x > Form<T>::most ? Form<T>::most : x;
  const Reduced<T> e(x);
  return (T(1) + (e.r + e.r * e.r * exp_tail(e.r))) * e.first * e.second;
}

template <class T> INLINE T expm1(T x) {
  T y = x < Form<T>::flat ? Form<T>::flat : x;  // there the result is -1 already
  y = y > Form<T>::most ? Form<T>::most : y;
  const Reduced<T> e(y);
  const T less = e.first - T(1) / e.second;
  const T result = ((e.r + e.r * e.r * exp_tail(e.r)) * e.first + less) * e.second;
  return x == T(0) ? x : result;
}

// Return log(1 + f) - f + f²/2 - s·f²/2 by s = f / (2 + f), with fdlibm's coefficients.
INLINE double log_tail(double w) {
  double p = 1.479819860511658591e-01;
  p = p * w + 1.531383769920937332e-01;
  p = p * w + 1.818357216161805012e-01;
  p = p * w + 2.222219843214978396e-01;
  p = p * w + 2.857142874366239149e-01;
  p = p * w + 3.999999999940941908e-01;
  p = p * w + 6.666666666666735130e-01;
  return p * w;
}
INLINE float log_tail(float w) {
  float p = 0.24279078841f;
  p = p * w + 0.28498786688f;
  p = p * w + 0.40000972152f;
  p = p * w + 0.66666662693f;
  return p * w;
}

// Return log x + more, for finite x > 0; `more` is beyond smaller than x.
template <class T> INLINE T log_positive(T x, T more) {
  typedef Form<T> F;
  typedef typename F::Bits Bits;
  const bool small = x < F::tiny;
  x = small ? x * F::lift : x;
  const Bits moved = __builtin_bit_cast(Bits, x) + (F::one - F::root_half);
  const T whole = __builtin_bit_cast(T, F::whole);
  const T k = __builtin_bit_cast(T, Bits((moved >> F::fraction) | __builtin_bit_cast(Bits, whole)))
            - whole - T(F::bias) - (small ? T(F::lifted) : T(0));
  const T f = __builtin_bit_cast(T, Bits((moved & F::mantissa) + F::root_half)) - T(1);
  const T s = f / (T(2) + f), square = T(0.5) * f * f;
  const T tail = s * (square + log_tail(s * s));
  return k * F::ln2_high + (f - (square - (tail + (k * F::ln2_low + more))));
}

template <class T> INLINE T infinity() { return T(__builtin_inf()); }

template <class T> INLINE T log(T x) {
  const T inside = log_positive(x, T(0));
  const T edge = x == T(0) ? -infinity<T>() : (x > T(0) ? x : T(__builtin_nan("")));
  return ((x > T(0)) & (x < infinity<T>())) ? inside : edge;
}

template <class T> INLINE T log1p(T x) {
  const T u = T(1) + x, lost = x - (u - T(1));  // what rounding took from 1 + x
  const T inside = log_positive(u, lost / u);
  const T edge = u == T(0) ? -infinity<T>() : (u > T(0) ? x : T(__builtin_nan("")));
  return ((u > T(0)) & (u < infinity<T>())) ? inside : edge;
}

// tanh |x| from e = e^(-2|x|): 1 - 2e / (1 + e), or where that would cancel, (1 - e) / (1 + e).
template <class T> INLINE T tanh(T x) {
  T y = T(-2) * abs(x);
  y = y < Form<T>::flat ? Form<T>::flat : y;
  const Reduced<T> e(y);
  const T p = e.r + e.r * e.r * exp_tail(e.r), power = (T(1) + p) * e.first * e.second;
  const T less = (p * e.first + (e.first - T(1) / e.second)) * e.second;  // e - 1
  const bool beyond = y < T(-1.1);
  const T q = (beyond ? T(2) * power : -less) / (beyond ? T(1) + power : T(2) + less);
  typedef typename Form<T>::Bits Bits;
  const Bits sign = __builtin_bit_cast(Bits, x) & Form<T>::sign;
  return __builtin_bit_cast(T, Bits(__builtin_bit_cast(Bits, beyond ? T(1) - q : abs(q)) | sign));
}

}  // namespace m
