// What stands between two GEMMs of a library: rounding, and SiLU of the gate times up.
#pragma once

#include "ops/cuda/kernels/numeric.cuh"

namespace qwen3::cuda {

// Any grid.
__global__ void to_bf16_kernel(DeviceBatch batch, const float* __restrict__ x, int64_t columns,
                               gpu::bf16* __restrict__ out) {
    const int64_t values = batch.counts->rows * columns;
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < values; i += step)
        out[i] = gpu::round_bf16(x[i]);
}

// Any grid. `out` may be `gate`.
__global__ void silu_mul_kernel(DeviceBatch batch, const float* gate, const float* __restrict__ up, int64_t columns,
                                float* out) {
    const int64_t values = batch.counts->rows * columns;
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < values; i += step)
        out[i] = silu(gate[i]) * up[i];
}

}  // namespace qwen3::cuda
