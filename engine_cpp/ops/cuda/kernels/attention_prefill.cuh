// Attention of sequences with several rows on the tensor cores, one pass over K and V with a running softmax.
//
// A block owns 64 rows of (token, query head of one KV head's group): every K and V tile, which is one page, serves all
// query heads. K and V each have one buffer: the next K arrives while the scores meet V, the next V while the next
// scores are computed.
#pragma once

#include "ops/cuda/kernels/attention_decode.cuh"

namespace qwen3::cuda {

constexpr int kTileRows = 64;
constexpr int kPrefillWarps = kTileRows / 16;
constexpr int kPrefillThreads = kPrefillWarps * 32;

// Rows in shared memory are 16 bytes longer than DH values, so that eight successive ones lie in different banks.
template <int DH>
constexpr int kTileStride = DH + 8;

template <int DH>
constexpr size_t prefill_smem_bytes() {
    return static_cast<size_t>(kTileRows + 2 * kPageTokens) * kTileStride<DH> * sizeof(gpu::bf16);
}

// Query tokens of a tile. For a part of a group as for a whole one, so that all KV heads cut a sequence alike.
QWEN3_HOST_DEVICE constexpr int prefill_tokens(int group) { return kTileRows / group; }

struct PrefillTile {
    DeviceSequence sequence;
    int first_token;  // of the sequence's rows
    int tokens;       // 0: there is no such tile
};

// The tile of a number, among all tiles of sequences with several rows; the longest of a sequence first.
GPU_INLINE PrefillTile find_tile(const DeviceBatch& batch, int tile, int tokens_per_tile) {
    const int sequences = batch.counts->sequences;
    for (int i = 0; i < sequences; ++i) {
        const DeviceSequence sequence = batch.sequences[i];
        if (sequence.rows < 2) continue;
        const int tiles = (sequence.rows + tokens_per_tile - 1) / tokens_per_tile;
        if (tile < tiles) {
            const int first = (tiles - 1 - tile) * tokens_per_tile;
            return {sequence, first, smaller(tokens_per_tile, sequence.rows - first)};
        }
        tile -= tiles;
    }
    return {{}, 0, 0};
}

// Starts copying one page's K or V of one head; zeros beyond `tokens` and beyond head_dim.
template <int DH>
GPU_INLINE void fetch_page(gpu::bf16* tile, const gpu::bf16* block, int tokens, int head_dim) {
    constexpr int kChunks = DH / 8;
    for (int i = static_cast<int>(threadIdx.x); i < kPageTokens * kChunks; i += kPrefillThreads) {
        const int token = i / kChunks;
        const int dim = i % kChunks * 8;
        const bool valid = token < tokens && dim < head_dim;
        gpu::cp_async16(tile + token * kTileStride<DH> + dim, valid ? block + token * head_dim + dim : block, valid);
    }
    gpu::cp_async_commit();
}

// What one thread holds of its warp's 16 rows: the lower row (lane / 4) and the upper one, 8 further on.
template <int DH>
struct PrefillState {
    float out[DH / 8][4] = {};
    float largest[2] = {kNoScore, kNoScore};
    float sum[2] = {};  // of this thread's columns only
};

// scores [16 rows of the warp, 64 tokens] = Q K^T
template <int DH>
GPU_INLINE void prefill_scores(const gpu::bf16* queries, const gpu::bf16* keys, float (&scores)[8][4]) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const gpu::bf16* a_row = queries + (lane % 16) * kTileStride<DH> + lane / 16 * 8;
    const gpu::bf16* b_row = keys + (lane % 8 + lane / 16 * 8) * kTileStride<DH> + lane / 8 % 2 * 8;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
        for (float& s : scores[n]) s = 0.0F;
#pragma unroll
    for (int k = 0; k < DH / 16; ++k) {
        uint32_t a[4];
        gpu::ldmatrix_x4(a, a_row + k * 16);
#pragma unroll
        for (int n = 0; n < 4; ++n) {  // 16 tokens
            uint32_t b[4];
            gpu::ldmatrix_x4(b, b_row + n * 16 * kTileStride<DH> + k * 16);
            gpu::mma_m16n8k16(scores[2 * n], a, b[0], b[1]);
            gpu::mma_m16n8k16(scores[2 * n + 1], a, b[2], b[3]);
        }
    }
}

// Scores become weights; what was summed so far is scaled to the new largest score.
template <int DH>
GPU_INLINE void prefill_softmax(float (&scores)[8][4], PrefillState<DH>& state) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        float largest = state.largest[r];
#pragma unroll
        for (int n = 0; n < 8; ++n) largest = fmaxf(largest, fmaxf(scores[n][2 * r], scores[n][2 * r + 1]));
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));  // the four lanes of a row
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
        const float factor = gpu::fast_exp2(state.largest[r] - largest);
        state.largest[r] = largest;
        state.sum[r] *= factor;
#pragma unroll
        for (int n = 0; n < DH / 8; ++n) {
            state.out[n][2 * r] *= factor;
            state.out[n][2 * r + 1] *= factor;
        }
#pragma unroll
        for (int n = 0; n < 8; ++n) {
            scores[n][2 * r] = gpu::fast_exp2(scores[n][2 * r] - largest);
            scores[n][2 * r + 1] = gpu::fast_exp2(scores[n][2 * r + 1] - largest);
            state.sum[r] += scores[n][2 * r] + scores[n][2 * r + 1];
        }
    }
}

