// A network as a call of `predict` or `pull_back_rows` is given it; native/predict.py fills it.
#pragma once
#include "job.h"

struct Net {
  i64 width;  // bytes of a number: 4 or 8
  i64 isa;
  i64 n_layers;
  const Layer *layers;
  const void *const *parameters;  // of each layer W, then b, where the user's arrays are
};

// Rows of inputs: dense, or sparse with X being what is not zero, as in a job.
struct Inputs {
  const void *X;
  const i64 *starts;
  const i32 *columns;
};

// What came of it; after anything but FINE the outputs are not to be used. A number below says how many
// bytes of room the call wants, to be made again with.
enum Outcome { FINE, ODD_INPUTS, ODD_OUTPUTS };
