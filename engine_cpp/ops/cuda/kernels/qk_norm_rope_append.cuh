// RMSNorm per head and RoPE of queries and keys; keys and values go straight into their page.
#pragma once

#include "ops/cuda/kernels/numeric.cuh"
#include "ops/cuda/kernels/pages.cuh"

namespace qwen3::cuda {

constexpr int kRopeWarps = 4;

// One warp per head, query heads before KV heads. Grid: rows, heads / kRopeWarps; kRopeWarps * 32 threads.
template <class KV>
__global__ void qk_norm_rope_append_kernel(DeviceBatch batch, KvPages kv, Heads heads, int64_t layer,
                                           const float* __restrict__ q_norm, float q_epsilon,
                                           const float* __restrict__ k_norm, float k_epsilon, float* __restrict__ q,
                                           const float* __restrict__ k, const float* __restrict__ v) {
    constexpr int kPairs = kMaxHeadDim / 2 / 32;  // of a lane
    const auto row = static_cast<int64_t>(blockIdx.x);
    const int head = static_cast<int>(blockIdx.y * kRopeWarps + threadIdx.x / 32);
    if (row >= batch.counts->rows || head >= heads.query_heads + heads.kv_heads) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int kv_head = head - heads.query_heads;  // negative: a query
    const bool is_query = kv_head < 0;
    const int dh = heads.head_dim;
    const int half = dh / 2;

    const float* in = is_query ? q + (row * heads.query_heads + head) * dh : k + (row * heads.kv_heads + kv_head) * dh;
    float first[kPairs], second[kPairs];
    float squares = 0.0F;
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
        const int i = p * 32 + lane;
        first[p] = i < half ? in[i] : 0.0F;
        second[p] = i < half ? in[i + half] : 0.0F;
        squares += first[p] * first[p] + second[p] * second[p];
    }
    const float epsilon = is_query ? q_epsilon : k_epsilon;
    const float scale = gpu::inverse_sqrt(warp_sum(squares) / static_cast<float>(dh) + epsilon);

    const float* norm = is_query ? q_norm : k_norm;
    const float* cos = batch.cos + row * half;
    const float* sin = batch.sin + row * half;
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
        const int i = p * 32 + lane;
        if (i >= half) continue;
        const float a = first[p] * scale * norm[i];
        const float b = second[p] * scale * norm[i + half];
        first[p] = a * cos[i] - b * sin[i];
        second[p] = b * cos[i] + a * sin[i];
    }

    if (is_query) {
        float* out = q + (row * heads.query_heads + head) * dh;
#pragma unroll
        for (int p = 0; p < kPairs; ++p) {
            const int i = p * 32 + lane;
            if (i >= half) continue;
            out[i] = first[p];
            out[i + half] = second[p];
        }
        return;
    }
    const int32_t position = batch.positions[row];
    const int32_t page = batch.pages[batch.sequences[batch.row_sequence[row]].first_page + position / kPageTokens];
    const int64_t slot = static_cast<int64_t>(position % kPageTokens) * dh;
    KV* keys = k_block<KV>(kv, page, layer, kv_head) + slot;
    KV* values = v_block<KV>(kv, page, layer, kv_head) + slot;
    const float* value = v + (row * heads.kv_heads + kv_head) * dh;
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
        const int i = p * 32 + lane;
        if (i >= half) continue;
        keys[i] = gpu::from_f32<KV>(first[p]);
        keys[i + half] = gpu::from_f32<KV>(second[p]);
        values[i] = gpu::from_f32<KV>(value[i]);
        values[i + half] = gpu::from_f32<KV>(value[i + half]);
    }
}

}  // namespace qwen3::cuda
