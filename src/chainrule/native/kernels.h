// What each instruction set's object offers.
#pragma once
#include "job.h"

struct Kernels {
  u64 (*arena_bytes)(Job &);
  i64 (*advance)(Job &, i64 epochs, double seconds);
  double (*cost_and_gradient)(Job &);
  double (*evaluate)(Job &, void *outputs);
  void (*apply)(i64 function, i64 width, const void *x, void *y, i64 n);
};
