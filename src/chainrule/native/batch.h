// A batch: which rows of the data it holds, and how they come into the arena.
#pragma once
#include "random.h"
#include "rows.h"

// The rows of a batch, or all of them: which, and their weights.
template <class T> struct Batch {
  const i64 *order;
  i64 first, n;
  const T *weights;  // of all rows, or null
  i64 row(i64 i) const { return order ? order[first + i] : first + i; }
  T weight(i64 i) const { return weights ? weights[row(i)] : T(1); }
  double total() const {
    double sum = 0;
    if (!weights) return double(n);
    EACH(i, n) sum += double(weight(i));
    return sum;
  }

  // Copy rows of X or Y into a block; `place` is that of the block's first row in the batch.
  template <i64 TURNED> void gather(const void *from, i64 place, Block<T, TURNED> to) const {
    EACH(i, to.n) {
      const T *x = (const T *)from + row(place + i) * to.units;
      EACH(k, to.units) to(i, k) = x[k];
    }
  }
};

// Memory from the arena, in order and aligned. Without an arena it is only counted.
struct Supply {
  u64 start, end;
  explicit Supply(void *arena) : start(u64(arena)), end(start) {}
  template <class T> T *take(i64 n) {
    const u64 at = end;
    end += (u64(n) * sizeof(T) + 63) / 64 * 64;
    return (T *)at;
  }
  u64 bytes() const { return end - start; }
};

// The first bad layer, and then what else was found not to be finite, is a fault's place.
template <class Finite>
static void locate(Job &job, i64 bad_layer, const Finite &gradient_finite) {
  job.fault_kind = IN_OUTPUTS, job.fault_layer = bad_layer;
  if (bad_layer < job.n_layers) return;
  job.fault_kind = IN_GRADIENT;
  for (i64 l = job.n_layers - 1; l >= 0; l--) {
    job.fault_layer = l;
    if (!gradient_finite(l)) return;
  }
  job.fault_kind = IN_LOSS, job.fault_layer = job.n_layers - 1;
}
