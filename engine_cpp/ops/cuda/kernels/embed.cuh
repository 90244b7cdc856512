// The embedding of a shard of the vocabulary: the owner writes the row, the others zeros, and the sum joins them.
#pragma once

#include "ops/cuda/gpu.h"

namespace qwen3::cuda {

// One block per row.
__global__ void embed_kernel(DeviceBatch batch, const gpu::bf16* __restrict__ table, int64_t first_token,
                             int64_t tokens, int64_t columns, float* __restrict__ hidden) {
    const auto row = static_cast<int64_t>(blockIdx.x);
    if (row >= batch.counts->rows) return;
    const int64_t token = batch.tokens[row] - first_token;
    const bool mine = token >= 0 && token < tokens;
    for (int64_t i = threadIdx.x; i < columns; i += blockDim.x)
        hidden[row * columns + i] = mine ? gpu::to_f32(table[token * columns + i]) : 0.0F;
}

}  // namespace qwen3::cuda
