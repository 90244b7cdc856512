// The only header of the kernels: what they use of CUDA, and nothing else. nvcc sees the device; g++ sees the emulator
// of tests/cuda/emulator, which runs the same text on the CPU.
#pragma once

#include "ops/cuda/types.hpp"

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <type_traits>

#define GPU_INLINE __device__ __forceinline__

// Memory that a block shares; always on 16 bytes, since PTX aligns an array no better than its element.
#define GPU_SHARED(type, name) __shared__ __align__(16)::std::remove_const_t<type> name
#define GPU_DYN_SMEM(type, name)                                  \
    extern __shared__ __align__(16) unsigned char gpu_dyn_smem[]; \
    type* name = reinterpret_cast<type*>(gpu_dyn_smem)

namespace gpu {

using bf16 = qwen3::cuda::Bf16;

GPU_INLINE float float_of(uint32_t bits) { return __uint_as_float(bits); }
GPU_INLINE uint32_t bits_of(float x) { return __float_as_uint(x); }

// Both rounded to nearest even; `low` lies in the lower half.
GPU_INLINE uint32_t pack_bf16(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
}
GPU_INLINE bf16 round_bf16(float x) { return {__bfloat16_as_ushort(__float2bfloat16_rn(x))}; }

// 2^x, ~2 ulp; denormal results are 0
GPU_INLINE float fast_exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
GPU_INLINE float inverse_sqrt(float x) { return rsqrtf(x); }

// d (16x8, f32) += a (16x16, row-major) * b (16x8, column-major); fragments as PTX has them.
GPU_INLINE void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8x8 matrices of 16-bit values; lane i gives the address of row i % 8 of matrix i / 8.
GPU_INLINE void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}
GPU_INLINE void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

// 16 bytes from global to shared memory, there after its group's wait; zeros when not `valid` (the source is not read).
GPU_INLINE void cp_async16(void* shared, const void* global, bool valid) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
}
GPU_INLINE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int pending>
GPU_INLINE void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// nullptr, or what CUDA says.
template <class... Parameters>
const char* launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t dynamic_smem, void* stream,
                   std::type_identity_t<Parameters>... arguments) {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...));
    constexpr size_t kWithoutAsking = 48 << 10;
    const auto* function = reinterpret_cast<const void*>(kernel);
    void* pointers[] = {&arguments...};
    cudaError_t error = cudaSuccess;
    if (dynamic_smem > kWithoutAsking)
        error =
            cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(dynamic_smem));
    if (error == cudaSuccess)
        error = cudaLaunchKernel(function, grid, block, pointers, dynamic_smem, static_cast<cudaStream_t>(stream));
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace gpu

#else
#include "emu.h"
#endif

namespace gpu {

GPU_INLINE float to_f32(bf16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }
GPU_INLINE float to_f32(float x) { return x; }

template <class T>
GPU_INLINE T from_f32(float x);
template <>
GPU_INLINE float from_f32<float>(float x) {
    return x;
}
template <>
GPU_INLINE bf16 from_f32<bf16>(float x) {
    return round_bf16(x);
}

}  // namespace gpu
