// Where a token's K and V lie, and which query heads share them.
#pragma once

#include "ops/cuda/gpu.h"

namespace qwen3::cuda {

// K of 64 tokens of one page, layer and local KV head, [64, dh]; V follows at + block values.
template <class T>
GPU_INLINE T* k_block(const KvPages& kv, int32_t page, int64_t layer, int64_t head) {
    const int64_t block = (static_cast<int64_t>(page) * kv.layers + layer) * kv.kv_heads + head;
    return reinterpret_cast<T*>(kv.data) + block * 2 * kPageTokens * kv.head_dim;
}
template <class T>
GPU_INLINE T* v_block(const KvPages& kv, int32_t page, int64_t layer, int64_t head) {
    return k_block<T>(kv, page, layer, head) + static_cast<int64_t>(kPageTokens) * kv.head_dim;
}

struct HeadRange {
    int begin;
    int end;
};

// The local query heads that use a local KV head.
GPU_INLINE HeadRange query_heads_of(const Heads& heads, int kv_head) {
    const int begin = kv_head * heads.group - heads.first_in_group;
    const int end = begin + heads.group;
    return {begin < 0 ? 0 : begin, end < heads.query_heads ? end : heads.query_heads};
}

}  // namespace qwen3::cuda
