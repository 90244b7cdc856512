// Attention of single rows, the context split among blocks: one read of K and V serves every query head of the group.
// Takes any even head_dim and either type of pages, so it is also what rows of longer sequences fall back to.
#pragma once

#include "ops/cuda/kernels/numeric.cuh"
#include "ops/cuda/kernels/pages.cuh"

namespace qwen3::cuda {

constexpr int kMaxSplits = 32;  // lanes of a warp: one lane of the combining kernel per split
constexpr int kDecodeWarps = 4;
constexpr int kDecodeThreads = kDecodeWarps * 32;
constexpr int kDecodeKeys = 4;      // keys that a group of lanes reads at once
constexpr int kLeastSplit = 128;    // tokens; a smaller part of the context is not worth a block
constexpr float kNoScore = -1e30F;  // below every score, and finite: differences of it are no NaN

// Tokens of one split of a context: from its length and the launch's splits alone.
GPU_INLINE int split_tokens(int context, int splits) {
    const int even = (context + splits - 1) / splits;
    const int pages = (even + kPageTokens - 1) / kPageTokens * kPageTokens;
    return larger(pages, kLeastSplit);
}

// What the splits of one slot and query head found: the largest score (base 2), the sum of weights relative to it, and
// the sum of weighted values.
struct SplitResults {
    float2* stats;  // [slots, query heads, splits] of {largest, sum}
    float* values;  // [slots, query heads, splits, dh]
    int splits;

    GPU_INLINE int64_t index(int64_t slot, const Heads& heads, int head, int split) const {
        return (slot * heads.query_heads + head) * splits + split;
    }
};

// What a block works for. A slot is a row of the batch or, with `only_single`, a sequence: those of several rows are
// left to the other kernel then, and workspace is needed for sequences alone.
struct DecodeRow {
    int64_t row;
    int context;  // tokens; 0: nothing to do
    const int32_t* pages;
};

GPU_INLINE DecodeRow decode_row(const DeviceBatch& batch, int slot, bool only_single) {
    if (slot >= (only_single ? batch.counts->sequences : batch.counts->rows)) return {0, 0, nullptr};
    const DeviceSequence sequence = batch.sequences[only_single ? slot : batch.row_sequence[slot]];
    if (only_single && sequence.rows != 1) return {0, 0, nullptr};
    const int row = only_single ? sequence.first_row : slot;
    return {row, batch.positions[row] + 1, batch.pages + sequence.first_page};
}

// The running softmax of one query head over the keys that a group of lanes has seen; a lane holds eight dimensions.
struct RunningSoftmax {
    float largest = kNoScore;
    float sum = 0.0F;
    float value[8] = {};

