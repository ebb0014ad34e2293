// Steps of networks of any width, in two phases. Phase 1 takes tiles of rows: gathered, forward,
// loss, and every δ back. Phase 2 takes tiles of weights: their gradient over all rows, in a fixed
// order, and the optimizer's update while the tile is hot. Who takes a tile changes no number, so
// the bits don't depend on the threads. Rows come in chunks, so that memory doesn't grow with them.
#pragma once
#include "batch.h"
#include "product.h"
#include "sparse.h"
#include "team.h"
#include "update.h"

constexpr i64 TILE_INPUTS = 96;
constexpr i64 GROUP = 6;            // rows that tiles of rows are made of
constexpr i64 FEW = 1 << 19;        // parameters of a layer, of which copies in panels cost little memory
constexpr i64 TILE_BYTES = 1 << 18; // bytes of a layer's rows that a tile may have, to stay in the cache

// Where one layer's numbers lie.
template <class T> struct Level {
  i64 n_in, n_out, in, out;  // sizes, and the distances between rows of so many
  Panels<T> as, turned_as;   // how parameters lie, biases as the last row; and the transpose
  T *w, *turned, *g, *slots[2], *mean;
  bool in_place;     // the slots lie where the state has them, as parameters do, not in panels
  T *z, *a, *delta;  // blocks of rows
  T *fed, *mask;     // and where something drops out
  i64 first_tile;

  i64 blocks() const { return (n_in + TILE_INPUTS - 1) / TILE_INPUTS; }
  i64 tiles() const { return as.count() * blocks(); }
};

// One tile of a layer's parameters: `count` rows of panel p from `first` on, the biases' too where
// they come next.
struct Tile {
  i64 l, p, first, inputs, count;
};

