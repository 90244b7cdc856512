// What of NCCL is called, declared here: its header is not needed to build. abi_check.cpp compares.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace qwen3::cuda::nccl {

using Comm = struct CommStruct*;

struct UniqueId {
    char internal[128];
};

constexpr int kSuccess = 0;
constexpr int kFloat32 = 7;
constexpr int kSum = 0;

struct Functions {
    const char* (*GetErrorString)(int);
    int (*GetUniqueId)(UniqueId*);
    int (*CommInitRank)(Comm*, int size, UniqueId, int rank);
    int (*CommDestroy)(Comm);
    int (*CommAbort)(Comm);
    int (*AllReduce)(const void* send, void* receive, size_t count, int type, int operation, Comm, cudaStream_t);
};

}  // namespace qwen3::cuda::nccl