    // Makes room for scores up to `score`.
    GPU_INLINE void raise(float score) {
        const float next = fmaxf(largest, score);
        const float factor = gpu::fast_exp2(largest - next);
        sum *= factor;
#pragma unroll
        for (float& x : value) x *= factor;
        largest = next;
    }
    GPU_INLINE void add(float weight, const Eight& v) {
        sum += weight;
#pragma unroll
        for (int i = 0; i < 8; ++i) value[i] += weight * v.x[i];
    }
    // Takes in what the lane at `offset` holds of the same dimensions.
    GPU_INLINE void merge(int offset) {
        raise(__shfl_xor_sync(kAllLanes, largest, offset));
        sum += __shfl_xor_sync(kAllLanes, sum, offset);
#pragma unroll
        for (float& x : value) x += __shfl_xor_sync(kAllLanes, x, offset);
    }
};

template <int HEADS, int LANES>
constexpr size_t decode_smem_bytes() {
    return static_cast<size_t>(kDecodeWarps * HEADS * (LANES * 8 + 2)) * sizeof(float);
}

// Grid: splits, KV heads * chunks of HEADS query heads, slots. A key is read by LANES lanes (8 dimensions each), HEADS
// query heads are served at once.
template <class KV, int HEADS, int LANES>
__global__ void __launch_bounds__(kDecodeThreads, HEADS <= 2 ? 4 : 2)
    attention_decode_kernel(DeviceBatch batch, KvPages kv, Heads heads, int64_t layer, const float* __restrict__ q,
                            SplitResults results, bool only_single) {
    constexpr int kGroups = kDecodeThreads / LANES;  // of lanes
    const auto slot = static_cast<int>(blockIdx.z);
    const DecodeRow work = decode_row(batch, slot, only_single);
    const int64_t row = work.row;
    const auto split = static_cast<int>(blockIdx.x);
    const int tokens = split_tokens(work.context, results.splits);
    const int begin = split * tokens;
    const int end = smaller(begin + tokens, work.context);
    if (begin >= end) return;

    const int kv_head = static_cast<int>(blockIdx.y) % heads.kv_heads;
    const HeadRange group = query_heads_of(heads, kv_head);
    const int first_head = group.begin + static_cast<int>(blockIdx.y) / heads.kv_heads * HEADS;
    const int head_count = smaller(group.end - first_head, HEADS);
    if (head_count <= 0) return;  // a shard may hold only a part of a group

    const int dh = heads.head_dim;
    const bool whole = dh % 8 == 0;
    const int lane = static_cast<int>(threadIdx.x) % LANES;
    const int lanes = static_cast<int>(threadIdx.x) / LANES;  // which group of lanes
    const int dim = lane * 8;
    const bool has_dims = dim < dh;
    const float scale = kLog2E * gpu::inverse_sqrt(static_cast<float>(dh));

    Eight query[HEADS];
    RunningSoftmax state[HEADS];
#pragma unroll
    for (int h = 0; h < HEADS; ++h) {
        query[h] = {};
        if (h < head_count && has_dims)
            query[h] = unpack(load_eight(q + (row * heads.query_heads + first_head + h) * dh, dim, dh, whole));
#pragma unroll
        for (float& x : query[h].x) x *= scale;
    }

    for (int base = begin; base < end; base += kGroups * kDecodeKeys) {
        Packed<KV> keys[kDecodeKeys], values[kDecodeKeys];
#pragma unroll
        for (int n = 0; n < kDecodeKeys; ++n) {
            const int token = base + n * kGroups + lanes;
            keys[n] = values[n] = {};
            if (token >= end || !has_dims) continue;
            const int64_t slot = static_cast<int64_t>(token % kPageTokens) * dh;
            const int32_t page = work.pages[token / kPageTokens];
            keys[n] = load_eight(k_block<const KV>(kv, page, layer, kv_head) + slot, dim, dh, whole);
            values[n] = load_eight(v_block<const KV>(kv, page, layer, kv_head) + slot, dim, dh, whole);
        }
        float score[kDecodeKeys][HEADS];
#pragma unroll
        for (int n = 0; n < kDecodeKeys; ++n) {
            const Eight key = unpack(keys[n]);
#pragma unroll
            for (int h = 0; h < HEADS; ++h) {
                score[n][h] = 0.0F;
#pragma unroll
                for (int i = 0; i < 8; ++i) score[n][h] += query[h].x[i] * key.x[i];
#pragma unroll
                for (int offset = LANES / 2; offset > 0; offset >>= 1)
                    score[n][h] += __shfl_xor_sync(kAllLanes, score[n][h], offset);
                if (base + n * kGroups + lanes >= end) score[n][h] = -INFINITY;  // a weight of 0
            }
        }
#pragma unroll
        for (int h = 0; h < HEADS; ++h) {
            float largest = score[0][h];
#pragma unroll
            for (int n = 1; n < kDecodeKeys; ++n) largest = fmaxf(largest, score[n][h]);
            state[h].raise(largest);
        }
#pragma unroll
        for (int n = 0; n < kDecodeKeys; ++n) {
            const Eight value = unpack(values[n]);
#pragma unroll
            for (int h = 0; h < HEADS; ++h) state[h].add(gpu::fast_exp2(score[n][h] - state[h].largest), value);
        }
    }

    // Over the groups of a warp, then over the warps.
    GPU_DYN_SMEM(float, smem);
    constexpr int kRecord = LANES * 8 + 2;  // values, largest, sum
    const int warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
    for (int h = 0; h < HEADS; ++h) {
#pragma unroll
        for (int offset = LANES; offset < 32; offset <<= 1) state[h].merge(offset);
        float* record = smem + (warp * HEADS + h) * kRecord;
        if (threadIdx.x % 32 < LANES) {
#pragma unroll
            for (int i = 0; i < 8; ++i) record[dim + i] = state[h].value[i];
        }
        if (threadIdx.x % 32 == 0) {
            record[LANES * 8] = state[h].largest;
            record[LANES * 8 + 1] = state[h].sum;
        }
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < head_count * dh; i += kDecodeThreads) {
        const int h = i / dh;
        const float* record = smem + h * kRecord;
        constexpr int kNext = HEADS * kRecord;  // the next warp's
        float largest = kNoScore;
        for (int w = 0; w < kDecodeWarps; ++w) largest = fmaxf(largest, record[w * kNext + LANES * 8]);
        float sum = 0.0F;
        float value = 0.0F;
        for (int w = 0; w < kDecodeWarps; ++w) {
            const float factor = gpu::fast_exp2(record[w * kNext + LANES * 8] - largest);
            sum += factor * record[w * kNext + LANES * 8 + 1];
            value += factor * record[w * kNext + i % dh];
        }
        const int64_t index = results.index(slot, heads, first_head + h, split);
        results.values[index * dh + i % dh] = value;
        if (i % dh == 0) results.stats[index] = {largest, sum};
    }
}

// out [rows, query heads * dh] from the splits. Grid: query heads, slots; at least a warp.
__global__ void attention_combine_kernel(DeviceBatch batch, Heads heads, SplitResults results, bool only_single,
                                         float* __restrict__ out) {
    const auto slot = static_cast<int>(blockIdx.y);
    const auto head = static_cast<int>(blockIdx.x);
    const DecodeRow work = decode_row(batch, slot, only_single);
    if (work.context == 0) return;
    const int tokens = split_tokens(work.context, results.splits);
    const int used = (work.context + tokens - 1) / tokens;
    const int64_t first = results.index(slot, heads, head, 0);

    GPU_SHARED(float[kMaxSplits], share);  // of the whole softmax, per unit of a split's values
    if (threadIdx.x < 32) {
        const auto split = static_cast<int>(threadIdx.x);
        const float2 stats = split < used ? results.stats[first + split] : float2{kNoScore, 0.0F};
        const float factor = gpu::fast_exp2(stats.x - warp_max(stats.x));
        share[split] = factor / warp_sum(factor * stats.y);
    }
    __syncthreads();
    const int dh = heads.head_dim;
    for (int i = static_cast<int>(threadIdx.x); i < dh; i += static_cast<int>(blockDim.x)) {
        float sum = 0.0F;
        for (int split = 0; split < used; ++split) sum += share[split] * results.values[(first + split) * dh + i];
        out[(work.row * heads.query_heads + head) * dh + i] = sum;
    }
}

}  // namespace qwen3::cuda