template <class T> struct Wide {
  Job &job;
  Team &team;
  Supply supply;
  Sparse<T> sparse;
  i64 rows, tiles = 0;  // rows at a time; tiles of parameters
  i64 groups = 0;       // of rows, most in a tile
  Level<T> *levels;
  T *input, *target, *share, *losses;
  double *squares, *clipped, *costs;  // of each tile: Σ g² before and after clipping, the penalty
  i64 held = -1;  // rows of an only batch that are in the arena already
  bool updated = false;

  Wide(Job &job, Team &team)
      : job(job), team(team), supply(job.arena), sparse(job), rows(chunk(job)) {
    levels = supply.take<Level<T>>(job.n_layers);
    i64 n_in = 0, n_out = 0;
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      Level<T> v = {};
      v.n_in = n_in = layer.n_in, v.n_out = n_out = layer.n_out;
      v.in = stride<T>(n_in), v.out = stride<T>(n_out);
      const bool fed = l > 0 || !sparse.here();  // from the arena
      const i64 fit = TILE_BYTES / (i64(sizeof(T)) * GROUP * ((fed ? v.in : 0) + 2 * v.out));
      if (l == 0 || fit < groups) groups = fit > 4 ? fit : 4;
      v.as = {n_in + 1, n_out}, v.turned_as = {whole<T>(n_out), n_in};
      v.w = supply.take<T>(v.as.size());
      if (l > 0) v.turned = supply.take<T>(v.turned_as.size());
      if (job.keep_gradient) v.g = supply.take<T>(v.as.size());
      v.in_place = v.as.size() > FEW;
      if (!v.in_place) EACH(s, job.slots_used) v.slots[s] = supply.take<T>(v.as.size());
      if (job.ema_decay > 0) v.mean = supply.take<T>(v.as.size());
      v.z = supply.take<T>(rows * v.out), v.a = supply.take<T>(rows * v.out);
      v.delta = supply.take<T>(rows * v.out);
      if (layer.dropout > 0 && fed)
        v.fed = supply.take<T>(rows * v.in), v.mask = supply.take<T>(rows * v.in);
      v.first_tile = tiles, tiles += v.tiles();
      if (job.arena) levels[l] = v;
    }
    sparse.take(supply, rows);
    input = sparse.here() ? nullptr : supply.take<T>(rows * stride<T>(job.layers[0].n_in));
    target = supply.take<T>(rows * stride<T>(n_out));
    share = supply.take<T>(rows), losses = supply.take<T>(rows);
    squares = supply.take<double>(tiles), clipped = supply.take<double>(tiles);
    costs = supply.take<double>(tiles);
  }

  static i64 chunk(const Job &job) {
    const i64 batch = (job.batch_size + GROUP - 1) / GROUP * GROUP;
    return batch > CHUNK ? CHUNK : (batch < 48 ? 48 : batch);
  }

  // Take over the parameters, and with `training` what the optimizer remembers of them.
  void begin(bool training) {
    i64 at = 0;
    EACH(l, job.n_layers) {
      Level<T> &v = levels[l];
      v.as.pack((const T *)job.theta + at, v.w);
      if (training) EACH(s, job.slots_used) {
        T *slot = (T *)job.slots[s] + at;
        if (v.in_place) v.slots[s] = slot;
        else v.as.pack(slot, v.slots[s]);
      }
      if (training && v.mean) v.as.pack((const T *)job.average + at, v.mean);
      at += v.as.rows * v.as.columns;
    }
    team.each(tiles, [&](i64 i) { turn(tile_at(i)); });
  }

  // Give them back.
  void end() const {
    spread(&Level<T>::w, (T *)job.theta);
    if (job.ema_decay > 0) outcome((T *)job.average);
    i64 at = 0;
    EACH(l, job.n_layers) {
      const Level<T> &v = levels[l];
      if (!v.in_place) EACH(s, job.slots_used) v.as.unpack(v.slots[s], (T *)job.slots[s] + at);
      at += v.as.rows * v.as.columns;
    }
  }
  // Write the parameters that count: their average, where there is one.
  void outcome(T *to) const { spread(job.ema_decay > 0 ? &Level<T>::mean : &Level<T>::w, to); }
  void keep() const { outcome((T *)job.best_theta); }
  void gradient_to(T *to) const { spread(&Level<T>::g, to); }
  void spread(T *Level<T>::*which, T *to) const {
    EACH(l, job.n_layers) {
      const Level<T> &v = levels[l];
      v.as.unpack(v.*which, to);
      to += v.as.rows * v.as.columns;
    }
  }
  bool weights_finite(i64 l) const { return all_finite(levels[l].w, levels[l].as.size()); }
  bool weights_finite() const {
    bool fine = true;
    EACH(l, job.n_layers) fine = fine && weights_finite(l);
    return fine;
  }

  // Fill the gradient, and where nothing has to be known of it first, update; return the cost,
  // penalty included. `t` is the update, 0 for none.
  double gradient(const Batch<T> &batch, const Moment &now, double &worst) {
    const bool steps = now.t > 0;
    updated = steps && batch.n <= rows && !(job.clip_norm > 0);
    double cost = 0;
    for (i64 first = 0; first < batch.n; first += rows) {
      const i64 n = pass(batch, first, now, true);
      EACH(i, n) cost += double(share[i]) * double(losses[i]);
      if (job.every_row && steps)
        EACH(i, n) if (share[i] > 0 && double(losses[i]) > worst) worst = double(losses[i]);
      const bool last = first + n >= batch.n;
      updated = updated && finite(cost);
      team.each(tiles, [&](i64 i) { descend(i, n, now, first > 0, last); });
    }
    EACH(i, tiles) cost += job.penalised ? costs[i] : 0.0;
    return cost;
  }

  // Return Σ g² of layer l.
  double square(i64 l) const { return total(squares, l); }
  double total(const double *each, i64 l) const {
    double sum = 0;
    EACH(i, levels[l].tiles()) sum += each[levels[l].first_tile + i];
    return sum;
  }

  // Apply the optimizer's rule, if the last gradient did not already.
  void update(const Moment &now) {
    if (updated) return;
    double sum = 0;
    EACH(l, job.n_layers) sum += total(clipped, l);
    const double factor = clip_factor(job, sum);
    team.each(tiles, [&](i64 i) {
      const Tile tile = tile_at(i);
      T *g = levels[tile.l].g + place(tile);
      if (factor < 1) EACH(k, tile.count * width(tile)) g[k] *= T(factor);
      apply(tile, g, now);
    });
  }

  // Say where the first number that is not finite arose.
  void locate_fault(const Batch<T> &batch, const Moment &now) {
    i64 bad = job.n_layers;
    if (batch.n <= rows) bad = first_bad_layer(batch.n);
    else for (i64 first = 0; first < batch.n; first += rows) {
      const i64 here = first_bad_layer(pass(batch, first, now));
      bad = here < bad ? here : bad;
    }
    locate(job, bad, [&](i64 l) { return finite(square(l)); });
  }

  // Run a chunk of a batch, from its row `first` on, forward and maybe back; return its rows.
  i64 pass(const Batch<T> &batch, i64 first, const Moment &now, bool back = false) {
    const i64 n = batch.n - first < rows ? batch.n - first : rows;
    i64 bounds[CHUNK / GROUP + 2];
    const i64 count = deal(n, bounds);
    const bool held = job.only_batch && this->held == n;
    if (sparse.here() && !held) sparse.find(batch, first, n, now);
    team.each(count, [&](i64 i) {
      const i64 tile = count - 1 - i, at = bounds[tile], here = bounds[tile + 1] - at;
      load(batch, first, at, here, now, held);
      forward(at, here, now.t > 0);
      if (back) backward(at, here, now.t > 0);
    });
    if (sparse.here() && back && (!held || sparse.drops(now))) {
      const i64 pieces = team.board ? 2 * job.threads : 1;
      team.each(pieces, [&](i64 i) { sparse.turn(n, i, pieces); });
    }
    this->held = back && batch.n <= rows ? n : -1;
    return n;
  }

  // Cut n rows into tiles, each as large as the cache allows; for more threads large ones first, and
  // small ones at the end, so that nobody waits long.
  i64 deal(i64 n, i64 *bounds) const {
    const i64 all = (n + GROUP - 1) / GROUP;
    i64 count = 0, done = 0;
    while (done < all) {
      bounds[count++] = done * GROUP;
      const i64 share = team.board ? (all - done) / (2 * job.threads) : groups;
      done += share < 2 ? 2 : (share < groups ? share : groups);
    }
    bounds[count] = n;
    return count;
  }

  Block<T, false> block(T *at, i64 n, i64 units, i64 step) const { return {at, n, units, step}; }
  Block<const T, false> seen(const T *at, i64 n, i64 units, i64 step) const {
    return {at, n, units, step};
  }

  // Bring n rows of a batch into the arena, from row `at` on; `first` is the place of row 0.
  void load(const Batch<T> &batch, i64 first, i64 at, i64 n, const Moment &now, bool held) {
    const i64 in = levels[0].in, out = levels[job.n_layers - 1].out;
    if (!held) {
      if (!sparse.here())
        batch.gather(job.X, first + at, block(input + at * in, n, levels[0].n_in, in));
      const i64 units = levels[job.n_layers - 1].n_out;
      batch.gather(job.Y, first + at, block(target + at * out, n, units, out));
      EACH(i, n) share[at + i] = batch.weight(first + at + i) / T(now.total);
    }
    if (sparse.here()) sparse.drop(batch, first, at, n, now);
    if (now.t > 0) EACH(l, job.n_layers) {
      if (!levels[l].mask) continue;
      const Level<T> &v = levels[l];
      const u64 stream = rnd::key(u64(job.seed), rnd::DROPOUT, u64(now.t), u64(l));
      rnd::dropout_mask<T>(stream, job.layers[l].dropout, first + at, n, v.n_in,
                           v.mask + at * v.in, v.in, 1);
    }
  }

  // What layer l is fed, before and after something drops out.
  const T *feeds(i64 l) const { return l ? levels[l - 1].a : input; }
  const T *fed(i64 l, bool dropping) const {
    return dropping && job.layers[l].dropout > 0 ? levels[l].fed : feeds(l);
  }

  // Run n rows of the arena, from `at` on, forward.
  void forward(i64 at, i64 n, bool dropping) {
    EACH(l, job.n_layers) {
      const Layer &layer = job.layers[l];
      const Level<T> &v = levels[l];
      if (dropping && v.mask)
        for (i64 i = at * v.in; i < (at + n) * v.in; i++) v.fed[i] = feeds(l)[i] * v.mask[i];
      if (l == 0 && sparse.here()) sparse.forward(at, n, v.w, v.as, v.z, v.out);
      else multiply<T>(n, v.n_in, fed(l, dropping) + at * v.in, v.in, v.w, v.as, true,
                       v.z + at * v.out, v.out);
      activate(layer, seen(v.z + at * v.out, n, v.n_out, v.out),
               block(v.a + at * v.out, n, v.n_out, v.out));
    }
  }

  Output<T, false> output(i64 at, i64 n) const {
    const Level<T> &v = levels[job.n_layers - 1];
    const i64 skip = at * v.out;
    return {v.z + skip, v.a + skip, target + skip, v.delta + skip, n, v.n_out, v.out, share + at,
            losses + at};
  }

  // Fill each row's loss and, where asked, δ of the output layer; return the layer's block.
  Output<T, false> judge_rows(i64 at, i64 n, bool with_delta) {
    const Output<T, false> o = output(at, n);
    judge(job, o, with_delta);
    return o;
  }

  // Run n rows back through the layers: BP1, then BP2.
  void backward(i64 at, i64 n, bool dropping) {
    const Output<T, false> o = judge_rows(at, n, true);
    EACH(i, n) {
      T *delta = o.delta().line(i);
      for (i64 k = o.units; k < o.step; k++) delta[k] = 0;  // what only pads
    }
    for (i64 l = job.n_layers - 1; l > 0; l--) {
      const Level<T> &v = levels[l], &u = levels[l - 1];
      T *g = u.delta + at * u.out;
      multiply<T>(n, v.n_out, v.delta + at * v.out, v.out, v.turned, v.turned_as, false, g, u.out);
      if (dropping && job.layers[l].dropout > 0) EACH(i, n * u.out) g[i] *= v.mask[at * u.out + i];
      pull_back(job.layers[l - 1], block(g, n, u.n_out, u.out),
                seen(u.z + at * u.out, n, u.n_out, u.out),
                seen(u.a + at * u.out, n, u.n_out, u.out));
    }
  }

  Tile tile_at(i64 index) const {
    i64 l = 0;
    while (l + 1 < job.n_layers && index >= levels[l + 1].first_tile) l++;
    const Level<T> &v = levels[l];
    index -= v.first_tile;
    const i64 first = index / v.as.count() * TILE_INPUTS, left = v.n_in - first;
    const i64 inputs = left < TILE_INPUTS ? left : TILE_INPUTS;
    return {l, index % v.as.count(), first, inputs, inputs + (inputs == left)};
  }
  i64 width(const Tile &tile) const { return levels[tile.l].as.width(tile.p); }
  i64 place(const Tile &tile) const {  // in its layer's panels
    return levels[tile.l].as.at(tile.p) + tile.first * width(tile);
  }

  // Write, or add to, one tile of the gradient from all n rows in the arena, BP3 and BP4; after the
  // last chunk measure it, and update its parameters if that can be done by now.
  void descend(i64 index, i64 n, const Moment &now, bool add, bool last) {
    T buffer[(TILE_INPUTS + 1) * PANEL<T>];
    const Tile tile = tile_at(index);
    const Level<T> &v = levels[tile.l];
    const i64 wide = width(tile);
    T *g = job.keep_gradient ? v.g + place(tile) : buffer;
    const T *d = v.delta + tile.p * PANEL<T>;
    if (tile.l == 0 && sparse.here())
      sparse.gradient(tile.first, tile.inputs, v.as.vectors(tile.p), d, v.out, add, g);
    else
      multiply_down<T>(tile.inputs, v.as.vectors(tile.p), n, fed(tile.l, now.t > 0) + tile.first,
                       v.in, d, v.out, add, g, wide);
    if (tile.count > tile.inputs) {
      T *db = g + tile.inputs * wide, sum[PANEL<T>] = {};
      EACH(i, n) EACH(k, wide) sum[k] += d[i * v.out + k];
      EACH(k, wide) db[k] = sum[k] + (add ? db[k] : T(0));
    }
    if (last) measure(index, tile, g, now);
    if (last && updated) apply(tile, g, now);
  }

  // Add the penalty to a tile of the gradient, note its cost and Σ g², and clip.
  void measure(i64 index, const Tile &tile, T *g, const Moment &now) {
    const i64 count = tile.count * width(tile);
    if (job.penalised) {
      const i64 weights = tile.inputs * width(tile);
      costs[index] = penalise(job, levels[tile.l].w + place(tile), g, weights, count, now.total);
    }
    squares[index] = sum_of_squares(g, count);
    if (now.t == 0) return;
    if (job.clip_value > 0) clip_value(job, g, count);
    if (job.clip_norm > 0)
      clipped[index] = job.clip_value > 0 ? sum_of_squares(g, count) : squares[index];
  }

  // Apply the optimizer's rule to a tile.
  void apply(const Tile &tile, const T *g, const Moment &now) {
    const Level<T> &v = levels[tile.l];
    const i64 at = place(tile), wide = width(tile), used = v.as.used(tile.p);
    T *w = v.w + at;
    let_decay(job, now, w, tile.inputs * wide);
    T room[2][(TILE_INPUTS + 1) * PANEL<T>], *slots[2] = {};
    EACH(s, job.slots_used) {
      slots[s] = v.in_place ? room[s] : v.slots[s] + at;
      if (v.in_place) v.as.pack(tile.p, tile.first, tile.count, v.slots[s], slots[s]);
    }
    take_step<T>(job, now, w, g, slots[0], slots[1], tile.count * wide);
    if (v.in_place)
      EACH(s, job.slots_used) v.as.unpack(tile.p, tile.first, tile.count, slots[s], v.slots[s]);
    if (used < wide)  // what pads stays zero, whatever the rule makes of a gradient of zero
      EACH(i, tile.count) for (i64 k = used; k < wide; k++) w[i * wide + k] = 0;
    average(job, now, v.mean + at, w, tile.count * wide);
    turn(tile);
  }

  // Bring a tile's weights into the transpose, which the way back reads.
  void turn(const Tile &tile) {
    const Level<T> &v = levels[tile.l];
    if (tile.l == 0) return;
    v.turned_as.turn_in(tile.first, tile.inputs, v.w + place(tile), width(tile), tile.p, v.turned);
  }

  // Return the first layer whose z or a holds a number that is not finite; else how many there are.
  i64 first_bad_layer(i64 n) const {
    EACH(l, job.n_layers) {
      const Level<T> &v = levels[l];
      EACH(i, n)
        if (!all_finite(v.z + i * v.out, v.n_out) || !all_finite(v.a + i * v.out, v.n_out)) return l;
    }
    return job.n_layers;
  }

  // Write the outputs of rows `first` on, of those that a pass has just brought forward; return the
  // sum of their losses by weight.
  double outputs(const Batch<T> &batch, i64 first, i64 n, T *to) {
    const Output<T, false> o = judge_rows(0, n, false);
    double sum = 0;
    EACH(i, n) sum += double(batch.weight(first + i)) * double(losses[i]);
    EACH(i, n) EACH(k, o.units) to[i * o.units + k] = o.a()(i, k);
    return sum;
  }
};
