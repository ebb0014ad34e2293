// Elementary functions without branches, so that a loop over them becomes vector code.
// Errors are below 2 units in the last place over the whole range; tests/test_native.py measures.
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
  static constexpr double magic = 6755399441055744.0 + bias, whole = 4503599627370496.0;
  static constexpr double least = -746.0, vanished = -709.0, most = 710.0, flat = -40.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr double tiny = 2.2250738585072014e-308, lift = 18014398509481984.0, lifted = 54;
};
template <> struct Form<float> {
  typedef u32 Bits;
  static constexpr int fraction = 23;
  static constexpr u32 bias = 127, one = 0x3f800000, root_half = 0x3f3504f3;
  static constexpr u32 mantissa = 0x007fffff, sign = 0x80000000;
  static constexpr float magic = 12582912.0f + bias, whole = 8388608.0f;
  static constexpr float least = -104.0f, vanished = -88.0f, most = 89.0f, flat = -25.0f;
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

// Return p(r) with e^r = 1 + r + r² p(r) for |r| <= ½ ln 2: the one of least error, which is below
// 0.06 units in the last place of e^r. Pairs before sums, so that few wait for one another.
INLINE double exp_tail(double r) {
  const double r2 = r * r, r4 = r2 * r2;
  const double a = 0.5000000000000010621 + r * 0.16666666666666412591;
  const double b = 0.04166666666653021997 + r * 0.0083333333334944488405;
  const double c = 0.0013888888943612336501 + r * 0.00019841269506539712052;
  const double d = 0.00002480149311837144033 + r * 2.755758646440899869e-6;
  const double e = 2.7630241259998390052e-7 + r * 2.500001743608507915e-8;
  return (a + r2 * b) + r4 * ((c + r2 * d) + r4 * e);
}
INLINE float exp_tail(float r) {
  const float r2 = r * r;
  const float a = 0.49999993451164110231f + r * 0.16666520626055353851f;
  const float b = 0.041668387107228474443f + r * 0.008368717479586701501f;
  return a + r2 * (b + r2 * 0.0013814654641080759134f);
}

// e^x = 2^k (1 + r + rest), where the low bits of `biased` hold the whole number k, plus the bias.
template <class T> struct Power {
  typedef Form<T> F;
  typedef typename F::Bits Bits;
  Bits biased;
  T r, rest;

  explicit INLINE Power(T x) {
    const T shifted = x * T(1.4426950408889634) + F::magic, k = shifted - F::magic;
    biased = __builtin_bit_cast(Bits, shifted);
    r = (x - k * F::ln2_high) - k * F::ln2_low;
    rest = r * r * exp_tail(r);
  }
  INLINE T less_one() const { return r + rest; }

  // 2^k as one number, where it is one; and 0 for the k below the least.
  INLINE T scale() const { return __builtin_bit_cast(T, Bits(biased << F::fraction)); }

  // 2^k as two factors, since k may be beyond one number's range.
  struct Factors { T first, second, inverse; };  // inverse = 1 / second
  INLINE Factors factors() const {
    const Bits both = biased + F::bias, first = both >> 1, second = both - first;
    return {__builtin_bit_cast(T, Bits(first << F::fraction)),
            __builtin_bit_cast(T, Bits(second << F::fraction)),
            __builtin_bit_cast(T, Bits((2 * F::bias - second) << F::fraction))};
  }
};

template <class T> INLINE T exp(T x) {
  x = x < Form<T>::least ? Form<T>::least : x;
  x = x > Form<T>::most ? Form<T>::most : x;
  const Power<T> e(x);
  const auto power = e.factors();
  return (power.first + e.less_one() * power.first) * power.second;
}

// e^x for x <= 0, which most formulas need; what has no normal number is 0.
template <class T> INLINE T exp_falling(T x) {
  x = x < Form<T>::vanished ? Form<T>::vanished : x;
  const Power<T> e(x);
  return e.scale() + e.less_one() * e.scale();
}

template <class T> INLINE T expm1(T x) {
  x = x < Form<T>::flat ? Form<T>::flat : x;  // there the result is -1 already
  x = x > Form<T>::most ? Form<T>::most : x;
  const Power<T> e(x);
  const auto power = e.factors();
  const T whole = power.first - power.inverse;
  return ((whole + e.r * power.first) + e.rest * power.first) * power.second;
}
template <class T> INLINE T expm1_falling(T x) {
  x = x < Form<T>::flat ? Form<T>::flat : x;
  const Power<T> e(x);
  return (e.scale() - T(1)) + e.less_one() * e.scale();
}

// Return log(1 + f) - f + f²/2 for √½ - 1 <= f <= √2 - 1.
INLINE double log_tail(double f) {  // by s = f / (2 + f), with fdlibm's coefficients
  const double s = f / (2 + f), w = s * s, w2 = w * w;
  const double a = 6.666666666666735130e-01 + w * 3.999999999940941908e-01;
  const double b = 2.857142874366239149e-01 + w * 2.222219843214978396e-01;
  const double c = 1.818357216161805012e-01 + w * 1.531383769920937332e-01;
  const double p = a + w2 * (b + w2 * (c + w2 * 1.479819860511658591e-01));
  return s * (0.5 * f * f + w * p);
}
INLINE float log_tail(float f) {  // with Cephes' coefficients
  const float f2 = f * f, f4 = f2 * f2;
  const float a = 3.3333331174e-1f + f * -2.4999993993e-1f;
  const float b = 2.0000714765e-1f + f * -1.6668057665e-1f;
  const float c = 1.4249322787e-1f + f * -1.2420140846e-1f;
  const float d = 1.1676998740e-1f + f * -1.1514610310e-1f;
  return f * f2 * ((a + f2 * b) + f4 * ((c + f2 * d) + f4 * 7.0376836292e-2f));
}

// Return log (u + lost) - lifted ln 2, for a normal u > 0 beside which `lost` is beyond rounding.
template <class T> INLINE T log_normal(T u, T lost, T lifted) {
  typedef Form<T> F;
  typedef typename F::Bits Bits;
  const Bits moved = __builtin_bit_cast(Bits, u) + (F::one - F::root_half);
  const Bits biased = moved >> F::fraction;
  const T whole = __builtin_bit_cast(T, F::whole);
  const T k = __builtin_bit_cast(T, Bits(biased | __builtin_bit_cast(Bits, whole)))
            - (whole + T(F::bias)) - lifted;
  const T f = __builtin_bit_cast(T, Bits((moved & F::mantissa) + F::root_half)) - T(1);
  const T less = lost * __builtin_bit_cast(T, Bits((2 * F::bias - biased) << F::fraction));
  const T more = k * F::ln2_low + (less - less * f);  // less / (1 + f), nearly
  return k * F::ln2_high + (f - (T(0.5) * f * f - (log_tail(f) + more)));
}

template <class T> INLINE T infinity() { return T(__builtin_inf()); }

template <class T> INLINE T log(T x) {
  typedef Form<T> F;
  const bool small = x < F::tiny;
  const T inside = log_normal(small ? x * F::lift : x, T(0), small ? T(F::lifted) : T(0));
  const T edge = x == T(0) ? -infinity<T>() : (x > T(0) ? x : T(__builtin_nan("")));
  return ((x > T(0)) & (x < infinity<T>())) ? inside : edge;
}

template <class T> INLINE T log1p(T x) {
  const T u = T(1) + x;
  const T inside = log_normal(u, x - (u - T(1)), T(0));  // with what rounding took from 1 + x
  const T edge = u == T(0) ? -infinity<T>() : (u > T(0) ? x : T(__builtin_nan("")));
  return ((u > T(0)) & (u < infinity<T>())) ? inside : edge;
}

// tanh |x| from e = e^(-2|x|) and u = e - 1: (u/2) q - u/2 with q = u / (1 + e), where the parts of u/2
// come one by one, the small first; or where |u| is large, 1 - 2q with q = e / (1 + e).
template <class T> INLINE T tanh(T x) {
  typedef typename Form<T>::Bits Bits;
  const T minus = -abs(x);
  T y = minus + minus;
  y = y < Form<T>::flat ? Form<T>::flat : y;
  const Power<T> power(y);
  const T half = T(0.5) * power.scale(), t = power.less_one();
  const T half_u = (half - T(0.5)) + t * half, half_e = half + t * half;
  const bool large = y < T(-1.1);
  const T q = (large ? half_e : half_u) / ((T(0.5) + half) + t * half);
  const T size = large ? T(1) - T(2) * q : (half_u * q - t * half) - (half - T(0.5));
  const Bits sign = __builtin_bit_cast(Bits, x) & Form<T>::sign;
  return __builtin_bit_cast(T, Bits(__builtin_bit_cast(Bits, size) | sign));
}

}  // namespace m
