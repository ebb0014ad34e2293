// Random numbers as chainrule.randomness has them: a function of the seed and a place.
#pragma once
#include "plain.h"

namespace rnd {

constexpr u64 PHI = 0x9E3779B97F4A7C15;
constexpr u64 ROW_ORDER = 1, DROPOUT = 2;  // streams

INLINE u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

INLINE u64 key(u64 seed, u64 stream, u64 place) {
  const u64 k = mix(seed + PHI) ^ stream;
  return mix((mix(k + PHI) ^ place) + PHI);
}

INLINE u64 key(u64 seed, u64 stream, u64 place, u64 second) {
  u64 k = mix(seed + PHI) ^ stream;
  k = mix(k + PHI) ^ place;
  return mix((mix(k + PHI) ^ second) + PHI);
}

struct Entry {
  u64 word;
  i64 row;
};

// Sort by insertion: what is nearly in order takes one look.
static void settle(Entry *entries, i64 n) {
  for (i64 i = 1; i < n; i++) {
    const Entry e = entries[i];
    i64 j = i;
    for (; j > 0 && entries[j - 1].word > e.word; j--) entries[j] = entries[j - 1];
    entries[j] = e;
  }
}

// One pass of a stable sort, by 8 bits of the word.
static void spread(const Entry *from, Entry *to, i64 n, int shift) {
  i64 places[257] = {};
  for (i64 i = 0; i < n; i++) places[1 + (from[i].word >> shift & 255)]++;
  for (int b = 0; b < 256; b++) places[b + 1] += places[b];
  for (i64 i = 0; i < n; i++) to[places[from[i].word >> shift & 255]++] = from[i];
}

// Fill `order` with the order of n rows in an epoch: each gets a random word, and they are sorted
// by it, stably. The words are random, so their top bits nearly decide; insertion does the rest.
static void row_order(u64 seed, i64 epoch, i64 n, i64 *order) {
  Entry *entries = (Entry *)order, *room = entries + n;  // 4 n numbers in all
  const u64 stream = key(seed, ROW_ORDER, u64(epoch));
  for (i64 i = 0; i < n; i++) entries[i] = {mix(stream + u64(i + 1) * PHI), i};
  int passes = 0;
  while (passes < 6 && (i64(1) << (8 * passes)) < 4 * n && n > 32) passes++;
  for (int pass = passes; pass > 0; pass--) {
    spread(entries, room, n, 64 - 8 * pass);
    Entry *other = entries;
    entries = room, room = other;
  }
  settle(entries, n);
  for (i64 i = 0; i < n; i++) order[i] = entries[i].row;  // never ahead of what is read
}

// What is multiplied with: 1 / (1 − rate) at places that stay, and 0 at those that drop out.
template <class T> struct Mask {
  u64 stream, threshold;
  T kept;
  Mask(u64 stream, double rate) : stream(stream), kept(T(1.0 / (1.0 - rate))) {
    const double scaled = rate * 18446744073709551616.0;
    threshold = scaled >= 18446744073709551615.0 ? ~u64(0) : u64(scaled);
  }
  INLINE T operator()(i64 place) const {
    return mix(stream + u64(place + 1) * PHI) >= threshold ? kept : T(0);
  }
};

// Fill rows of `units` numbers with a mask: rows are `row_step` apart in memory, and units
// `unit_step`.
template <class T>
static void dropout_mask(u64 stream, double rate, i64 first, i64 rows, i64 units, T *to,
                         i64 row_step, i64 unit_step) {
  const Mask<T> mask(stream, rate);
  for (i64 i = 0; i < rows; i++)
    for (i64 k = 0; k < units; k++)
      to[i * row_step + k * unit_step] = mask((first + i) * units + k);
}

}  // namespace rnd
