// Small kernels, each right with BUG = false and wrong in one way with BUG = true: what the test rig must find.
// One signature and one launch for all, so that the emulator and the interpreter of PTX run them alike.
#pragma once

#include "ops/cuda/gpu.h"

namespace planted {

constexpr int kBlocks = 2;
constexpr int kThreads = 128;
constexpr int kTiles = 3;
constexpr int kInputs = kTiles * kBlocks * kThreads + 8;

GPU_INLINE int global_index() { return static_cast<int>(blockIdx.x * kThreads + threadIdx.x); }

// out[i] = in[the next thread's i]
template <bool BUG>
__global__ void missing_barrier(const float* in, float* out) {
    GPU_SHARED(float[kThreads], shared);
    shared[threadIdx.x] = in[global_index()];
    if (!BUG) __syncthreads();
    out[global_index()] = shared[(threadIdx.x + 1) % kThreads];
}

// out[i] = the sum over tiles of the mirrored thread's value
template <bool BUG>
__global__ void missing_loop_end_barrier(const float* in, float* out) {
    GPU_SHARED(float[kThreads], shared);
    float sum = 0.0F;
    for (int tile = 0; tile < kTiles; ++tile) {
        shared[threadIdx.x] = in[tile * kBlocks * kThreads + global_index()];
        __syncthreads();
        sum += shared[kThreads - 1 - threadIdx.x];
        if (!BUG) __syncthreads();
    }
    out[global_index()] = sum;
}

// out[0] = the sum of each block's first value
template <bool BUG>
__global__ void cross_block_race(const float* in, float* out) {
    if (threadIdx.x != 0) return;
    if (BUG)
        out[0] += in[global_index()];
    else
        atomicAdd(out, in[global_index()]);
}

// out[i] = in[i] + in[i ^ 1], for the lower half of each warp
template <bool BUG>
__global__ void divergent_shuffle(const float* in, float* out) {
    const bool lower = threadIdx.x % 32 < 16;
    float value = in[global_index()];
    if (!BUG || lower) value += __shfl_xor_sync(0xffffffffU, value, 1);
    if (lower) out[global_index()] = value;
}

// out[i] = in[i], after both halves of each block met
template <bool BUG>
__global__ void divergent_barrier(const float* in, float* out) {
    float value = in[global_index()];
    if (BUG && threadIdx.x % 2 == 0) {
        value += 1.0F;
        __syncthreads();
        value -= 1.0F;
    } else {
        __syncthreads();
    }
    out[global_index()] = value;
}

// out[i] = in[the mirrored lane's i]
template <bool BUG>
__global__ void missing_syncwarp(const float* in, float* out) {
    GPU_SHARED(float[kThreads], shared);
    shared[threadIdx.x] = in[global_index()];
    if (!BUG) __syncwarp();
    out[global_index()] = shared[threadIdx.x ^ 31];
}

// out[i] = in[i], by way of an asynchronous copy
template <bool BUG>
__global__ void missing_async_wait(const float* in, float* out) {
    GPU_SHARED(float[kThreads * 4], shared);
    const int i = global_index() % (kBlocks * kThreads / 4) * 4;
    gpu::cp_async16(shared + threadIdx.x * 4, in + i, true);
    gpu::cp_async_commit();
    if (!BUG) gpu::cp_async_wait<0>();
    out[global_index()] = shared[threadIdx.x * 4 + threadIdx.x % 4];
}

// out[i] = in[i ^ 1]; the last thread writes behind the array
template <bool BUG>
__global__ void shared_overrun(const float* in, float* out) {
    GPU_SHARED(float[kThreads], shared);
    float* mine = shared + (BUG ? 1 : 0);
    mine[threadIdx.x] = in[global_index()];
    __syncthreads();
    out[global_index()] = mine[threadIdx.x ^ 1];
}

// out[i] = in[4 i] + ... + in[4 i + 3], by a load of 16 bytes
template <bool BUG>
__global__ void misaligned_load(const float* in, float* out) {
    const int i = global_index() % (kInputs / 4 - 1);
    const float4 v = *reinterpret_cast<const float4*>(in + (BUG ? 1 : 0) + 4 * i);
    out[global_index()] = v.x + v.y + v.z + v.w;
}

}  // namespace planted

// The name of every kernel above, for tables of them.
#define PLANTED_KERNELS(X)      \
    X(missing_barrier)          \
    X(missing_loop_end_barrier) \
    X(cross_block_race)         \
    X(divergent_shuffle)        \
    X(divergent_barrier)        \
    X(missing_syncwarp)         \
    X(missing_async_wait)       \
    X(shared_overrun)           \
    X(misaligned_load)
