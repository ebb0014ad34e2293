// The library's plain C interface, and the choice of the instruction set.
#include "kernels.h"
#include "system.h"
namespace {
#include "maths.h"
#include "formulas.h"
}

#ifdef _WIN32
extern "C" int __stdcall DllMainCRTStartup(void *, unsigned, void *) { return 1; }  // no C library
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

extern const Kernels kernels_base;
#ifdef HAS_V3
extern const Kernels kernels_v3;
#include <cpuid.h>

// Tell whether processor and operating system have AVX2, FMA and what else x86-64-v3 means.
static bool has_v3() {
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  const unsigned needed = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
  if ((c & needed) != needed) return false;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 6) != 6) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const unsigned more = bit_AVX2 | bit_BMI | bit_BMI2;
  if ((b & more) != more) return false;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & (1u << 5));  // lzcnt
}
#endif

// Return the kernels of an instruction set, or null where the processor lacks it.
static const Kernels *kernels(i64 isa) {
  if (isa == 0) return &kernels_base;
#ifdef HAS_V3
  if (isa == 1 && has_v3()) return &kernels_v3;
#endif
  return nullptr;
}

EXPORT const char *chainrule_formulas() { return FORMULA_NAMES; }
EXPORT const char *chainrule_sources() { return SOURCES; }
EXPORT i64 chainrule_job_bytes() { return sizeof(Job); }
EXPORT i64 chainrule_has(i64 isa) { return kernels(isa) != nullptr; }
EXPORT u64 chainrule_arena_bytes(Job *job) { return kernels(job->isa)->arena_bytes(*job); }
EXPORT i64 chainrule_advance(Job *job, i64 epochs, double seconds) {
  return kernels(job->isa)->advance(*job, epochs, seconds);
}
// Advance jobs one after the other; those whose turn comes when the time is over are left as they are.
EXPORT void chainrule_advance_each(Job *const *jobs, const i64 *epochs, i64 *events, i64 count,
                                   double seconds) {
  const double end = now() + seconds;
  for (i64 i = 0; i < count; i++) {
    const double left = end - now();
    events[i] = left > 0 ? chainrule_advance(jobs[i], epochs[i], left) : i64(TIME);
  }
}
EXPORT double chainrule_cost_and_gradient(Job *job) {
  return kernels(job->isa)->cost_and_gradient(*job);
}
EXPORT double chainrule_evaluate(Job *job, void *outputs) {
  return kernels(job->isa)->evaluate(*job, outputs);
}
EXPORT i64 chainrule_predict(const Net *net, i64 rows, i64 threads, const void *X,
                             const i64 *starts, const i32 *columns, void *outputs, i64 out_row,
                             void *mirrored, void *room) {
  const Inputs inputs = {X, starts, columns};
  return kernels(net->isa)->predict(*net, rows, threads, inputs, outputs, out_row, mirrored, room);
}
EXPORT i64 chainrule_pull_back(const Net *net, i64 rows, i64 each, i64 threads, const void *X,
                               const void *G, i64 at_z, void *D, void *room) {
  return kernels(net->isa)->pull_back(*net, rows, each, threads, X, G, at_z, D, room);
}
EXPORT void chainrule_apply(i64 isa, i64 function, i64 width, const void *x, void *y, i64 n) {
  kernels(isa)->apply(function, width, x, y, n);
}
