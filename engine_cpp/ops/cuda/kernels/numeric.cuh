// Sums over a warp and a block, and eight values at a time.
#pragma once

#include "ops/cuda/gpu.h"

namespace qwen3::cuda {

constexpr unsigned kAllLanes = 0xffffffffU;
constexpr float kLog2E = 1.4426950408889634F;

template <class T>
GPU_INLINE T smaller(T a, T b) {
    return a < b ? a : b;
}
template <class T>
GPU_INLINE T larger(T a, T b) {
    return a < b ? b : a;
}

GPU_INLINE float warp_sum(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(kAllLanes, x, offset);
    return x;
}

GPU_INLINE float warp_max(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, offset));
    return x;
}

// The sum over a block of whole warps; every thread must call it and gets it.
GPU_INLINE float block_sum(float x) {
    GPU_SHARED(float[32], partial);
    const unsigned lane = threadIdx.x % 32;
    const unsigned warp = threadIdx.x / 32;
    x = warp_sum(x);
    __syncthreads();  // an earlier sum may still be read
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    return warp_sum(lane < blockDim.x / 32 ? partial[lane] : 0.0F);
}

GPU_INLINE float silu(float x) { return x / (1.0F + gpu::fast_exp2(-x * kLog2E)); }

// Eight successive values, as f32 and as they are stored.
struct Eight {
    float x[8];
};
template <class T>
struct Packed;
template <>
struct Packed<gpu::bf16> {
    uint4 v;
};
template <>
struct Packed<float> {
    float4 low, high;
};

GPU_INLINE Eight unpack(const Packed<gpu::bf16>& p) {
    const uint32_t pairs[4] = {p.v.x, p.v.y, p.v.z, p.v.w};
    Eight e;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        e.x[2 * i] = gpu::float_of(pairs[i] << 16);
        e.x[2 * i + 1] = gpu::float_of(pairs[i] & 0xffff0000U);
    }
    return e;
}
GPU_INLINE Eight unpack(const Packed<float>& p) {
    return {{p.low.x, p.low.y, p.low.z, p.low.w, p.high.x, p.high.y, p.high.z, p.high.w}};
}

// The eight values of a row from `first` on, zeros beyond its length. `whole` says that every row is a multiple of
// eight values, so that they lie on 16 bytes.
GPU_INLINE Packed<gpu::bf16> load_eight(const gpu::bf16* __restrict__ row, int64_t first, int64_t length, bool whole) {
    if (whole) return {*reinterpret_cast<const uint4*>(row + first)};
    uint32_t bits[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) bits[i] = first + i < length ? row[first + i].bits : 0U;
    return {{bits[0] | bits[1] << 16, bits[2] | bits[3] << 16, bits[4] | bits[5] << 16, bits[6] | bits[7] << 16}};
}
GPU_INLINE Packed<float> load_eight(const float* __restrict__ row, int64_t first, int64_t length, bool whole) {
    if (whole) {
        const auto* v = reinterpret_cast<const float4*>(row + first);
        return {v[0], v[1]};
    }
    float x[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) x[i] = first + i < length ? row[first + i] : 0.0F;
    return {{x[0], x[1], x[2], x[3]}, {x[4], x[5], x[6], x[7]}};
}

}  // namespace qwen3::cuda