// out += weights [16, 64 tokens] V. An accumulator's layout is that of a left operand, two at a time.
template <int DH>
GPU_INLINE void prefill_values(const float (&weights)[8][4], const gpu::bf16* values, PrefillState<DH>& state) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const gpu::bf16* b_row = values + (lane % 16) * kTileStride<DH> + lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < 4; ++k) {  // 16 tokens
        const uint32_t a[4] = {gpu::pack_bf16(weights[2 * k][0], weights[2 * k][1]),
                               gpu::pack_bf16(weights[2 * k][2], weights[2 * k][3]),
                               gpu::pack_bf16(weights[2 * k + 1][0], weights[2 * k + 1][1]),
                               gpu::pack_bf16(weights[2 * k + 1][2], weights[2 * k + 1][3])};
#pragma unroll
        for (int n = 0; n < DH / 16; ++n) {
            uint32_t b[4];
            gpu::ldmatrix_x4_trans(b, b_row + k * 16 * kTileStride<DH> + n * 16);
            gpu::mma_m16n8k16(state.out[2 * n], a, b[0], b[1]);
            gpu::mma_m16n8k16(state.out[2 * n + 1], a, b[2], b[3]);
        }
    }
}

// Grid: tiles, KV heads. head_dim is a multiple of 8, at most DH; a group has at most kTileRows query heads.
template <int DH>
__global__ void __launch_bounds__(kPrefillThreads)
    attention_prefill_kernel(DeviceBatch batch, KvPages kv, Heads heads, int64_t layer, const float* __restrict__ q,
                             float* __restrict__ out) {
    GPU_DYN_SMEM(gpu::bf16, smem);
    gpu::bf16* queries = smem;
    gpu::bf16* keys = queries + kTileRows * kTileStride<DH>;
    gpu::bf16* values = keys + kPageTokens * kTileStride<DH>;

    const PrefillTile tile = find_tile(batch, static_cast<int>(blockIdx.x), prefill_tokens(heads.group));
    if (tile.tokens == 0) return;
    const DeviceSequence& sequence = tile.sequence;
    const auto kv_head = static_cast<int>(blockIdx.y);
    const HeadRange group = query_heads_of(heads, kv_head);
    const int head_count = group.end - group.begin;
    const int rows = tile.tokens * head_count;  // of the tile that are used
    const int dh = heads.head_dim;
    const int first_position = sequence.first_position + tile.first_token;
    const int context = first_position + tile.tokens;
    const int32_t* pages = batch.pages + sequence.first_page;
    // Where a tile row's head lies in q and out.
    auto offset = [&](int r) {
        const int64_t row = sequence.first_row + tile.first_token + r / head_count;
        return (row * heads.query_heads + group.begin + r % head_count) * dh;
    };

    auto fetch_k = [&](int page) {
        fetch_page<DH>(keys, k_block<const gpu::bf16>(kv, pages[page], layer, kv_head), context - page * kPageTokens,
                       dh);
    };
    auto fetch_v = [&](int page) {
        fetch_page<DH>(values, v_block<const gpu::bf16>(kv, pages[page], layer, kv_head), context - page * kPageTokens,
                       dh);
    };
    fetch_k(0);

    const float scale = kLog2E * gpu::inverse_sqrt(static_cast<float>(dh));
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * (DH / 2); i += kPrefillThreads) {
        const int r = i / (DH / 2);
        const int dim = i % (DH / 2) * 2;
        float2 pair{0.0F, 0.0F};
        if (r < rows && dim < dh) pair = *reinterpret_cast<const float2*>(q + offset(r) + dim);
        *reinterpret_cast<uint32_t*>(queries + r * kTileStride<DH> + dim) =
            gpu::pack_bf16(pair.x * scale, pair.y * scale);
    }

    const auto warp = static_cast<int>(threadIdx.x / 32);
    const auto lane = static_cast<int>(threadIdx.x % 32);
    const int lower = warp * 16 + lane / 4;  // this thread's tile rows: lower and lower + 8
    const int position[2] = {first_position + lower / head_count, first_position + (lower + 8) / head_count};
    PrefillState<DH> state;

    const int page_count = (context + kPageTokens - 1) / kPageTokens;
    for (int page = 0; page < page_count; ++page) {
        fetch_v(page);
        gpu::cp_async_wait<1>();
        __syncthreads();  // K is there, and Q at the first turn
        float scores[8][4];
        prefill_scores<DH>(queries + warp * 16 * kTileStride<DH>, keys, scores);
        __syncthreads();  // K has been read
        if (page + 1 < page_count)
            fetch_k(page + 1);
        else
            gpu::cp_async_commit();                           // an empty group keeps the count of pending ones

        if ((page + 1) * kPageTokens > first_position + 1) {  // only then may a key be in a row's future
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    if (page * kPageTokens + n * 8 + lane % 4 * 2 + i % 2 > position[i / 2]) scores[n][i] = -INFINITY;
        }
        prefill_softmax<DH>(scores, state);

        gpu::cp_async_wait<1>();
        __syncthreads();  // V is there
        prefill_values<DH>(scores, values, state);
        __syncthreads();  // V has been read
    }

#pragma unroll
    for (int r = 0; r < 2; ++r) {
        float sum = state.sum[r];
        sum += __shfl_xor_sync(kAllLanes, sum, 1);
        sum += __shfl_xor_sync(kAllLanes, sum, 2);
        if (lower + 8 * r >= rows) continue;
        float* to = out + offset(lower + 8 * r) + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < DH / 8; ++n)
            if (n * 8 < dh)
                *reinterpret_cast<float2*>(to + n * 8) = {state.out[n][2 * r] / sum, state.out[n][2 * r + 1] / sum};
    }
}

}  // namespace qwen3::cuda
