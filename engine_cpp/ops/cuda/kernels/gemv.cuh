// Matrix times a few vectors. Weights are read once, 16 bytes at a time, each warp two rows; the vectors lie in shared
// memory. The scale of an RMSNorm is a factor of the whole sum, so it is applied at the end: no pass before.
#pragma once

#include "ops/cuda/kernels/numeric.cuh"

namespace qwen3::cuda {

constexpr int kGemvWarps = 4;
constexpr int kGemvThreads = kGemvWarps * 32;
constexpr int kGemvBlocks = 4;               // of a multiprocessor at least: up to 128 registers a thread
constexpr int kGemvStage = 8192;             // f32 values of shared memory
constexpr int kGemvUnroll = 2;               // 16-byte loads in flight for a lane and a row
constexpr int kGemvStep = 32 * kGemvUnroll;  // chunks of eight columns that a warp takes at once

// Vectors [rows, columns], or those rows of it that `index` names; `norm` (may be null) scales columns.
struct GemvInput {
    const float* x;
    const int32_t* count;  // how many vectors there are
    const int32_t* index;  // may be null
    const float* norm;     // may be null
    float epsilon;
    int64_t columns;
};

// Bytes of dynamic shared memory.
template <int T>
constexpr size_t gemv_stage_bytes(int64_t columns) {
    const int64_t padded = (columns + 7) / 8 * 8;
    const int64_t tile = kGemvStage / T;
    return static_cast<size_t>((padded < tile ? padded : tile) * T) * sizeof(float);
}

// Puts chunks [first, first + chunks) of every vector into the stage, adds up squares. The halves of a chunk lie in
// planes of their own, so that 16-byte reads by successive lanes meet no bank twice.
template <int T>
GPU_INLINE void gemv_stage(const GemvInput& in, int vectors, int64_t first, int chunks, int plane,
                           float4* __restrict__ stage, float (&squares)[T]) {
    const bool whole = in.columns % 8 == 0;
#pragma unroll
    for (int t = 0; t < T; ++t) {
        const float* x = in.x;
        if (t < vectors) x += (in.index ? in.index[t] : t) * in.columns;
        for (int c = static_cast<int>(threadIdx.x); c < chunks; c += kGemvThreads) {
            Eight e{};
            if (t < vectors) e = unpack(load_eight(x, (first + c) * 8, in.columns, whole));
            if (in.norm) {
                const Eight n = unpack(load_eight(in.norm, (first + c) * 8, in.columns, whole));
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    squares[t] += e.x[i] * e.x[i];
                    e.x[i] *= n.x[i];
                }
            }
            stage[(2 * t) * plane + c] = {e.x[0], e.x[1], e.x[2], e.x[3]};
            stage[(2 * t + 1) * plane + c] = {e.x[4], e.x[5], e.x[6], e.x[7]};
        }
    }
}

// sums[r][t] = row r of the weights times vector t (normed), on every lane. All threads of the block must call it.
template <int T>
GPU_INLINE void gemv(const GemvInput& in, const gpu::bf16* __restrict__ row0, const gpu::bf16* __restrict__ row1,
                     float (&sums)[2][T]) {
    GPU_DYN_SMEM(float4, stage);
    constexpr int kTile = kGemvStage / T / 8;  // chunks
    constexpr int kTurns = kTile / kGemvStep;  // turns of the loop below that one stage serves
    static_assert(kTile % kGemvStep == 0);
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int vectors = smaller(*in.count, T);
    const bool whole = in.columns % 8 == 0;
    const int64_t chunks = (in.columns + 7) / 8;
    const int plane = static_cast<int>(smaller<int64_t>(chunks, kTile));
    const int64_t turns = (chunks + kGemvStep - 1) / kGemvStep;

    float squares[T] = {};
#pragma unroll
    for (int t = 0; t < T; ++t) sums[0][t] = sums[1][t] = 0.0F;

    Packed<gpu::bf16> weights[2][kGemvUnroll];
    auto fetch = [&](int64_t turn) {
#pragma unroll
        for (int u = 0; u < kGemvUnroll; ++u) {
            const int64_t c = turn * kGemvStep + u * 32 + lane;
            if (c >= chunks) continue;
            weights[0][u] = load_eight(row0, c * 8, in.columns, whole);
            weights[1][u] = load_eight(row1, c * 8, in.columns, whole);
        }
    };
    fetch(0);                                         // on its way while the vectors are staged
    for (int64_t turn = 0; turn < turns; ++turn) {
        const int64_t first = turn / kTurns * kTile;  // chunk at the stage's begin
        if (turn % kTurns == 0) {
            if (turn != 0) __syncthreads();           // the last stage has been read
            gemv_stage<T>(in, vectors, first, static_cast<int>(smaller<int64_t>(chunks - first, kTile)), plane, stage,
                          squares);
            __syncthreads();
        }
        Packed<gpu::bf16> now[2][kGemvUnroll];
#pragma unroll
        for (int u = 0; u < kGemvUnroll; ++u) {
            now[0][u] = weights[0][u];
            now[1][u] = weights[1][u];
        }
        fetch(turn + 1);
#pragma unroll
        for (int u = 0; u < kGemvUnroll; ++u) {
            const int64_t c = turn * kGemvStep + u * 32 + lane;
            if (c >= chunks) continue;
            const auto local = static_cast<int>(c - first);
            const Eight w0 = unpack(now[0][u]);
            const Eight w1 = unpack(now[1][u]);
#pragma unroll
            for (int t = 0; t < T; ++t) {
                const float4 a = stage[(2 * t) * plane + local];
                const float4 b = stage[(2 * t + 1) * plane + local];
                const float x[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    sums[0][t] += w0.x[i] * x[i];
                    sums[1][t] += w1.x[i] * x[i];
                }
            }
        }
    }
#pragma unroll
    for (int t = 0; t < T; ++t) {
        sums[0][t] = warp_sum(sums[0][t]);
        sums[1][t] = warp_sum(sums[1][t]);
    }
    if (!in.norm) return;

    GPU_SHARED(float[kGemvWarps][T], partial);
#pragma unroll
    for (int t = 0; t < T; ++t) {
        const float of_warp = warp_sum(squares[t]);
        if (lane == 0) partial[threadIdx.x / 32][t] = of_warp;
    }
    __syncthreads();
#pragma unroll
    for (int t = 0; t < T; ++t) {
        float total = 0.0F;
#pragma unroll
        for (int warp = 0; warp < kGemvWarps; ++warp) total += partial[warp][t];
        const float scale = gpu::inverse_sqrt(total / static_cast<float>(in.columns) + in.epsilon);
        sums[0][t] *= scale;
        sums[1][t] *= scale;
    }
}

// Calls write(t, value of row 0, value of row 1) once for each vector that there is, each on a lane of its own.
template <int T, class Write>
GPU_INLINE void gemv_write(const int32_t* count, const float (&sums)[2][T], Write write) {
    const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
    for (int t = 0; t < T; ++t)
        if (lane == t && t < *count) write(t, sums[0][t], sums[1][t]);
}

// The pair of rows that this warp computes.
GPU_INLINE int64_t gemv_unit() { return static_cast<int64_t>(blockIdx.x) * kGemvWarps + threadIdx.x / 32; }

}  // namespace qwen3::cuda
