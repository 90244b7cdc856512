// What of cuBLASLt is called, declared here: its headers are not needed to build. abi_check.cpp compares.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace qwen3::cuda::cublaslt {

using Handle = struct HandleStruct*;
using MatmulDesc = struct MatmulDescStruct*;
using MatrixLayout = struct MatrixLayoutStruct*;
using Preference = struct PreferenceStruct*;

constexpr int kSuccess = 0;
constexpr int kF32 = 0;          // CUDA_R_32F
constexpr int kBf16 = 14;        // CUDA_R_16BF
constexpr int kCompute32F = 68;  // CUBLAS_COMPUTE_32F
constexpr int32_t kTranspose = 1;
constexpr int kDescTransA = 3;
constexpr int kMaxWorkspaceBytes = 1;
constexpr int kMinAlignmentA = 5, kMinAlignmentB = 6, kMinAlignmentC = 7, kMinAlignmentD = 8;

struct Algo {
    uint64_t data[8];
};

struct HeuristicResult {
    Algo algo;
    size_t workspace_size;
    int state;
    float waves_count;
    int reserved[4];
};

struct Functions {
    int (*Create)(Handle*);
    int (*Destroy)(Handle);
    const char* (*GetStatusString)(int);
    int (*MatmulDescCreate)(MatmulDesc*, int compute_type, int scale_type);
    int (*MatmulDescDestroy)(MatmulDesc);
    int (*MatmulDescSetAttribute)(MatmulDesc, int attribute, const void*, size_t);
    int (*MatrixLayoutCreate)(MatrixLayout*, int type, uint64_t rows, uint64_t columns, int64_t leading);
    int (*MatrixLayoutDestroy)(MatrixLayout);
    int (*MatmulPreferenceCreate)(Preference*);
    int (*MatmulPreferenceDestroy)(Preference);
    int (*MatmulPreferenceSetAttribute)(Preference, int attribute, const void*, size_t);
    int (*MatmulAlgoGetHeuristic)(Handle, MatmulDesc, MatrixLayout a, MatrixLayout b, MatrixLayout c, MatrixLayout d,
                                  Preference, int requested, HeuristicResult*, int* found);
    int (*Matmul)(Handle, MatmulDesc, const void* alpha, const void* a, MatrixLayout, const void* b, MatrixLayout,
                  const void* beta, const void* c, MatrixLayout, void* d, MatrixLayout, const Algo*, void* workspace,
                  size_t workspace_size, cudaStream_t);
};

}  // namespace qwen3::cuda::cublaslt
