// Queries, keys and values of a few rows: RMSNorm and three projections in one launch.
#pragma once

#include "ops/cuda/kernels/gemv.cuh"

namespace qwen3::cuda {

struct Projection {
    const gpu::bf16* weight;  // [rows, columns]
    int64_t rows;
    float* out;               // [vectors, rows]
};

// A unit is two successive rows of one projection; units of q come before those of k and v.
template <int T>
__global__ void __launch_bounds__(kGemvThreads, kGemvBlocks)
    norm_qkv_kernel(GemvInput in, Projection q, Projection k, Projection v) {
    const int64_t k_units = (q.rows + 1) / 2;  // where the units of k begin
    const int64_t v_units = k_units + (k.rows + 1) / 2;
    const int64_t unit = gemv_unit();
    const Projection p = unit < k_units ? q : unit < v_units ? k : v;
    const int64_t pair = unit < k_units ? unit : unit < v_units ? unit - k_units : unit - v_units;
    const bool mine = pair < (p.rows + 1) / 2;
    const int64_t row = mine ? pair * 2 : 0;
    const bool both = row + 1 < p.rows;
    const gpu::bf16* row0 = p.weight + row * in.columns;
    float sums[2][T];
    gemv<T>(in, row0, both ? row0 + in.columns : row0, sums);
    if (!mine) return;
    gemv_write<T>(in.count, sums, [&](int t, float a, float b) {
        p.out[t * p.rows + row] = a;
        if (both) p.out[t * p.rows + row + 1] = b;
    });
}

}  // namespace qwen3::cuda
