// The pool: threads that are started when first needed and outlive the call. Nothing in here may be
// compiled for two instruction sets under one name, so all is static or defined in pool.cpp.
#pragma once
#include "plain.h"

constexpr int MOST_HELPERS = 63;

// Where a call posts its work, for as many threads as watch it. A piece that was claimed is done
// before the call posts again, so what lies here belongs to it, however late a thread looks.
struct alignas(64) Board {
  u64 left;  // pieces that nobody has claimed
  u64 done;
  void (*work)(void *, i64);
  void *of;
};

// Take pieces while there are any; return whether there were.
static inline bool take(Board &board) {
  u64 left = __atomic_load_n(&board.left, __ATOMIC_RELAXED);
  const bool any = left > 0;
  while (left) {
    if (!__atomic_compare_exchange_n(&board.left, &left, left - 1, true, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
      continue;
    board.work(board.of, i64(left) - 1);
    __atomic_fetch_add(&board.done, 1, __ATOMIC_RELEASE);
    left = __atomic_load_n(&board.left, __ATOMIC_RELAXED);
  }
  return any;
}

// Have up to `wanted` idle threads watch a board, and return it; null where none is idle.
Board *borrow(i64 wanted);
void give_back(Board *);
