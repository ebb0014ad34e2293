// Plain types, and what a formula takes and gives.
#pragma once

typedef int i32;
typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;

#define INLINE inline __attribute__((always_inline))
#define APART static __attribute__((noinline))  // rare, and no burden to who calls it

template <class T> struct Slots { T each[2]; };  // what an optimizer remembers of one parameter
template <class T> struct Step { T w; Slots<T> slots; };
