// Products of many rows, by cuBLASLt.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

#include "ops/cuda/host/cublaslt_abi.hpp"
#include "ops/cuda/host/runtime.hpp"
#include "ops/cuda/launch.hpp"

namespace qwen3::cuda {

class Gemm {
public:
    // On the current device. Throws PluginError where there is no cuBLASLt.
    Gemm();
    ~Gemm();
    Gemm(const Gemm&) = delete;
    Gemm& operator=(const Gemm&) = delete;

    // y [rows, w.rows] = x [rows, w.columns] times w (+ y). All row-major, without padding.
    void multiply(const Bf16* x, const Weight& w, int64_t rows, bool accumulate, float* y, cudaStream_t stream);

    size_t workspace_bytes() const { return workspace_.bytes(); }

private:
    struct Plan;
    using Key = std::tuple<int64_t, int64_t, int64_t, int, int>;  // rows, out, in, alignments of x and w

    const Plan& plan(const Bf16* x, const Weight& w, int64_t rows);

    cublaslt::Handle handle_ = nullptr;
    DeviceBlock workspace_;
    std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace qwen3::cuda
