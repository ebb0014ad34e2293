// What each instruction set's object offers.
#pragma once
#include "net.h"

struct Kernels {
  u64 (*arena_bytes)(Job &);
  i64 (*advance)(Job &, i64 epochs, double seconds);
  double (*cost_and_gradient)(Job &);
  double (*evaluate)(Job &, void *outputs);
  i64 (*predict)(const Net &, i64 rows, i64 threads, const Inputs &, void *outputs, i64 out_row,
                 void *mirrored, void *room);
  i64 (*pull_back)(const Net &, i64 rows, i64 each, i64 threads, const void *X, const void *G,
                   i64 at_z, void *D, void *room);
  void (*apply)(i64 function, i64 width, const void *x, void *y, i64 n);
};
