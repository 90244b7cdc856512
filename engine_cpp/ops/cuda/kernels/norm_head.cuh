// The logits of a few wanted rows over a shard of the vocabulary.
#pragma once

#include "ops/cuda/kernels/gemv.cuh"

namespace qwen3::cuda {

template <int T>
__global__ void __launch_bounds__(kGemvThreads, kGemvBlocks)
    norm_head_kernel(GemvInput in, const gpu::bf16* __restrict__ head, int64_t rows, float* __restrict__ logits,
                     int64_t stride) {
    const int64_t unit = gemv_unit();
    const bool mine = unit < (rows + 1) / 2;
    const int64_t row = mine ? unit * 2 : 0;
    const bool both = row + 1 < rows;
    const gpu::bf16* row0 = head + row * in.columns;
    float sums[2][T];
    gemv<T>(in, row0, both ? row0 + in.columns : row0, sums);
    if (!mine) return;
    gemv_write<T>(in.count, sums, [&](int t, float a, float b) {
        logits[t * stride + row] = a;
        if (both) logits[t * stride + row + 1] = b;
    });
}

}  // namespace qwen3::cuda
