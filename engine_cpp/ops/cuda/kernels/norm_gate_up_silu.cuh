// The first half of the MLP for a few rows: RMSNorm, gate, up and SiLU in one launch.
#pragma once

#include "ops/cuda/kernels/gemv.cuh"

namespace qwen3::cuda {

// A unit is one neuron: its row of gate and its row of up.
template <int T>
__global__ void __launch_bounds__(kGemvThreads, kGemvBlocks)
    norm_gate_up_silu_kernel(GemvInput in, const gpu::bf16* __restrict__ gate, const gpu::bf16* __restrict__ up,
                             int64_t neurons, float* __restrict__ act) {
    const int64_t unit = gemv_unit();
    const bool mine = unit < neurons;
    const int64_t first = (mine ? unit : 0) * in.columns;
    float sums[2][T];
    gemv<T>(in, gate + first, up + first, sums);
    if (!mine) return;
    gemv_write<T>(in.count, sums, [&](int t, float g, float u) { act[t * neurons + unit] = silu(g) * u; });
}

}  // namespace qwen3::cuda
