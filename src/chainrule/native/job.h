// The job: everything a call needs, in one structure that engine/native.py fills. All members are
// eight bytes wide, so there is no padding that two languages could disagree on.
#pragma once
#include "plain.h"

constexpr i64 ACTIVATION_SETTINGS = 4, LOSS_SETTINGS = 128, SETTINGS = 8;
constexpr i64 RECORD = 6;  // the COLUMNS of engine/contract.py; then the layers' norms
constexpr i64 CHUNK = 264;  // most rows that are in the arena at one time

struct Layer {
  i64 n_in, n_out, activation;
  double settings[ACTIVATION_SETTINGS];
  double dropout;  // share of what the layer is fed that drops out
};

struct Job {
  i64 width;  // bytes of a number: 4 or 8
  i64 isa;
  i64 threads;
  i64 n_layers;
  const Layer *layers;
  // rows
  i64 rows;
  const void *X, *Y, *weights;  // weights may be null: all 1
  const i64 *starts;  // of sparse rows, X then being what is not zero: where each begins, or null
  const i32 *columns; // and the columns, of a row in order, each once
  i64 chunk_nonzeros; // no CHUNK rows hold more
  // plan
  i64 batch_size, epochs, shuffle, every_row, seed;
  i64 loss, canonical, optimizer, slots_used, schedule;
  double loss_settings[LOSS_SETTINGS], optimizer_settings[SETTINGS], schedule_settings[SETTINGS];
  double penalty[SETTINGS];
  i64 penalised;
  i64 keep_gradient;  // whole, in the arena: for its norm, for more rows than fit, for L-BFGS
  double clip_value, clip_norm, stop_below;  // <= 0: none
  double weight_decay, ema_decay;            // 0: none
  // parameters and state
  void *theta, *gradient, *slots[2];
  void *average;  // of theta over the updates, where ema_decay asks for it
  double *norm_squares;
  i64 t, epoch, batch, epoch_updates;
  double loss_sum, weight_sum, worst_row, seconds, plateau;
  double best;  // lowest loss of an epoch so far, and whose; then the parameters at its end (their
                // average, where there is one), or null
  i64 best_epoch;
  void *best_theta;
  // what comes back
  double *records;  // room for those asked for, and one more
  i64 every;        // of so many epochs one is recorded, and the last
  i64 kept;         // records, but for a last one that is there only until the next
  i64 completed;    // epochs
  i64 fault_kind, fault_layer;
  // memory to work in
  void *arena;
  i64 *order;  // 4 * rows: the order of the epoch, and room to sort
  i64 order_epoch;  // whose order that is; -2 for none
  i64 only_batch;  // every batch is the same
  i64 wide;  // take the steps for any width, where those for tiny networks would do too
};

enum Event { EPOCHS, TIME, THRESHOLD, FAULT };
enum Place { IN_OUTPUTS, IN_GRADIENT, IN_LOSS, IN_WEIGHTS };
