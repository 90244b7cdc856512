// A projection of a few rows that adds to the hidden state: o_proj and down_proj.
#pragma once

#include "ops/cuda/kernels/gemv.cuh"

namespace qwen3::cuda {

template <int T>
__global__ void __launch_bounds__(kGemvThreads, kGemvBlocks)
    project_residual_kernel(GemvInput in, const gpu::bf16* __restrict__ weight, int64_t rows, bool residual,
                            float* hidden) {
    const int64_t unit = gemv_unit();
    const bool mine = unit < (rows + 1) / 2;
    const int64_t row = mine ? unit * 2 : 0;
    const bool both = row + 1 < rows;
    const gpu::bf16* row0 = weight + row * in.columns;
    float sums[2][T];
    gemv<T>(in, row0, both ? row0 + in.columns : row0, sums);
    if (!mine) return;
    gemv_write<T>(in.count, sums, [&](int t, float a, float b) {
        float* out = hidden + t * rows + row;
        out[0] = residual ? out[0] + a : a;
        if (both) out[1] = residual ? out[1] + b : b;
    });
}

}  // namespace qwen3::cuda
