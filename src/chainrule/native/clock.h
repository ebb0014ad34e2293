// A clock that only goes forward.
#pragma once
#ifdef _WIN32
extern "C" int QueryPerformanceCounter(long long *);
extern "C" int QueryPerformanceFrequency(long long *);
static inline double now() {
  long long count, frequency;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&frequency);
  return double(count) / double(frequency);
}
#else
#include <time.h>
static inline double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}
#endif
