// RMSNorm of whole rows, rounded to bf16: the input of a library's GEMM.
#pragma once

#include "ops/cuda/kernels/numeric.cuh"

namespace qwen3::cuda {

// One block of whole warps per output row. `index` (may be null) says which row of x an output row is made of.
__global__ void rms_norm_kernel(const int32_t* count, const int32_t* index, const float* __restrict__ x,
                                const float* __restrict__ weight, float epsilon, int64_t columns,
                                gpu::bf16* __restrict__ out) {
    const auto row = static_cast<int64_t>(blockIdx.x);
    if (row >= *count) return;
    const float* in = x + (index ? index[row] : row) * columns;
    float squares = 0.0F;
    for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) squares += in[i] * in[i];
    const float scale = gpu::inverse_sqrt(block_sum(squares) / static_cast<float>(columns) + epsilon);
    for (int64_t i = threadIdx.x; i < columns; i += blockDim.x)
        out[row * columns + i] = gpu::round_bf16(in[i] * scale * weight[i]);
}

}  // namespace qwen3::cuda
